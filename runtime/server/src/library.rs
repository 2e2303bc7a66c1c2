//! Changes to workflows, stored.

use hero_core::library::Change;
use hero_schema::{RpcError, Workflow, WorkflowVersion};
use hero_store::{Batch, Error, Write};

use crate::errors;
use crate::service::Service;

/// Stores a change together with the version, which is new or passed over. None where someone else
/// changed the workflow in between: what they did is to be looked at.
pub(crate) async fn store(
    service: &Service,
    version: &WorkflowVersion,
    change: Change,
) -> Result<Option<Workflow>, RpcError> {
    let Change { workflow, numbered, entry } = change;
    let sid = &workflow.sid;
    let mut writes = vec![
        Write::Version(Box::new(version.clone())),
        Write::Workflow(Box::new(workflow.clone())),
        Write::WorkflowChange(sid.clone(), entry),
    ];
    let numbers = numbered.into_iter();
    writes.extend(numbers.map(|version| Write::NumberedVersion(sid.clone(), version)));
    match service.store.commit(Batch { fence: None, writes }).await {
        Ok(()) => Ok(Some(workflow)),
        Err(Error::Conflict { .. }) => Ok(None),
        Err(error) => Err(errors::of_store(error)),
    }
}
