//! A store in a directory, kept by sled.
//!
//! What sled 0.34 does not do is done here: its `flush` hands the data to the system and not to the
//! disk, so an own handle of its file is synced before anything is acknowledged; its files for large
//! values are never synced, so it is given no large value; damage makes it panic, so every call into
//! it is caught; and where its log is damaged it goes back in time or over the gap without a word, so
//! writes are counted and summed up. See [`directory`] for what happens around opening.

mod blobs;
mod directory;
pub mod doctor;
mod guarded;
mod head;
mod lock;
mod space;
mod sums;
mod waker;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Changes, Engine, Error, KeyedStore, Pair, keys};
use blobs::{BlobName, Blobs};
use guarded::{guarded, io_error};
use head::Head;
use lock::DirectoryLock;
use sums::Sums;
use waker::Waker;

/// A store in a directory of its own, for one process at a time. What it acknowledged survives a
/// kill and a power cut.
pub type SledStore = KeyedStore<SledEngine>;

impl SledStore {
    /// Opens the store in a directory, which is created where it is missing.
    ///
    /// # Errors
    /// [`Error::InUse`] names the process that has it open; [`Error::Format`] where a newer version
    /// wrote it; [`Error::NoSpace`] where the disk is full; [`Error::DamagedStore`] where something
    /// that was acknowledged would be missing; [`Error::Io`] where it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let engine = directory::open(dir)?;
        Self::over(engine).map_err(io_error("start the writing thread for", dir))
    }
}

/// Values up to this size stand in sled itself. From about 8 KB on sled would put them into files
/// that it never syncs.
const INLINE_BYTES_MAX: usize = 4096;

/// A value that stands in sled itself begins with this, another is a [`BlobName`].
const INLINE: u8 = 0;

/// The pairs of a directory: one tree, so that a batch is atomic.
pub struct SledEngine {
    // Fields are dropped in this order: the lock goes last, when nothing uses the directory any more.
    waker: Waker,
    tree: sled::Db,
    /// An own handle of sled's file: the only way to have it synced.
    data_file: File,
    blobs: Blobs,
    /// What was applied, and how much of it is known to be durable.
    sums: Mutex<Sums>,
    head: Head,
    dir: PathBuf,
    sled_dir: PathBuf,
    _lock: DirectoryLock,
}

impl SledEngine {
    /// A value as sled holds it, after what it names is on its way to disk.
    fn packed(&self, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>, Error> {
        if value.len() < INLINE_BYTES_MAX {
            return Ok([&[INLINE], value.as_slice()].concat());
        }
        self.blobs.keep(key, &value).map(|name| name.packed())
    }

    fn unpacked(&self, key: &[u8], packed: &[u8]) -> Result<Vec<u8>, Error> {
        if let [INLINE, value @ ..] = packed {
            return Ok(value.to_vec());
        }
        let name = BlobName::of(packed).ok_or_else(|| Error::Damaged {
            record: keys::describe(key),
            reason: "it is neither a value nor the name of a blob".into(),
        })?;
        self.blobs.read(key, &name)
    }

    fn packed_at(&self, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
        guarded("read", &self.sled_dir, || keys::describe(key), || self.tree.get(key))
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
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
        let pair = |(key, packed): (sled::IVec, sled::IVec)| match self.unpacked(&key, &packed) {
            Ok(value) => Some((key.to_vec(), Ok(value))),
            // It may have been replaced or removed since.
            Err(_) => self.get(&key).transpose().map(|value| (key.to_vec(), value)),
        };
        Ok(found.into_iter().filter_map(pair).collect())
    }

    fn keys(&self, range: Range<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let first = range.start.clone();
        let read = || self.tree.range(range).keys().collect::<sled::Result<Vec<_>>>();
        let found = guarded("read", &self.sled_dir, || keys::describe(&first), read)?;
        Ok(found.into_iter().map(|key| key.to_vec()).collect())
    }

    fn apply(&self, changes: Changes) -> Result<(), Error> {
        // All of it before anything is changed: where one cannot be read, the others stay as they are.
        let olds: Vec<_> =
            changes.keys().map(|key| self.packed_at(key)).collect::<Result<_, _>>()?;
        let mut batch = sled::Batch::default();
        let mut sums = *self.sums();
        for ((key, value), old) in changes.into_iter().zip(olds) {
            if let Some(name) = old.as_deref().and_then(BlobName::of) {
                self.blobs.let_go(name);
            }
            let new = value.map(|value| self.packed(&key, value)).transpose()?;
            sums.exchange(&key, old.as_deref(), new.as_deref());
            match new {
                Some(packed) => batch.insert(key, packed),
                None => batch.remove(key),
            }
        }
        sums.n_writes += 1;
        batch.insert(keys::SUMS, sums.to_bytes());
        self.blobs.sync_names()?;
        let apply = || self.waker.during(|| self.tree.apply_batch(batch));
        guarded("write", &self.sled_dir, || "the tree".into(), apply).map_err(
            |error| match error {
                // Sled may have gone half of the way.
                Error::Damaged { reason, .. } => {
                    io_error("write", &self.sled_dir)(std::io::Error::other(reason))
                }
                other => other,
            },
        )?;
        *self.sums() = sums;
        Ok(())
    }

    fn has_room(&self) -> Result<(), Error> {
        space::check(&self.dir, space::FOR_PLAYS)
    }

    fn sync(&self) -> Result<(), Error> {
        let flush = || self.waker.during(|| self.tree.flush());
        guarded("flush", &self.sled_dir, || "the tree".into(), flush)?;
        self.data_file.sync_data().map_err(io_error("sync", &self.sled_dir.join("db")))?;
        self.head.note(self.sums().n_writes)?;
        // Only now can no power cut bring back what names them.
        self.blobs.remove_superseded();
        Ok(())
    }
}
