//! A store in a directory, kept by sled.
//!
//! What sled 0.34 does not do is done here: its `flush` hands the data to the system and not to the
//! disk, so an own handle of its file is synced before anything is acknowledged; its files for large
//! values are never synced, so it is given no large value; damage makes it panic, so every call into
//! it is caught; and where its log is damaged it goes back in time without a word, so writes are
//! counted. See [`directory`] for what happens around opening.

mod blobs;
mod directory;
mod guarded;
mod head;
mod lock;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Changes, Engine, Error, KeyedStore, Pair, keys};
use blobs::Blobs;
use guarded::{guarded, io_error};
use head::Head;
use lock::DirectoryLock;

/// A store in a directory of its own, for one process at a time. What it acknowledged survives a
/// kill and a power cut.
pub type SledStore = KeyedStore<SledEngine>;

impl SledStore {
    /// Opens the store in a directory, which is created where it is missing.
    ///
    /// # Errors
    /// [`Error::InUse`] names the process that has it open; [`Error::Format`] where a newer version
    /// wrote it; [`Error::Damaged`] or [`Error::Io`] where it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let engine = directory::open(dir)?;
        Self::over(engine).map_err(io_error("start the writing thread for", dir))
    }
}

/// Values up to this size stand in sled itself. From about 8 KB on sled would put them into files
/// that it never syncs.
const INLINE_BYTES_MAX: usize = 4096;

/// A value in sled begins with one of these.
const INLINE: u8 = 0;
const IN_BLOB: u8 = 1;

/// The pairs of a directory: one tree, so that a batch is atomic.
pub struct SledEngine {
    // Fields are dropped in this order: the lock goes last, when nothing uses the directory any more.
    tree: sled::Db,
    /// An own handle of sled's file: the only way to have it synced.
    data_file: File,
    blobs: Blobs,
    /// How many writes were applied, and how many are known to be durable.
    n_writes: AtomicU64,
    head: Head,
    sled_dir: PathBuf,
    _lock: DirectoryLock,
}

impl SledEngine {
    /// A value as sled holds it, after what it names is on its way to disk.
    fn packed(&self, value: Vec<u8>) -> Result<Vec<u8>, Error> {
        if value.len() < INLINE_BYTES_MAX {
            return Ok([&[INLINE], value.as_slice()].concat());
        }
        let hash = self.blobs.keep(&value)?;
        Ok([&[IN_BLOB], hash.as_slice()].concat())
    }

    fn unpacked(&self, key: &[u8], packed: &[u8]) -> Result<Vec<u8>, Error> {
        let damaged = |reason| Error::Damaged { record: keys::describe(key), reason };
        match packed {
            [INLINE, value @ ..] => Ok(value.to_vec()),
            [IN_BLOB, hash @ ..] => match hash.try_into() {
                Ok(hash) => self.blobs.read(hash).map_err(|error| error.about(key)),
                Err(_) => Err(damaged("the name of its blob is cut off".into())),
            },
            _ => Err(damaged("it is neither a value nor the name of a blob".into())),
        }
    }

    fn packed_at(&self, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
        guarded("read", &self.sled_dir, || keys::describe(key), || self.tree.get(key))
    }

    /// Lets the blob of a value go that is about to be replaced or removed.
    fn supersede(&self, key: &[u8]) -> Result<(), Error> {
        if let Some([IN_BLOB, hash @ ..]) = self.packed_at(key)?.as_deref()
            && let Ok(hash) = hash.try_into()
        {
            self.blobs.let_go(hash);
        }
        Ok(())
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut found = self.packed_at(key)?;
        loop {
            let Some(packed) = found else { return Ok(None) };
            let unpacked = self.unpacked(key, &packed);
            if unpacked.is_ok() {
                return unpacked.map(Some);
            }
            // Its blob may be gone because the value was replaced since.
            found = self.packed_at(key)?;
            if found.as_ref() == Some(&packed) {
                return unpacked.map(Some);
            }
        }
    }

    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        self.packed_at(key).map(|found| found.is_some())
    }

    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Pair>, Error> {
        let first = range.start.clone();
        let read = || self.tree.range(range).take(limit).collect::<sled::Result<Vec<_>>>();
        let found = guarded("read", &self.sled_dir, || keys::describe(&first), read)?;
        let mut pairs = Vec::with_capacity(found.len());
        for (key, packed) in found {
            match self.unpacked(&key, &packed) {
                Ok(value) => pairs.push((key.to_vec(), value)),
                Err(_) => pairs.extend(self.get(&key)?.map(|value| (key.to_vec(), value))),
            }
        }
        Ok(pairs)
    }

    fn keys(&self, range: Range<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let first = range.start.clone();
        let read = || self.tree.range(range).keys().collect::<sled::Result<Vec<_>>>();
        let found = guarded("read", &self.sled_dir, || keys::describe(&first), read)?;
        Ok(found.into_iter().map(|key| key.to_vec()).collect())
    }

    fn apply(&self, changes: Changes) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            self.supersede(&key)?;
            match value {
                Some(value) => batch.insert(key, self.packed(value)?),
                None => batch.remove(key),
            }
        }
        let n_writes = self.n_writes.fetch_add(1, Ordering::Relaxed) + 1;
        batch.insert(keys::N_WRITES, &n_writes.to_be_bytes());
        self.blobs.sync_names()?;
        guarded("write", &self.sled_dir, || "the tree".into(), || self.tree.apply_batch(batch))
    }

    fn sync(&self) -> Result<(), Error> {
        guarded("flush", &self.sled_dir, || "the tree".into(), || self.tree.flush())?;
        self.data_file.sync_data().map_err(io_error("sync", &self.sled_dir.join("db")))?;
        self.head.note(self.n_writes.load(Ordering::Relaxed))?;
        // Only now can no power cut bring back what names them.
        self.blobs.remove_superseded();
        Ok(())
    }
}
