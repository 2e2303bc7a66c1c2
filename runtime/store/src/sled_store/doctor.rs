//! Looks after damaged directories: says what is there and what is lost, and saves what is readable.
//!
//! What was written ahead is read over its gaps, and sled reads only a copy of its files, because it
//! mends them when it opens them. A play is carried over only where everything is there that its next
//! launch would build on; another would do again what it has done before. It is put into quarantine,
//! where people can read it.

mod copy;
mod diagnosis;
mod report;
mod rescue;
mod salvage;

use std::path::Path;

use super::directory;
use super::lock::{self, DirectoryLock};
use crate::Error;
pub use report::{Finding, Repaired, Report};

/// Says how the store of a directory is. Nothing is changed, and another process may have it open;
/// then the report is of a moment between two writes.
///
/// # Errors
/// [`Error::Io`] where the directory cannot be read or no copy can be made; [`Error::Format`] where a
/// newer version wrote it.
pub fn examine(dir: &Path) -> Result<Report, Error> {
    directory::check_format(dir)?;
    let holder = lock::holder_of(dir)?;
    let diagnosis = diagnosis::of(dir)?;
    Ok(Report { holder, ..diagnosis.report(dir) })
}

/// Saves what is readable, where [`examine`] finds something lost: it is written to a new store, which
/// takes the place of the old one. The old one is kept beside it as `<name>.damaged-<n>`.
///
/// A crash leaves the old store or the new one in its place, both whole.
///
/// # Errors
/// As [`examine`]; [`Error::InUse`] where a process has it open; [`Error::NoSpace`] where there is no
/// room for a second one.
pub fn repair(dir: &Path) -> Result<Report, Error> {
    directory::check_format(dir)?;
    // What is renamed must be the directory and not a link to it.
    let dir = &dir.canonicalize().map_err(super::io_error("find", dir))?;
    let _lock = DirectoryLock::take(dir)?;
    let diagnosis = diagnosis::of(dir)?;
    let report = diagnosis.report(dir);
    if !report.needs_repair() {
        return Ok(report);
    }
    let repaired = rescue::replace(dir, &diagnosis)?;
    Ok(Report { repaired: Some(repaired), ..report })
}
