//! `workflow_list`

use hero_schema::RpcError;
use hero_schema::rpc::{WorkflowList, WorkflowPage};

use super::page;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: WorkflowList) -> Result<WorkflowPage, RpcError> {
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.workflows(query).await.map_err(errors::of_store)?;
    Ok(WorkflowPage { next_cursor: page::next(&page), items: page.items })
}
