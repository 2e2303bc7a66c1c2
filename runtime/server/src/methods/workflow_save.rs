//! `workflow_save`

use std::path::Path;

use hero_schema::name::is_name;
use hero_schema::rpc::WorkflowSave;
use hero_schema::step::version_sid;
use hero_schema::{ErrorKind, RpcError, Workflow, WorkflowSid, WorkflowVersion};
use hero_store::{Batch, Write};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: WorkflowSave) -> Result<Workflow, RpcError> {
    check_name(&params.name)?;
    let python = params.python.as_deref();
    let version = read_version(service, &params.file, params.flow.as_deref(), python).await?;
    let known = service.store.workflow(&params.name).await.map_err(errors::of_store)?;
    let now = service.store.now();
    let workflow = match known {
        Some(workflow) if workflow.current_version_sid == version.sid => return Ok(workflow),
        Some(workflow) => Workflow {
            version: workflow.version + 1,
            updated_at: now,
            current_version_sid: version.sid.clone(),
            description: version.signature.description.clone(),
            inputs: version.signature.inputs.clone(),
            outputs: version.signature.outputs.clone(),
            ..workflow
        },
        None => Workflow {
            sid: WorkflowSid::new(ulid::Ulid::generate().to_string().to_lowercase()),
            name: params.name,
            description: version.signature.description.clone(),
            current_version_sid: version.sid.clone(),
            version: 1,
            inputs: version.signature.inputs.clone(),
            outputs: version.signature.outputs.clone(),
            created_at: now,
            updated_at: now,
        },
    };
    let writes =
        vec![Write::Version(Box::new(version)), Write::Workflow(Box::new(workflow.clone()))];
    service.store.commit(Batch { fence: None, writes }).await.map_err(errors::of_store)?;
    Ok(workflow)
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
pub(crate) fn check_name(name: &str) -> Result<(), RpcError> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!("{name:?} is no name");
    Err(RpcError::new(ErrorKind::InvalidName, message).hint(
        "a name begins with a letter or `_`, goes on with letters, digits, `_`, `.` or `-`, and has at most 128 characters",
    ))
}
