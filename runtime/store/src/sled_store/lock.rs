//! One process at a time: the lock file of a directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::io_error;
use crate::{Error, clock};

/// How long a lock without the signature of a living process is waited for: its holder has not signed yet,
/// or was killed, and a process that it was just starting has still to let go of what it inherited.
const UNSIGNED_MAX: Duration = Duration::from_secs(1);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// The lock of a directory, held until it is dropped or the process ends, however it ends.
///
/// The system holds the lock; the file's content only says whose it is, and is stale afterwards.
pub(super) struct DirectoryLock(#[expect(dead_code, reason = "held, never read")] File);

impl DirectoryLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Error::InUse`] names who holds it.
    pub(super) fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(io_error("open", &path))?;
        if let Some(holder) =
            unless_held(&mut file, File::try_lock).map_err(io_error("lock", &path))?
        {
            return Err(Error::InUse { dir: dir.to_owned(), holder });
        }
        sign(&mut file).map_err(io_error("write", &path))?;
        Ok(Self(file))
    }
}

/// Who has a directory open; None where nobody has. It changes nothing.
pub(super) fn holder_of(dir: &Path) -> Result<Option<String>, Error> {
    let path = dir.join("lock");
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", &path)(error)),
    };
    unless_held(&mut file, File::try_lock_shared).map_err(io_error("lock", &path))
}

fn sign(file: &mut File) -> std::io::Result<()> {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(Path::file_name).unwrap_or("a process".as_ref());
    file.set_len(0)?;
    writeln!(
        file,
        "{} (pid {}, since {})",
        name.display(),
        std::process::id(),
        clock::text(clock::now())
    )
}

/// Takes the lock, or returns how its holder describes itself.
fn unless_held(
    file: &mut File,
    try_lock: impl Fn(&File) -> Result<(), TryLockError>,
) -> std::io::Result<Option<String>> {
    let deadline = Instant::now() + UNSIGNED_MAX;
    loop {
        match try_lock(file) {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
        if read.is_ok() && is_of_a_living_process(&text) {
            return Ok(Some(text.trim().to_owned()));
        }
        if Instant::now() >= deadline {
            return Ok(Some("another process".into()));
        }
        thread::sleep(LOOK);
    }
}

fn is_of_a_living_process(signature: &str) -> bool {
    let pid = signature.split_once("(pid ").and_then(|(_, rest)| rest.split(',').next());
    pid.is_some_and(|pid| Path::new("/proc").join(pid).exists())
}
