//! `workflow_rollback`

use hero_core::library;
use hero_schema::rpc::WorkflowRollback;
use hero_schema::{ErrorKind, NumberedVersion, RpcError, Workflow};
use hero_store::PageQuery;

use super::workflow_get;
use crate::service::Service;
use crate::{errors, library as stored};

pub(crate) async fn run(service: &Service, params: WorkflowRollback) -> Result<Workflow, RpcError> {
    loop {
        let workflow = workflow_get::find(service, &params.workflow).await?;
        let to = match &params.version {
            Some(version) => service.supervisor.version_of(&workflow, version).await,
            None => Ok(before(service, &workflow).await?),
        };
        let to = to.map_err(errors::of_supervisor)?;
        let version = service.supervisor.version(&to.sid).await.map_err(errors::of_supervisor)?;
        let now = service.store.now();
        let Some(change) = library::rolled_back(workflow.clone(), &to, &version, now) else {
            return Ok(workflow);
        };
        if let Some(workflow) = stored::store(service, &version, change).await? {
            return Ok(workflow);
        }
    }
}

/// The version that was current before the one that is.
async fn before(service: &Service, workflow: &Workflow) -> Result<NumberedVersion, RpcError> {
    let page = PageQuery { cursor: None, limit: 2 };
    let page = service.store.workflow_changes(&workflow.sid, page).await;
    let entries = page.map_err(errors::of_store)?.items;
    match &entries[..] {
        [_, entry] => Ok(NumberedVersion {
            number: entry.version,
            sid: entry.version_sid.clone(),
            saved_at: entry.at,
        }),
        _ => {
            let message = format!("no version of `{}` was current before", workflow.name);
            Err(RpcError::new(ErrorKind::VersionNotFound, message)
                .hint(format!("`hero_logic workflow versions {}` lists them", workflow.name)))
        }
    }
}
