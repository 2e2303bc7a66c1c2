//! What can be found out about the surroundings of a supervisor without being one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::procfs;
use crate::{Error, environment, inspect, interpreter};

/// How long an interpreter may take to import `pyhero`.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Prints the version of `pyhero` that can be imported; an empty line where it was not installed as a
/// package and so has none.
const TELL_VERSION: &str = "
import importlib.metadata, pyhero
try:
    print(importlib.metadata.version('pyhero'))
except importlib.metadata.PackageNotFoundError:
    print()
";

/// An interpreter that can run plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Where it is, or what it is called on the `PATH`.
    pub path: PathBuf,
    /// The version of its `pyhero`; None where that does not say.
    pub pyhero_version: Option<String>,
}

/// Tries the interpreter of plays that name none.
///
/// # Errors
/// [`Error::Inspect`]: it cannot be started, or has no `pyhero`.
pub async fn interpreter(setting: Option<&Path>) -> Result<Interpreter, Error> {
    let path = interpreter::choose(None, setting);
    let mut command = Command::new(&path);
    command
        .args(["-c", TELL_VERSION])
        .env_clear()
        .envs(environment::of_interpreters())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(ANSWER_WITHIN, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(inspect::unusable(&path, &error.to_string())),
        Err(_) => return Err(inspect::unusable(&path, "it did not answer in 30 s")),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last_line = stderr.lines().rfind(|line| !line.trim().is_empty());
        return Err(inspect::unusable(&path, last_line.unwrap_or("it said nothing")));
    }
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Interpreter { path, pyhero_version: Some(version).filter(|version| !version.is_empty()) })
}

/// The processes of launches that report to this span socket, by their environment. Where no
/// supervisor runs they are left over; the next one ends them.
pub fn launch_pids(span_socket: &Path) -> Vec<i32> {
    let reporting = procfs::reporting_to(span_socket).into_iter();
    reporting.map(|pid| pid.as_raw_nonzero().get()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interpreter_that_cannot_run_plays_says_why() {
        for (path, reason) in [("/no/such/python", "No such file"), ("/bin/false", "said nothing")]
        {
            let refused = interpreter(Some(Path::new(path))).await;
            let Err(Error::Inspect { message, hint, .. }) = refused else { panic!("{refused:?}") };
            assert!(message.contains(path) && message.contains(reason), "{message}");
            assert!(hint.is_some());
        }
    }
}
