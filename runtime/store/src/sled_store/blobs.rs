//! Large values, each in a file named by its key and content: `blobs/ab/<sha-256>`.
//!
//! A file under its final name is whole and durable; names become durable with
//! [`Blobs::sync_names`], before anything refers to them. A crash leaves at worst a file that nothing
//! refers to, and opening removes it. Because the name covers the key, no two keys share a blob: the
//! one whose value is replaced may take the file with it.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::io_error;
use crate::{Error, keys};

/// A SHA-256.
type Hash = [u8; 32];

/// What stands in sled where a value stands in a blob: one of these and the hash.
const BY_CONTENT: u8 = 1;
const BY_PAIR: u8 = 2;

/// What names a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BlobName {
    hash: Hash,
    /// Whether the hash is of the content alone, as in format 1.
    is_by_content: bool,
}

impl BlobName {
    /// The name that stands in sled; None where a value stands there itself.
    pub(super) fn of(packed: &[u8]) -> Option<Self> {
        let (kind, hash) = packed.split_first()?;
        let is_by_content = match *kind {
            BY_CONTENT => true,
            BY_PAIR => false,
            _ => return None,
        };
        Some(Self { hash: hash.try_into().ok()?, is_by_content })
    }

    /// The name of a new blob.
    fn new(key: &[u8], value: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update((key.len() as u64).to_be_bytes());
        hasher.update(key);
        hasher.update(value);
        Self { hash: hasher.finalize().into(), is_by_content: false }
    }

    /// The name as it stands in sled.
    pub(super) fn packed(&self) -> Vec<u8> {
        let kind = if self.is_by_content { BY_CONTENT } else { BY_PAIR };
        [&[kind], self.hash.as_slice()].concat()
    }

    fn is_of(&self, key: &[u8], value: &[u8]) -> bool {
        match self.is_by_content {
            true => Hash::from(Sha256::digest(value)) == self.hash,
            false => Self::new(key, value) == *self,
        }
    }

    fn hex(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The directory of the large values.
pub(super) struct Blobs {
    dir: PathBuf,
    /// The directories that got names which may not be durable yet.
    unsynced: Mutex<BTreeSet<PathBuf>>,
    /// What nothing refers to once the next sync is done.
    superseded: Mutex<BTreeSet<BlobName>>,
}

impl Blobs {
    pub(super) fn in_dir(dir: PathBuf) -> Self {
        Self { dir, unsynced: Mutex::default(), superseded: Mutex::default() }
    }

    /// Writes a value where it is not there yet.
    pub(super) fn keep(&self, key: &[u8], value: &[u8]) -> Result<BlobName, Error> {
        let name = BlobName::new(key, value);
        let path = self.path(&name);
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
        locked(&self.superseded).remove(&name);
        Ok(name)
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
    pub(super) fn let_go(&self, name: BlobName) {
        locked(&self.superseded).insert(name);
    }

    /// Removes what was let go, once what replaces it is durable.
    pub(super) fn remove_superseded(&self) {
        for name in std::mem::take(&mut *locked(&self.superseded)) {
            remove_unneeded(&self.path(&name));
        }
    }

    /// The files of all blobs, and of those that a crash left unfinished.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        for shard in names_in(&self.dir)? {
            files.extend(names_in(&shard)?);
        }
        Ok(files)
    }

    /// Removes files of blobs that nothing needs.
    pub(super) fn sweep(files: Vec<PathBuf>) {
        for path in files {
            tracing::info!(path = %path.display(), "removing a blob that nothing names");
            remove_unneeded(&path);
        }
    }

    /// The value of a key.
    pub(super) fn read(&self, key: &[u8], name: &BlobName) -> Result<Vec<u8>, Error> {
        let path = self.path(name);
        let damaged = |how| Error::Damaged {
            record: keys::describe(key),
            reason: format!("its blob `{}` {how}", path.display()),
        };
        let value = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => damaged("is missing"),
            _ => io_error("read", &path)(error),
        })?;
        if name.is_of(key, &value) { Ok(value) } else { Err(damaged("holds something else")) }
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        let name = name.hex();
        self.dir.join(&name[..2]).join(name)
    }

    fn name_added(&self, dir: &Path) {
        locked(&self.unsynced).insert(dir.to_owned());
    }
}

/// What a directory holds; nothing where there is none.
pub(super) fn names_in(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", dir)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<std::io::Result<_>>().map_err(io_error("list", dir))
}

fn remove_unneeded(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        // It only takes space.
        tracing::warn!(path = %path.display(), %error, "a file is left that nothing needs");
    }
}

/// Those of the files of blobs that none of the names stands for.
pub(super) fn unnamed(files: Vec<PathBuf>, names: &HashSet<BlobName>) -> Vec<PathBuf> {
    let named: HashSet<_> = names.iter().map(BlobName::hex).collect();
    let is_named = |path: &Path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| named.contains(name))
    };
    files.into_iter().filter(|path| !is_named(path)).collect()
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
