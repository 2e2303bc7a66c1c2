//! `workflow_save`

use std::path::Path;

use hero_core::library;
use hero_schema::name::is_name;
use hero_schema::rpc::WorkflowSave;
use hero_schema::step::version_sid;
use hero_schema::{ErrorKind, RpcError, Workflow, WorkflowSid, WorkflowVersion};

use crate::service::Service;
use crate::{errors, library as stored};

pub(crate) async fn run(service: &Service, params: WorkflowSave) -> Result<Workflow, RpcError> {
    check_name(&params.name)?;
    let python = params.python.as_deref();
    let version = read_version(service, &params.file, params.flow.as_deref(), python).await?;
    save(service, &params.name, version).await
}

/// Makes a version the current one of the workflow of this name.
pub(crate) async fn save(
    service: &Service,
    name: &str,
    version: WorkflowVersion,
) -> Result<Workflow, RpcError> {
    loop {
        let known = service.store.workflow(name).await.map_err(errors::of_store)?;
        let now = service.store.now();
        let change = match known {
            Some(known) => {
                let number = service.store.versions_from(&known.sid, version.sid.as_str(), 1).await;
                let number = number.map_err(errors::of_store)?.pop();
                match library::saved(known.clone(), number, &version, now) {
                    Some(change) => change,
                    None => return Ok(known),
                }
            }
            None => library::first(new_sid(), name, &version, now),
        };
        // Someone else may have saved under this name in between.
        if let Some(workflow) = stored::store(service, &version, change).await? {
            return Ok(workflow);
        }
    }
}

fn new_sid() -> WorkflowSid {
    WorkflowSid::new(ulid::Ulid::generate().to_string().to_lowercase())
}

/// The version that a file makes, not stored yet.
pub(crate) async fn read_version(
    service: &Service,
    file: &str,
    flow: Option<&str>,
    python: Option<&str>,
) -> Result<WorkflowVersion, RpcError> {
    let path = absolute(file)?;
    let inspected = service.supervisor.inspect(path, flow, python.map(Path::new)).await;
    let (bundle, signature) = inspected.map_err(errors::of_supervisor)?;
    let created_at = service.store.now();
    Ok(WorkflowVersion { sid: version_sid(&bundle), bundle, signature, saved: None, created_at })
}

/// The path of a file, which is the same for whoever reads it.
pub(crate) fn absolute(file: &str) -> Result<&Path, RpcError> {
    let path = Path::new(file);
    if path.is_absolute() {
        return Ok(path);
    }
    let message = format!("`{file}` is not an absolute path");
    Err(RpcError::new(ErrorKind::InvalidParams, message))
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
