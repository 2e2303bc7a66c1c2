//! `hero_logic run`

use std::path::{Path, PathBuf};

use hero_schema::rpc::PlayStart;
use hero_schema::{ErrorKind, Json, Play, RpcError, env};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use crate::args;
use crate::follow;
use crate::inputs::{Inputs, names, prefills};
use crate::output::Stopped;
use crate::session::{self, Role, Session};

pub(crate) async fn run(args: args::Run, context: Context) -> Result<i32, Stopped> {
    // All that can be wrong with the files is found before a server is looked for.
    let inputs = Inputs::read(args.input_file.as_deref(), &args.input)?;
    let order = order(&args)?;
    let role = if args.detach { Role::Looks } else { Role::Carries };
    session::with(context, role, async |session| {
        let with = |input| PlayStart { input_data: Some(input), ..order.clone() };
        let play: Play = call_with_inputs(session, "play_start", inputs, with).await?;
        follow::carry(session, &play, args.detach).await
    })
    .await
}

fn order(args: &args::Run) -> Result<PlayStart, RpcError> {
    let order = PlayStart {
        name: args.name.clone(),
        prefill_resumes: prefills(args.prefill_file.as_deref(), &args.prefill)?,
        prefill_only: args.prefill_only,
        budget: args.budget.budget(),
        final_callback_url: args.final_callback_url.clone(),
        timeout_ms: args
            .timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        idempotency_key: args.idempotency_key.clone(),
        ..PlayStart::default()
    };
    let Some((file, flow)) = file_and_flow(&args.target) else {
        return Ok(PlayStart { workflow_sid: Some(args.target.clone()), ..order });
    };
    // A file runs as if it were started right here: in this directory, with the Python of this shell.
    let here = std::env::current_dir().map_err(|error| {
        let message = format!("failed to read the current directory: {error}");
        RpcError::new(ErrorKind::FileUnreadable, message)
    })?;
    Ok(PlayStart {
        file: Some(here.join(file).display().to_string()),
        flow: flow.map(Into::into),
        python: python_of_this_shell(),
        working_dir: Some(here.display().to_string()),
        ..order
    })
}

/// The parts of `FILE.py` or `FILE.py:FLOW`; None for what names a workflow.
pub(crate) fn file_and_flow(target: &str) -> Option<(&Path, Option<&str>)> {
    let is_file = |path: &str| path.ends_with(".py");
    match target.rsplit_once(':') {
        Some((path, flow)) if is_file(path) => Some((Path::new(path), Some(flow))),
        _ if is_file(target) || target.contains('/') => Some((Path::new(target), None)),
        _ => None,
    }
}

/// What this shell has chosen; None where it has chosen nothing, and the server does.
pub(crate) fn python_of_this_shell() -> Option<String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let of_virtual_env = || {
        let python = PathBuf::from(set("VIRTUAL_ENV")?).join("bin/python");
        python.exists().then_some(python)
    };
    let python = set(env::PYTHON).map(PathBuf::from).or_else(of_virtual_env)?;
    Some(python.display().to_string())
}

/// Calls a method with inputs for a flow. Inputs that the flow refuses and that may have been meant as text
/// are offered again as text: a call that was refused has stored nothing.
pub(crate) async fn call_with_inputs<P: Serialize, R: DeserializeOwned>(
    session: &mut Session,
    method: &str,
    mut inputs: Inputs,
    with: impl Fn(Json) -> P,
) -> Result<R, RpcError> {
    let refused = match session.call(method, &with(inputs.json())).await {
        Err(error) if error.kind == ErrorKind::InputMismatch => error,
        answer => return answer,
    };
    let as_text = inputs.take_as_text(&refused.message);
    if as_text.is_empty() {
        return Err(refused);
    }
    match session.call(method, &with(inputs.json())).await {
        // It was not text either: what was typed is what has to be told about.
        Err(error) if as_text.iter().any(|key| names(&error.message, key)) => Err(refused),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_file_or_a_workflow() {
        let cases = [
            ("flow.py", Some(("flow.py", None))),
            ("a/flow.py:main", Some(("a/flow.py", Some("main")))),
            ("a:b/flow.py", Some(("a:b/flow.py", None))),
            ("a/flow", Some(("a/flow", None))),
            ("nightly", None),
            ("team:nightly", None),
        ];
        for (target, expected) in cases {
            let expected = expected.map(|(path, flow)| (Path::new(path), flow));
            assert_eq!(file_and_flow(target), expected, "{target}");
        }
    }
}
