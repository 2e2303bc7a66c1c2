//! `workflow_history`

use hero_schema::RpcError;
use hero_schema::rpc::{WorkflowHistory, WorkflowVersions};

use super::{page, workflow_get};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: WorkflowVersions,
) -> Result<WorkflowHistory, RpcError> {
    let workflow = workflow_get::find(service, &params.workflow).await?;
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.workflow_changes(&workflow.sid, query).await;
    let page = page.map_err(errors::of_store)?;
    Ok(WorkflowHistory { next_cursor: page::next(&page), items: page.items })
}
