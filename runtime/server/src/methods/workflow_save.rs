//! `workflow_save`

use std::path::Path;

use hero_schema::name::is_name;
use hero_schema::rpc::WorkflowSave;
use hero_schema::step::version_sid;
use hero_schema::{ErrorKind, RpcError, Timestamp, Workflow, WorkflowSid, WorkflowVersion};
use hero_store::{Batch, Error, Write};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: WorkflowSave) -> Result<Workflow, RpcError> {
    check_name(&params.name)?;
    let python = params.python.as_deref();
    let version = read_version(service, &params.file, params.flow.as_deref(), python).await?;
    loop {
        let known = service.store.workflow(&params.name).await.map_err(errors::of_store)?;
        let workflow = match known {
            Some(known) if known.current_version_sid == version.sid => return Ok(known),
            Some(known) => next_of(known, &version, service.store.now()),
            None => first_of(&params.name, &version, service.store.now()),
        };
        let writes = vec![
            Write::Version(Box::new(version.clone())),
            Write::Workflow(Box::new(workflow.clone())),
        ];
        match service.store.commit(Batch { fence: None, writes }).await {
            Ok(()) => return Ok(workflow),
            // Someone else saved under this name in between: what they saved is looked at again.
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(errors::of_store(error)),
        }
    }
}

fn first_of(name: &str, version: &WorkflowVersion, now: Timestamp) -> Workflow {
    Workflow {
        sid: WorkflowSid::new(ulid::Ulid::generate().to_string().to_lowercase()),
        name: name.to_owned(),
        description: version.signature.description.clone(),
        current_version_sid: version.sid.clone(),
        version: 1,
        inputs: version.signature.inputs.clone(),
        outputs: version.signature.outputs.clone(),
        created_at: now,
        updated_at: now,
    }
}

fn next_of(workflow: Workflow, version: &WorkflowVersion, now: Timestamp) -> Workflow {
    Workflow {
        version: workflow.version + 1,
        sid: workflow.sid,
        created_at: workflow.created_at,
        ..first_of(&workflow.name, version, now)
    }
}

/// The version that a file makes, not stored yet.
pub(crate) async fn read_version(
    service: &Service,
    file: &str,
    flow: Option<&str>,
    python: Option<&str>,
) -> Result<WorkflowVersion, RpcError> {
    let path = Path::new(file);
    if !path.is_absolute() {
        let message = format!("`{file}` is not an absolute path");
        return Err(RpcError::new(ErrorKind::InvalidParams, message));
    }
    let inspected = service.supervisor.inspect(path, flow, python.map(Path::new)).await;
    let (bundle, signature) = inspected.map_err(errors::of_supervisor)?;
    let created_at = service.store.now();
    Ok(WorkflowVersion { sid: version_sid(&bundle), bundle, signature, created_at })
}

/// Refuses what no workflow or play can be called.
fn check_name(name: &str) -> Result<(), RpcError> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!("{name:?} is no name");
    Err(RpcError::new(ErrorKind::InvalidName, message).hint(
        "a name begins with a letter or `_`, goes on with letters, digits, `_`, `.` or `-`, and has at most 128 characters",
    ))
}
