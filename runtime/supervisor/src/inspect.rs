//! Reading a file with flows, by the interpreter that would run it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use hero_schema::rpc::{Checked, Finding};
use hero_schema::{Bundle, ErrorKind, FlowSignature, exit};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::supervisor::Shared;
use crate::{Error, environment, interpreter};

/// How long reading a file may take; it runs no user code.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Inspected {
    bundle: Bundle,
    signature: FlowSignature,
}

#[derive(Deserialize)]
struct Sources {
    sources: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Rejected {
    error: Rejection,
}

#[derive(Deserialize)]
struct Rejection {
    message: String,
    hint: Option<String>,
}

pub(crate) async fn inspect(
    shared: &Shared,
    file: &Path,
    flow: Option<&str>,
    python: Option<&Path>,
) -> Result<(Bundle, FlowSignature), Error> {
    check_readable(file)?;
    check_flow(file, flow)?;
    let python = interpreter::choose(python, shared.settings.python.as_deref());
    let arguments = [Some(file.as_os_str()), flow.map(OsStr::new)];
    let found: Inspected = ask(shared, &python, arguments.into_iter().flatten()).await?;
    Ok((found.bundle, found.signature))
}

/// The functions of a bundle, by the names that steps of them have: the hashes of their sources.
pub(crate) async fn sources(
    shared: &Shared,
    entry: &Path,
    python: Option<&Path>,
) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let python = interpreter::choose(python, shared.settings.python.as_deref());
    let found: Sources = ask(shared, &python, [OsStr::new("--sources"), entry.as_os_str()]).await?;
    Ok(found.sources)
}

/// What the text of a file tells of it that may surprise its author.
pub(crate) async fn check(
    shared: &Shared,
    file: &Path,
    flow: Option<&str>,
    python: Option<&Path>,
) -> Result<Vec<Finding>, Error> {
    check_readable(file)?;
    check_flow(file, flow)?;
    let python = interpreter::choose(python, shared.settings.python.as_deref());
    let arguments = [Some(OsStr::new("--check")), Some(file.as_os_str()), flow.map(OsStr::new)];
    let found: Checked = ask(shared, &python, arguments.into_iter().flatten()).await?;
    Ok(found.findings)
}

async fn ask<T: DeserializeOwned>(
    shared: &Shared,
    python: &Path,
    arguments: impl IntoIterator<Item = &OsStr>,
) -> Result<T, Error> {
    let mut command = Command::new(python);
    command
        .args(["-m", "pyhero._inspect"])
        .args(arguments)
        .env_clear()
        .envs(environment::of_interpreters())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let (child, _started) = shared
        .spawner
        .spawn(command, None)
        .await
        .map_err(|error| unusable(python, &error.to_string()))?;
    match tokio::time::timeout(INSPECT_TIMEOUT, child.wait_with_output()).await {
        Ok(Ok(output)) => read(python, &output),
        Ok(Err(error)) => Err(unusable(python, &error.to_string())),
        Err(_) => Err(unusable(python, "it did not answer in 30 s")),
    }
}

fn check_flow(file: &Path, flow: Option<&str>) -> Result<(), Error> {
    match flow.filter(|name| name.contains('\0')) {
        None => Ok(()),
        Some(name) => Err(Error::Inspect {
            kind: ErrorKind::FlowDefinition,
            message: format!("there is no flow {name:?} in `{}`", file.display()),
            hint: None,
        }),
    }
}

fn check_readable(file: &Path) -> Result<(), Error> {
    let reason = match std::fs::File::open(file).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => "it is not a file".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::Inspect {
        kind: ErrorKind::FileUnreadable,
        message: format!("failed to read `{}`: {reason}", file.display()),
        hint: Some("give the path of a Python file with a function decorated with `@flow`".into()),
    })
}

fn read<T: DeserializeOwned>(python: &Path, output: &Output) -> Result<T, Error> {
    let said =
        |reason: serde_json::Error| unusable(python, &format!("it answered nonsense: {reason}"));
    match output.status.code() {
        Some(exit::SUCCESS) => serde_json::from_slice(&output.stdout).map_err(said),
        Some(exit::USAGE) if !output.stdout.is_empty() => {
            let Rejected { error } = serde_json::from_slice(&output.stdout).map_err(said)?;
            let Rejection { message, hint } = error;
            Err(Error::Inspect { kind: ErrorKind::FlowDefinition, message, hint })
        }
        _ => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last_line = stderr.lines().rfind(|line| !line.trim().is_empty());
            Err(unusable(python, last_line.unwrap_or("it said nothing")))
        }
    }
}

pub(crate) fn unusable(python: &Path, reason: &str) -> Error {
    Error::Inspect {
        kind: ErrorKind::InterpreterUnusable,
        message: format!("failed to run `pyhero` with `{}`: {reason}", python.display()),
        hint: Some(
            "install `pyhero` into that interpreter, activate another virtual environment, or set HERO_PYTHON".into(),
        ),
    }
}
