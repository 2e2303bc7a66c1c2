//! A launch without its supervisor must not go on: nobody would remember what it does.

use std::io::Write;

use pyo3::prelude::*;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The exit code of a launch that lost its supervisor or was refused by it (`EX_SOFTWARE`).
pub(crate) const CUT_OFF: i32 = 70;

/// Asks the kernel to kill this process when its parent ends, and ends it here if the parent ended
/// while that was asked.
pub(crate) fn die_with_the_parent() -> std::io::Result<()> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != parent {
        end_process("the supervisor ended while this launch began");
    }
    Ok(())
}

/// As [`die_with_the_parent`], for a fork that does not know yet which launch it will be.
#[pyfunction(name = "die_with_the_parent")]
pub(crate) fn die_with_the_fork_server() -> PyResult<()> {
    die_with_the_parent().map_err(Into::into)
}

/// Writes why to standard error and ends the process at once: no `finally` of the flow runs.
pub(crate) fn end_process(reason: &str) -> ! {
    // If standard error is gone as well there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "pyhero: this launch must end: {reason}");
    std::process::exit(CUT_OFF)
}
