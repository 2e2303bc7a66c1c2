//! What is new, in sled, over what is older, in a pack: together one ordered set of pairs.
//!
//! What is in sled is durable by the log that is written ahead, never by itself.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::guarded::guarded;
use super::io_error;
use super::pack::{Pack, PackedPair};
use super::waker::Waker;
use super::wal::{Change, Wal};
use crate::{Error, keys};

/// Stands in sled for a key that is in the pack and was removed since.
pub(super) const REMOVED: u8 = 3;

/// A sled and the pack below it. The pack stays the same for as long as the sled is in use.
pub(super) struct Layers {
    waker: Waker,
    pub(super) db: sled::Db,
    log: Mutex<Wal>,
    /// Held while a write is put into sled: nobody sees a part of it. Sled's own batches would be written
    /// to disk at once.
    visible: RwLock<()>,
    pub(super) pack: Option<Pack>,
    sled_dir: PathBuf,
}

/// What there is of a key before it is changed.
pub(super) struct Old {
    /// In sled.
    pub(super) fresh: Option<sled::IVec>,
    /// In the pack; not looked up where it does not matter.
    packed: Option<Vec<u8>>,
}

impl Old {
    /// The value that readers see.
    pub(super) fn value(&self) -> Option<&[u8]> {
        match self.fresh.as_deref() {
            Some([REMOVED]) => None,
            Some(fresh) => Some(fresh),
            None => self.packed.as_deref(),
        }
    }

    /// What sled is to hold where the key is to have this value.
    pub(super) fn replacement(&self, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        value.or_else(|| self.packed.is_some().then(|| vec![REMOVED]))
    }
}

impl Layers {
    /// Puts a sled and its log over a pack. `sled_dir` is where its files stand, or will stand once it is
    /// in use.
    pub(super) fn over(
        pack: Option<Pack>,
        db: sled::Db,
        log: Wal,
        sled_dir: &Path,
    ) -> Result<Self, Error> {
        let sled_dir = sled_dir.to_owned();
        let waker = Waker::start(db.clone(), sled_dir.clone())
            .map_err(io_error("start a thread for", &sled_dir))?;
        Ok(Self { waker, db, log: log.into(), visible: RwLock::default(), pack, sled_dir })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.fresh(key)?.as_deref() {
            Some([REMOVED]) => Ok(None),
            Some(fresh) => Ok(Some(fresh.to_vec())),
            None => self.in_pack(key),
        }
    }

    /// What there is of a key that is to be replaced, or removed.
    pub(super) fn old(&self, key: &[u8], is_removed: bool) -> Result<Old, Error> {
        let fresh = self.fresh(key)?;
        let packed = if fresh.is_none() || is_removed { self.in_pack(key)? } else { None };
        Ok(Old { fresh, packed })
    }

    pub(super) fn in_pack(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.pack.as_ref().map_or(Ok(None), |pack| pack.get(key))
    }

    fn fresh(&self, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
        let _whole = self.whole();
        guarded("read", &self.sled_dir, || keys::describe(key), || self.db.get(key))
    }

    /// The first pairs of a range of keys, in order, at most `limit`.
    pub(super) fn scan(
        &self,
        mut range: Range<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<PackedPair>, Error> {
        let Some(pack) = &self.pack else { return self.scan_fresh(range, limit) };
        let mut found = Vec::new();
        loop {
            let n_wanted = limit - found.len();
            let fresh = self.scan_fresh(range.clone(), n_wanted)?;
            // What sled has behind its last pair is not known yet.
            let end = match fresh.last() {
                Some((last, _)) if fresh.len() == n_wanted => keys::after(last),
                _ => range.end.clone(),
            };
            let packed = pack.range(range.start..end.clone());
            merge(fresh, packed, |pair| {
                found.push(pair);
                found.len() < limit
            })?;
            if found.len() >= limit || end >= range.end {
                return Ok(found);
            }
            range = end..range.end;
        }
    }

    fn scan_fresh(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<PackedPair>, Error> {
        let first = range.start.clone();
        let _whole = self.whole();
        let read = || {
            let pairs = self.db.range(range).take(limit);
            pairs.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        };
        guarded("read", &self.sled_dir, || keys::describe(&first), read)
    }

    /// Does what a write does, durably with the next [`Layers::sync`].
    pub(super) fn write(&self, n_writes: u64, changes: Vec<Change>) -> Result<(), Error> {
        self.push(n_writes, &changes)?;
        self.show(changes, || {})
    }

    /// Puts a write into the log, durably with the next [`Layers::sync`]. Nobody reads it yet.
    pub(super) fn push(&self, n_writes: u64, changes: &[Change]) -> Result<(), Error> {
        self.log().push(n_writes, changes)
    }

    /// Calls `tell` at a moment from which on nobody reads what was there before these changes, and lets
    /// them be read.
    pub(super) fn show(&self, changes: Vec<Change>, tell: impl FnOnce()) -> Result<(), Error> {
        let put = || {
            let _alone = self.visible.write().unwrap_or_else(PoisonError::into_inner);
            tell();
            changes.into_iter().try_for_each(|(key, packed)| put(&self.db, key, packed))
        };
        guarded("write", &self.sled_dir, || "the tree".into(), || self.waker.during(put)).map_err(
            |error| match error {
                // Sled may have gone half of the way.
                Error::Damaged { reason, .. } => {
                    io_error("write", &self.sled_dir)(std::io::Error::other(reason))
                }
                other => other,
            },
        )
    }

    /// Makes everything durable that was written.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.log().sync()
    }

    /// How much was written since it was packed, in bytes.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log().n_bytes()
    }

    /// No write is in sled in part.
    fn whole(&self) -> RwLockReadGuard<'_, ()> {
        self.visible.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Wal> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a pair into sled, or takes it out.
pub(super) fn put(db: &sled::Db, key: Vec<u8>, packed: Option<Vec<u8>>) -> sled::Result<()> {
    match packed {
        Some(packed) => db.insert(key, packed).map(drop),
        None => db.remove(key).map(drop),
    }
}

/// Merges pairs, both in order: what is fresh hides what is packed. Until `take` has enough.
fn merge(
    fresh: Vec<PackedPair>,
    packed: impl Iterator<Item = Result<PackedPair, Error>>,
    mut take: impl FnMut(PackedPair) -> bool,
) -> Result<(), Error> {
    let mut take_fresh = |pair: PackedPair| pair.1 == [REMOVED] || take(pair);
    let (mut fresh, mut packed) = (fresh.into_iter().peekable(), packed.peekable());
    loop {
        let is_fresh_next = match (fresh.peek(), packed.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => true,
            (_, Some(Err(_))) | (None, _) => false,
            (Some((key, _)), Some(Ok((other, _)))) => {
                if key == other {
                    packed.next();
                    continue;
                }
                key < other
            }
        };
        let goes_on = if is_fresh_next {
            fresh.next().is_none_or(&mut take_fresh)
        } else {
            packed.next().transpose()?.is_none_or(&mut take_fresh)
        };
        if !goes_on {
            return Ok(());
        }
    }
}
