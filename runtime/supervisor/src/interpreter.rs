//! Which Python runs a play.

use std::env;
use std::path::{Path, PathBuf};

use hero_schema::env::PYTHON;

/// The interpreter for a play: the one it names, else the supervisor's setting, else
/// `$HERO_PYTHON`, else that of the active virtual environment, else the one beside this program
/// (a wheel installs both into one `bin`), else `python3` on the PATH.
pub(crate) fn choose(named: Option<&Path>, setting: Option<&Path>) -> PathBuf {
    named
        .or(setting)
        .map(Path::to_path_buf)
        .or_else(|| env::var_os(PYTHON).filter(|value| !value.is_empty()).map(PathBuf::from))
        .or_else(of_virtual_env)
        .or_else(beside_this_program)
        .unwrap_or_else(|| PathBuf::from("python3"))
}

fn of_virtual_env() -> Option<PathBuf> {
    let python = PathBuf::from(env::var_os("VIRTUAL_ENV")?).join("bin/python");
    python.exists().then_some(python)
}

fn beside_this_program() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let python = program.parent()?.join("python");
    python.exists().then_some(python)
}
