//! `workflow_check`

use std::path::Path;

use hero_schema::RpcError;
use hero_schema::rpc::{Checked, WorkflowCheck};

use super::workflow_save::absolute;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: WorkflowCheck) -> Result<Checked, RpcError> {
    let file = absolute(&params.file)?;
    let python = params.python.as_deref().map(Path::new);
    let found = service.supervisor.check(file, params.flow.as_deref(), python).await;
    Ok(Checked { findings: found.map_err(errors::of_supervisor)? })
}
