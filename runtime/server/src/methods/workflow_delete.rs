//! `workflow_delete`

use hero_schema::rpc::{Deleted, WorkflowDelete};
use hero_schema::{Retention, RpcError};
use hero_store::{Batch, Error, Write};

use super::{schedule_delete, workflow_get};
use crate::errors;
use crate::service::Service;

/// Removes the name, the numbers and the history. The code stays, because plays are pinned to it: those
/// that have not ended go on.
pub(crate) async fn run(service: &Service, params: WorkflowDelete) -> Result<Deleted, RpcError> {
    loop {
        let workflow = workflow_get::find(service, &params.workflow).await?;
        schedule_delete::check_not_scheduled(service, &workflow).await?;
        let retention = Retention::unlimited(workflow.sid.clone());
        let writes = vec![Write::Retention(retention), Write::RemoveWorkflow(Box::new(workflow))];
        match service.store.commit(Batch { fence: None, writes }).await {
            Ok(()) => return Ok(Deleted { ok: true }),
            // Changed or scheduled in between: whether it may go is asked again.
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(errors::of_store(error)),
        }
    }
}
