//! `play_start`

use std::time::Duration;

use hero_core::answer;
use hero_schema::name::NAME_CHARS_MAX;
use hero_schema::rpc::PlayStart;
use hero_schema::{
    ErrorKind, FlowField, FlowSignature, Json, Play, PlayRecord, RpcError, WorkflowSid,
};
use hero_supervisor::{NewPlay, VersionChoice};

use super::workflow_get;
use super::workflow_save::read_version;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayStart) -> Result<Play, RpcError> {
    start(service, params).await.map(|record| Play::new(record, Vec::new()))
}

/// Checks everything first, so that a refused start has stored nothing.
pub(crate) async fn start(service: &Service, params: PlayStart) -> Result<PlayRecord, RpcError> {
    if let Some(name) = &params.name {
        check_play_name(name)?;
    }
    check_prefill(params.prefill_resumes.keys())?;
    check_working_dir(params.working_dir.as_deref())?;
    let code = code_of(service, &params).await?;
    let input = params.input_data.unwrap_or_else(Json::empty_object);
    check_input(&code.flow, &code.signature, &input)?;
    let new = NewPlay {
        name: params.name.unwrap_or(code.flow),
        workflow_sid: code.workflow_sid,
        version: code.version,
        input,
        prefill: params.prefill_resumes,
        prefill_only: params.prefill_only,
        python: params.python,
        working_dir: params.working_dir,
        timeout: params.timeout_ms.map(Duration::from_millis),
    };
    service.supervisor.start_play(new).await.map_err(errors::of_supervisor)
}

struct Code {
    workflow_sid: Option<WorkflowSid>,
    version: VersionChoice,
    flow: String,
    signature: FlowSignature,
}

async fn code_of(service: &Service, params: &PlayStart) -> Result<Code, RpcError> {
    match (&params.workflow_sid, &params.file) {
        (Some(workflow), None) => {
            let workflow = workflow_get::find(service, workflow).await?;
            let version = service.supervisor.version(&workflow.current_version_sid).await;
            let version = version.map_err(errors::of_supervisor)?;
            Ok(Code {
                workflow_sid: Some(workflow.sid),
                version: VersionChoice::Stored(workflow.current_version_sid),
                flow: version.bundle.flow.clone(),
                signature: version.signature.clone(),
            })
        }
        (None, Some(file)) => {
            let python = params.python.as_deref();
            let version = read_version(service, file, params.flow.as_deref(), python).await?;
            Ok(Code {
                workflow_sid: None,
                flow: version.bundle.flow.clone(),
                signature: version.signature.clone(),
                version: VersionChoice::New(Box::new(version)),
            })
        }
        _ => Err(RpcError::new(
            ErrorKind::InvalidParams,
            "give exactly one of `workflow_sid` and `file`",
        )),
    }
}

/// A play is known by its sid; its name is for people, so any line of text will do.
fn check_play_name(name: &str) -> Result<(), RpcError> {
    let n_chars = name.chars().count();
    if (1..=NAME_CHARS_MAX).contains(&n_chars) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(RpcError::new(ErrorKind::InvalidName, format!("{name:?} is no name for a play"))
        .hint(format!("a play's name is one line of 1 to {NAME_CHARS_MAX} characters")))
}

/// Refuses prefill patterns that can match no pause.
pub(crate) fn check_prefill<'a>(
    patterns: impl Iterator<Item = &'a String>,
) -> Result<(), RpcError> {
    for pattern in patterns {
        if pattern.is_empty() || pattern.chars().any(char::is_control) {
            let message = format!("{pattern:?} is no prefill pattern");
            return Err(RpcError::new(ErrorKind::InvalidName, message)
                .hint("a pattern is the name of a pause, or a glob such as `approve*`"));
        }
    }
    Ok(())
}

fn check_working_dir(dir: Option<&str>) -> Result<(), RpcError> {
    match dir {
        Some(dir) if !std::path::Path::new(dir).is_absolute() => {
            let message = format!("working directory `{dir}` is not an absolute path");
            Err(RpcError::new(ErrorKind::InvalidParams, message))
        }
        Some(dir) if !std::path::Path::new(dir).is_dir() => {
            let message = format!("there is no directory `{dir}` to work in");
            Err(RpcError::new(ErrorKind::InvalidParams, message))
        }
        _ => Ok(()),
    }
}

fn check_input(flow: &str, signature: &FlowSignature, input: &Json) -> Result<(), RpcError> {
    let misfit = if input.text().trim_start().starts_with('{') {
        answer::check(signature.input_schema.as_ref(), input).err().map(|misfit| misfit.to_string())
    } else {
        Some("the inputs are not a JSON object".into())
    };
    match misfit {
        None => Ok(()),
        Some(misfit) => {
            let message = format!("the inputs do not fit `{flow}`: {misfit}");
            Err(RpcError::new(ErrorKind::InputMismatch, message)
                .hint(format!("the flow takes {flow}({})", parameters(&signature.inputs))))
        }
    }
}

/// `version: string, dry_run: boolean = false`
fn parameters(fields: &[FlowField]) -> String {
    let parameter = |field: &FlowField| {
        let declared = field.field_type.map_or(String::new(), |t| format!(": {}", t.word()));
        let default = match &field.default {
            Some(default) => format!(" = {default}"),
            None if field.required => String::new(),
            None => " = …".into(),
        };
        format!("{}{declared}{default}", field.name)
    };
    fields.iter().map(parameter).collect::<Vec<_>>().join(", ")
}
