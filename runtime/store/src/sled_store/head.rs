//! How many writes were acknowledged, told by a file beside sled's.
//!
//! Where the last entry of the log is damaged, or the log is cut, that looks as if nobody had been told of
//! it yet: remembered steps would run again. So each write is counted in the log, and the count is noted
//! here once it is durable; a log that comes to less has lost something.
//!
//! A note costs no sync. It survives a kill at once; after a power cut it may be older than the
//! tree, never newer, and then proves less.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::io_error;
use crate::Error;

/// A count and its checksum, both big-endian.
const NOTE_BYTES: usize = 12;

/// The file `head` of a store's directory.
pub(super) struct Head {
    file: File,
    path: PathBuf,
}

impl Head {
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("head");
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(io_error("open", &path))?;
        Ok(Self { file, path })
    }

    /// How many writes were noted in a directory; None where none were.
    pub(super) fn noted(dir: &Path) -> Result<Option<u64>, Error> {
        let path = dir.join("head");
        match File::open(&path) {
            Ok(file) => Self { file, path }.read(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("open", &path)(error)),
        }
    }

    /// Refuses a tree that has come to less than was noted. Without a note any tree will do.
    pub(super) fn check(&self, n_writes: u64) -> Result<(), Error> {
        match self.read()? {
            Some(n_noted) if n_noted > n_writes => Err(damaged(
                "the tree",
                format!("of {n_noted} acknowledged writes it holds the first {n_writes}"),
            )),
            _ => Ok(()),
        }
    }

    /// Whether nothing was ever noted.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.read(), Ok(None))
    }

    /// Notes what is durable now.
    pub(super) fn note(&self, n_writes: u64) -> Result<(), Error> {
        let count = n_writes.to_be_bytes();
        let mut note = [0; NOTE_BYTES];
        note[..8].copy_from_slice(&count);
        note[8..].copy_from_slice(&crc32fast::hash(&count).to_be_bytes());
        self.file.write_all_at(&note, 0).map_err(io_error("write", &self.path))
    }

    /// Makes the note durable.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(io_error("sync", &self.path))
    }

    /// What is noted; None where nothing is yet.
    fn read(&self) -> Result<Option<u64>, Error> {
        let length = self.file.metadata().map_err(io_error("read", &self.path))?.len();
        if length == 0 {
            return Ok(None);
        }
        let mut note = [0; NOTE_BYTES];
        let count = self.file.read_exact_at(&mut note, 0).ok().and_then(|()| count_in(&note));
        count.map(Some).ok_or_else(|| damaged("the count of writes", "it does not read"))
    }
}

fn count_in(note: &[u8]) -> Option<u64> {
    let (count, checksum) = note.split_first_chunk()?;
    (crc32fast::hash(count).to_be_bytes() == checksum).then_some(u64::from_be_bytes(*count))
}

fn damaged(record: &str, reason: impl Into<String>) -> Error {
    Error::Damaged { record: record.into(), reason: reason.into() }
}

impl Drop for Head {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            // The note that is there proves less, and nothing wrong.
            tracing::warn!(%error, "the count of writes may be stale after a power cut");
        }
    }
}
