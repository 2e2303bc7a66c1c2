//! A store in a directory, kept by sled.
//!
//! What sled 0.34 does not do is done here: its `flush` hands the data to the system and not to the
//! disk, and wakes many threads for it, so what is acknowledged stands in a log of our own, and sled is
//! made anew of it; its files for large values are never synced, so it is given no large value; its log
//! grows without an end, so what is older is packed; damage makes it panic, so every call into it is
//! caught. See [`directory`] for what happens around opening.

mod blobs;
mod compaction;
mod directory;
pub mod doctor;
mod guarded;
mod head;
mod layers;
mod lock;
mod pack;
mod recent;
mod recovery;
mod space;
mod sums;
mod waker;
mod wal;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use crate::{Changes, Engine, Error, KeyedStore, Pair, keys};
use blobs::{BlobName, Blobs};
use compaction::Compactor;
use guarded::io_error;
use head::Head;
use layers::Layers;
use lock::DirectoryLock;
use pack::PackedPair;
use sums::Sums;
use wal::Change;

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

    /// Packs what was written lately, as happens by itself once enough was written or nothing is for a
    /// while. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// As [`SledStore::open`]; [`Error::Closed`]. Everything is as it was before.
    pub fn compact(&self) -> Result<(), Error> {
        self.read(|engine| engine.compactor.compact(&engine.core))
    }
}

impl SledStore {
    /// Returns once sled has been told all that was written before, or takes no more. Nothing depends on
    /// that: it is for those who look at sled's files.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn settle(&self) -> Result<(), Error> {
        self.read(|engine| {
            engine.core.layers().settle();
            Ok(())
        })
    }
}

/// The log that is written ahead, and sled's files beside it.
const LOG: &str = "log";
const TREE: &str = "tree";

/// Values up to this size stand in sled itself. From about 8 KB on sled would put them into files
/// that it never syncs.
const INLINE_BYTES_MAX: usize = 4096;

/// A value that stands in sled itself begins with this, another is a [`BlobName`].
const INLINE: u8 = 0;

/// The pairs of a directory.
pub struct SledEngine {
    // Fields are dropped in this order: the thread first, which uses the rest.
    compactor: Compactor,
    core: Arc<Core>,
}

/// What the engine shares with the thread that compacts it.
struct Core {
    layers: RwLock<Arc<Layers>>,
    /// Held for reading while something is written, and for writing while the layers are replaced.
    writing: RwLock<()>,
    state: Mutex<State>,
    blobs: Blobs,
    head: Head,
    dir: PathBuf,
    // The lock goes last, when nothing uses the directory any more.
    _lock: DirectoryLock,
}

/// What was applied.
struct State {
    /// What it comes to; not all of it need be durable.
    sums: Sums,
    /// The keys that were changed since a compaction began; None while there is none.
    changed: Option<BTreeSet<Vec<u8>>>,
    /// None before the first one.
    last_change: Option<Instant>,
    /// Why nothing may be written any more.
    stopped: Option<String>,
}

impl SledEngine {
    fn over(core: Core) -> Result<Self, Error> {
        let core = Arc::new(core);
        let compactor =
            Compactor::start(core.clone()).map_err(io_error("start a thread for", &core.dir))?;
        Ok(Self { compactor, core })
    }
}

impl Core {
    /// A value as sled holds it, after what it names is on its way to disk.
    fn packed(&self, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>, Error> {
        if value.len() < INLINE_BYTES_MAX {
            return Ok([&[INLINE], value.as_slice()].concat());
        }
        self.blobs.keep(key, &value).map(|name| name.packed())
    }

    fn unpacked(&self, key: &[u8], mut packed: Vec<u8>) -> Result<Vec<u8>, Error> {
        if packed.first() == Some(&INLINE) {
            packed.remove(0);
            return Ok(packed);
        }
        let name = BlobName::of(&packed).ok_or_else(|| Error::Damaged {
            record: keys::describe(key),
            reason: "it is neither a value nor the name of a blob".into(),
        })?;
        self.blobs.read(key, &name)
    }

    fn layers(&self) -> Arc<Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is being written: the layers stay what they are.
    fn writing(&self) -> RwLockReadGuard<'_, ()> {
        self.writing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut found = self.layers().get(key)?;
        loop {
            let Some(packed) = found else { return Ok(None) };
            let Some(name) = BlobName::of(&packed) else {
                return self.unpacked(key, packed).map(Some);
            };
            let read = self.blobs.read(key, &name);
            if read.is_ok() {
                return read.map(Some);
            }
            // It may be gone because the value was replaced since.
            found = self.layers().get(key)?;
            if found.as_ref() == Some(&packed) {
                return read.map(Some);
            }
        }
    }

    /// Writes changes to the log, makes them durable where someone waits for that, and then lets readers
    /// see them.
    fn commit(
        &self,
        changes: Changes,
        is_awaited: bool,
        tell: &mut dyn FnMut(),
    ) -> Result<(), Error> {
        let _writing = self.writing();
        let layers = self.layers();
        let written = if changes.is_empty() { Vec::new() } else { self.push(&layers, changes)? };
        if is_awaited {
            layers.sync()?;
            self.head.note(self.state().sums.n_writes)?;
        }
        let is_compacting = self.state().changed.is_some();
        let of_users = written.iter().filter(|(key, _)| is_compacting && key != keys::SUMS);
        let changed: Vec<_> = of_users.map(|(key, _)| key.clone()).collect();
        layers.show(written, tell);
        // Not before it can be read: a compaction copies what it reads then.
        if let Some(noted) = &mut self.state().changed {
            noted.extend(changed);
        }
        if is_awaited {
            // Only now can no power cut bring back what names them, and nobody reads it.
            self.blobs.remove_superseded();
        }
        Ok(())
    }

    /// Writes changes to the log; returns them as they are to be shown.
    fn push(&self, layers: &Layers, changes: Changes) -> Result<Vec<Change>, Error> {
        if let Some(reason) = &self.state().stopped {
            return Err(io_error("write", &self.dir)(std::io::Error::other(reason.clone())));
        }
        // All of it before anything is changed: where one cannot be read, the others stay as they are.
        let olds: Vec<_> = changes
            .iter()
            .map(|(key, value)| layers.old(key, value.is_none()))
            .collect::<Result<_, _>>()?;
        let mut sums = self.state().sums;
        let mut written = Vec::with_capacity(olds.len() + 1);
        for ((key, value), old) in changes.into_iter().zip(olds) {
            if let Some(name) = old.value().and_then(BlobName::of) {
                self.blobs.let_go(name);
            }
            let new = value.map(|value| self.packed(&key, value)).transpose()?;
            sums.exchange(&key, old.value(), new.as_deref());
            let fresh = old.replacement(new);
            sums.digests.exchange(&key, old.fresh.as_deref(), fresh.as_deref());
            written.push((key, fresh));
        }
        sums.n_writes += 1;
        written.push((keys::SUMS.to_vec(), Some(sums.to_bytes())));
        self.blobs.sync_names()?;
        layers.push(sums.n_writes, &written)?;
        let mut state = self.state();
        state.sums = sums;
        state.last_change = Some(Instant::now());
        Ok(written)
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.core.get(key)
    }

    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        self.core.layers().get(key).map(|found| found.is_some())
    }

    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Pair>, Error> {
        let found = self.core.layers().scan(range, limit)?;
        let pair = |(key, packed): PackedPair| match self.core.unpacked(&key, packed) {
            Ok(value) => Some((key, Ok(value))),
            // It may have been replaced or removed since.
            Err(_) => self.core.get(&key).transpose().map(|value| (key, value)),
        };
        Ok(found.into_iter().filter_map(pair).collect())
    }

    fn keys(&self, range: Range<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let found = self.core.layers().scan(range, usize::MAX)?;
        Ok(found.into_iter().map(|(key, _)| key).collect())
    }

    fn apply(&self, changes: Changes) -> Result<(), Error> {
        self.core.commit(changes, false, &mut || {})
    }

    fn commit(
        &self,
        changes: Changes,
        is_awaited: bool,
        tell: &mut dyn FnMut(),
    ) -> Result<(), Error> {
        self.core.commit(changes, is_awaited, tell)
    }

    fn has_room(&self) -> Result<(), Error> {
        space::check(&self.core.dir, space::FOR_PLAYS)
    }

    fn sync(&self) -> Result<(), Error> {
        self.core.commit(Changes::new(), true, &mut || {})
    }
}
