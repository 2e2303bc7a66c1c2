//! Large values, each in a file named by its content: `blobs/ab/<sha-256>`.
//!
//! A file under its final name is whole and durable; names become durable with
//! [`Blobs::sync_names`], before anything refers to them. A crash leaves at worst a file that nothing
//! refers to. Because a record's checksum covers its key, no two keys share a blob: the one whose
//! value is replaced may take the file with it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::io_error;
use crate::{Error, keys};

/// The SHA-256 of a value.
pub(super) type Hash = [u8; 32];

/// Why a blob cannot be read.
pub(super) enum BlobError {
    /// Its file is not what was written.
    Damaged(String),
    /// Its file cannot be read.
    Io(Error),
}

impl BlobError {
    /// The same, about the record whose value it is.
    pub(super) fn about(self, key: &[u8]) -> Error {
        match self {
            Self::Damaged(reason) => Error::Damaged { record: keys::describe(key), reason },
            Self::Io(error) => error,
        }
    }
}

/// The directory of the large values.
pub(super) struct Blobs {
    dir: PathBuf,
    /// The directories that got names which may not be durable yet.
    unsynced: Mutex<BTreeSet<PathBuf>>,
    /// What nothing refers to once the next sync is done.
    superseded: Mutex<BTreeSet<Hash>>,
}

impl Blobs {
    pub(super) fn in_dir(dir: PathBuf) -> Self {
        Self { dir, unsynced: Mutex::default(), superseded: Mutex::default() }
    }

    /// Writes a value where it is not there yet.
    pub(super) fn keep(&self, value: &[u8]) -> Result<Hash, Error> {
        let hash: Hash = Sha256::digest(value).into();
        let path = self.path(&hash);
        let shard = path.parent().expect("a blob stands in a shard").to_owned();
        if !is_whole(&path, value.len()) {
            if !shard.exists() {
                fs::create_dir_all(&shard).map_err(io_error("create", &shard))?;
                self.name_added(&self.dir);
            }
            write_whole(&path, value).map_err(io_error("write", &path))?;
        }
        // Even where the file was there: whoever wrote it may have crashed before syncing its name.
        self.name_added(&shard);
        locked(&self.superseded).remove(&hash);
        Ok(hash)
    }

    /// Makes the names of everything kept durable.
    pub(super) fn sync_names(&self) -> Result<(), Error> {
        let mut unsynced = locked(&self.unsynced);
        for dir in unsynced.iter() {
            sync_dir(dir)?;
        }
        unsynced.clear();
        Ok(())
    }

    /// Notes that the value is replaced by what is being written.
    pub(super) fn let_go(&self, hash: Hash) {
        locked(&self.superseded).insert(hash);
    }

    /// Removes what was let go, once what replaces it is durable.
    pub(super) fn remove_superseded(&self) {
        for hash in std::mem::take(&mut *locked(&self.superseded)) {
            let path = self.path(&hash);
            if let Err(error) = fs::remove_file(&path) {
                // It only takes space.
                tracing::warn!(path = %path.display(), %error, "a blob is left that nothing needs");
            }
        }
    }

    /// The value with this hash.
    pub(super) fn read(&self, hash: Hash) -> Result<Vec<u8>, BlobError> {
        let path = self.path(&hash);
        let name = || format!("its blob `{}`", path.display());
        let value = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => BlobError::Damaged(format!("{} is missing", name())),
            _ => BlobError::Io(io_error("read", &path)(error)),
        })?;
        if Hash::from(Sha256::digest(&value)) != hash {
            return Err(BlobError::Damaged(format!("{} holds something else", name())));
        }
        Ok(value)
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(&name[..2]).join(name)
    }

    fn name_added(&self, dir: &Path) {
        locked(&self.unsynced).insert(dir.to_owned());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", dir))
}

/// Writes a file so that it is never seen half written, and durable before it has its name.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn is_whole(path: &Path, length: usize) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() == length as u64)
}
