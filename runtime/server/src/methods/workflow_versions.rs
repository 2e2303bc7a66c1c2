//! `workflow_versions`

use hero_core::library;
use hero_schema::RpcError;
use hero_schema::rpc::{VersionPage, WorkflowVersions};

use super::{page, workflow_get};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: WorkflowVersions,
) -> Result<VersionPage, RpcError> {
    let workflow = workflow_get::find(service, &params.workflow).await?;
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.numbered_versions(&workflow.sid, query).await;
    let page = page.map_err(errors::of_store)?;
    let (current, next_cursor) = (workflow.version, page::next(&page));
    let items = library::unnumbered(&workflow).into_iter().chain(page.items).collect();
    Ok(VersionPage { current, items, next_cursor })
}
