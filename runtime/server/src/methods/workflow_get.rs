//! `workflow_get`

use hero_schema::rpc::{WorkflowDetail, WorkflowGet};
use hero_schema::{ErrorKind, RpcError, Workflow};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: WorkflowGet,
) -> Result<WorkflowDetail, RpcError> {
    let workflow = find(service, &params.workflow).await?;
    let version = service.store.version(&workflow.current_version_sid).await;
    let version = version.map_err(errors::of_store)?.ok_or_else(|| {
        let message = format!("version `{}` is missing", workflow.current_version_sid);
        RpcError::new(ErrorKind::StoreUnavailable, message)
    })?;
    Ok(WorkflowDetail { workflow, version })
}

/// A workflow that must be there, by sid or name.
pub(crate) async fn find(service: &Service, sid_or_name: &str) -> Result<Workflow, RpcError> {
    let found = service.store.workflow(sid_or_name).await.map_err(errors::of_store)?;
    found.ok_or_else(|| {
        let message = format!("there is no workflow `{sid_or_name}`");
        RpcError::new(ErrorKind::WorkflowNotFound, message).hint(
            "`hero_logic workflow list` lists them; a file is run by its path, as in `./flow.py`",
        )
    })
}
