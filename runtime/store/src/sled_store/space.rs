//! How much room the disk has. A full disk does no harm that a reopened store would not mend, but it
//! stops everybody; so new work is refused while what was accepted can still be finished.

use std::path::Path;

use super::io_error;
use crate::Error;

/// How much must be free: so much, or this part of a small disk.
pub(super) struct Reserve {
    bytes: u64,
    part_of_disk: u64,
}

/// To accept a new play.
pub(super) const FOR_PLAYS: Reserve = Reserve { bytes: 64 << 20, part_of_disk: 4 };

/// To open a store: sled is then made anew.
pub(super) const TO_OPEN: Reserve = Reserve { bytes: 8 << 20, part_of_disk: 16 };

/// Whether so much is free.
///
/// # Errors
/// [`Error::NoSpace`].
pub(super) fn check(dir: &Path, reserve: Reserve) -> Result<(), Error> {
    let (free_bytes, disk_bytes) = room_in(dir)?;
    require(dir, free_bytes, reserve.bytes.min(disk_bytes / reserve.part_of_disk))
}

/// Whether so many bytes are free.
///
/// # Errors
/// [`Error::NoSpace`].
pub(super) fn check_for(dir: &Path, needed_bytes: u64) -> Result<(), Error> {
    require(dir, room_in(dir)?.0, needed_bytes)
}

/// How many bytes are free, and how many there are.
fn room_in(dir: &Path) -> Result<(u64, u64), Error> {
    let disk =
        rustix::fs::statvfs(dir).map_err(|error| io_error("ask for room in", dir)(error.into()))?;
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    let disk_bytes = disk.f_blocks.saturating_mul(disk.f_frsize);
    Ok((free_bytes, disk_bytes))
}

fn require(dir: &Path, free_bytes: u64, needed_bytes: u64) -> Result<(), Error> {
    if free_bytes < needed_bytes {
        return Err(Error::NoSpace { dir: dir.to_owned(), free_bytes, needed_bytes });
    }
    Ok(())
}
