//! `play_start`

use std::time::Duration;

use hero_core::{answer, template};
use hero_rpc::server::Caller;
use hero_schema::name::{KEY_CHARS_MAX, NAME_CHARS_MAX, is_key};
use hero_schema::rpc::PlayStart;
use hero_schema::{
    Budget, ErrorKind, FlowField, FlowSignature, Json, Play, PlayRecord, RpcError, SavedPlay,
    StartKey, Starter, WorkflowSid,
};
use hero_supervisor::{NewPlay, VersionChoice};

use super::workflow_save::read_version;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayStart,
    caller: Caller,
) -> Result<Play, RpcError> {
    let by = Starter::Rpc { uid: caller.uid };
    let play = match start(service, params, by).await? {
        Started::Now(record) => Play { created: Some(true), ..Play::new(record, Vec::new()) },
        Started::Before(record) => {
            let requests = service.store.requests(&record.sid).await.map_err(errors::of_store)?;
            Play { created: Some(false), ..Play::new(record, requests) }
        }
    };
    Ok(play)
}

/// The play that a start comes to.
pub(crate) enum Started {
    /// It was stored now.
    Now(PlayRecord),
    /// It was started with the same key earlier.
    Before(PlayRecord),
}

/// A start with a key that is known comes to the play that was started with it: nothing of what it asks
/// for is looked at, so that a file or a workflow that has changed or gone makes no difference.
pub(crate) async fn start(
    service: &Service,
    params: PlayStart,
    started_by: Starter,
) -> Result<Started, RpcError> {
    let Some(start_key) = start_key(&params)? else {
        return start_new(service, params, None, started_by).await.map(Started::Now);
    };
    let input = params.input_data.clone().unwrap_or_else(Json::empty_object);
    if let Some(earlier) = started_with(service, &start_key, &input).await? {
        return Ok(Started::Before(earlier));
    }
    match start_new(service, params, Some(start_key.clone()), started_by).await {
        // Another start of this key has come first.
        Err(error) if error.kind == ErrorKind::IdempotencyConflict => {
            started_with(service, &start_key, &input).await?.map(Started::Before).ok_or(error)
        }
        started => started.map(Started::Now),
    }
}

fn start_key(params: &PlayStart) -> Result<Option<StartKey>, RpcError> {
    let Some(key) = &params.idempotency_key else { return Ok(None) };
    if !is_key(key) {
        let message = format!("{key:?} is no idempotency key");
        return Err(RpcError::new(ErrorKind::InvalidParams, message)
            .hint(format!("a key is one line of 1 to {KEY_CHARS_MAX} characters")));
    }
    Ok(Some(StartKey { key: key.clone(), fingerprint: params.fingerprint() }))
}

/// The play that was started with a key.
async fn started_with(
    service: &Service,
    start_key: &StartKey,
    input: &Json,
) -> Result<Option<PlayRecord>, RpcError> {
    let earlier = service.store.play_started_with(&start_key.key).await;
    let Some(earlier) = earlier.map_err(errors::of_store)? else { return Ok(None) };
    if earlier.start_key.as_ref() == Some(start_key) {
        return Ok(Some(earlier));
    }
    // Inputs that its flow would refuse are told about as such: `hero_logic run` gives them again as text.
    let version = service.supervisor.version(&earlier.version_sid).await;
    let version = version.map_err(errors::of_supervisor)?;
    check_input(&version.bundle.flow, &version.signature, input)?;
    let message = format!(
        "the idempotency key {:?} has started play `{}` with other inputs",
        start_key.key, earlier.sid
    );
    Err(RpcError::new(ErrorKind::IdempotencyConflict, message)
        .hint("give each thing that is to happen once a key of its own"))
}

/// Checks everything first, so that a refused start has stored nothing.
async fn start_new(
    service: &Service,
    params: PlayStart,
    start_key: Option<StartKey>,
    started_by: Starter,
) -> Result<PlayRecord, RpcError> {
    if let Some(name) = &params.name {
        check_play_name(name)?;
    }
    check_prefill(params.prefill_resumes.keys())?;
    check_budget(params.budget)?;
    check_working_dir(params.working_dir.as_deref())?;
    if let Some(url) = &params.final_callback_url {
        service.supervisor.check_final_callback(url).map_err(errors::of_supervisor)?;
    }
    let code = code_of(service, &params).await?;
    let input = params.input_data.unwrap_or_else(Json::empty_object);
    check_input(&code.flow, &code.signature, &input)?;
    let input = arguments(&code, input)?;
    let new = NewPlay {
        name: params.name.unwrap_or(code.flow),
        workflow_sid: code.workflow_sid,
        started_by,
        version: code.version,
        input,
        prefill: params.prefill_resumes,
        prefill_only: params.prefill_only,
        python: params.python,
        working_dir: params.working_dir,
        budget: params.budget,
        forbids_replan: false,
        timeout: params.timeout_ms.map(Duration::from_millis),
        final_callback_url: params.final_callback_url,
        start_key,
    };
    service.supervisor.start_play(new).await.map_err(errors::of_supervisor)
}

struct Code {
    workflow_sid: Option<WorkflowSid>,
    version: VersionChoice,
    flow: String,
    signature: FlowSignature,
    /// What the version was given by a play.
    saved: Option<SavedPlay>,
}

async fn code_of(service: &Service, params: &PlayStart) -> Result<Code, RpcError> {
    match (&params.workflow_sid, &params.file) {
        (Some(workflow), None) => {
            let found = service.supervisor.resolve(workflow).await;
            let found = found.map_err(errors::of_supervisor)?;
            let version = service.supervisor.version(&found.version.sid).await;
            let version = version.map_err(errors::of_supervisor)?;
            Ok(Code {
                workflow_sid: Some(found.workflow.sid),
                version: VersionChoice::Stored(found.version.sid),
                flow: version.bundle.flow.clone(),
                signature: version.signature.clone(),
                saved: version.saved.clone(),
            })
        }
        (None, Some(file)) => {
            let python = params.python.as_deref();
            let version = read_version(service, file, params.flow.as_deref(), python).await?;
            Ok(Code {
                workflow_sid: None,
                flow: version.bundle.flow.clone(),
                signature: version.signature.clone(),
                saved: None,
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

/// Refuses a budget that bounds nothing, or by no amount.
pub(crate) fn check_budget(budget: Option<Budget>) -> Result<(), RpcError> {
    if budget.is_none_or(|budget| budget.is_sound()) {
        return Ok(());
    }
    Err(RpcError::new(ErrorKind::InvalidParams, "that is no budget")
        .hint("give `cost_usd`, a number from 0 on, or `tokens`, a whole number, or both"))
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

/// The arguments of the flow, for what the play was given.
fn arguments(code: &Code, input: Json) -> Result<Json, RpcError> {
    let Some(saved) = &code.saved else { return Ok(input) };
    template::arguments(saved, &code.signature.inputs, &input).map_err(|misfit| {
        let message = format!("the inputs do not fit `{}`: {misfit}", code.flow);
        let fields = parameters(&saved.flow_signature.inputs);
        RpcError::new(ErrorKind::InputMismatch, message)
            .hint(format!("with the inputs in it, it is called as {}({fields})", code.flow))
    })
}

pub(crate) fn check_input(
    flow: &str,
    signature: &FlowSignature,
    input: &Json,
) -> Result<(), RpcError> {
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
