//! What is new, in sled, over what is older, in a pack: together one ordered set of pairs.
//!
//! What is in sled is durable by the log that is written ahead, never by itself; what was written last is not
//! even there yet, see [`Recent`].

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::guarded::guarded;
use super::io_error;
use super::pack::{Pack, PackedPair};
use super::recent::Recent;
use super::waker::Waker;
use super::wal::{Change, Wal};
use crate::{Error, keys};

/// How many pairs are read together, where all are.
const CHUNK_PAIRS: usize = 256;

/// Stands in sled for a key that is in the pack and was removed since.
pub(super) const REMOVED: u8 = 3;

/// A sled and the pack below it. The pack stays the same for as long as the sled is in use.
pub(super) struct Layers {
    // The thread ends before what it uses.
    _mover: Mover,
    pub(super) db: sled::Db,
    log: Mutex<Wal>,
    recent: Arc<Recent>,
    pub(super) pack: Option<Pack>,
    sled_dir: PathBuf,
}

/// The thread that tells sled of what was written.
struct Mover {
    recent: Arc<Recent>,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    fn start(recent: Arc<Recent>, db: sled::Db, sled_dir: &Path) -> std::io::Result<Self> {
        let waker = Waker::start(db.clone(), sled_dir.to_owned())?;
        let (source, path) = (recent.clone(), sled_dir.to_owned());
        let put = move |key: &sled::IVec, packed: Option<&sled::IVec>| {
            let put = || match packed {
                Some(packed) => db.insert(key, packed).map(drop),
                None => db.remove(key).map(drop),
            };
            let put = || waker.during(put);
            guarded("write", &path, || "the tree".into(), put).map_err(|error| error.to_string())
        };
        let moving = move || source.keep_moving(put);
        let thread = thread::Builder::new().name("store index".into()).spawn(moving)?;
        Ok(Self { recent, thread: Some(thread) })
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.recent.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that tells sled what was written panicked");
        }
    }
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
    /// Puts a sled, its log, and what of the log sled was not told, over a pack. `sled_dir` is where its
    /// files stand, or will stand once it is in use.
    pub(super) fn over(
        pack: Option<Pack>,
        db: sled::Db,
        log: Wal,
        recent: Recent,
        sled_dir: &Path,
    ) -> Result<Self, Error> {
        let (sled_dir, recent) = (sled_dir.to_owned(), Arc::new(recent));
        let mover = Mover::start(recent.clone(), db.clone(), &sled_dir)
            .map_err(io_error("start a thread for", &sled_dir))?;
        Ok(Self { _mover: mover, db, log: log.into(), recent, pack, sled_dir })
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
        if let Some(recent) = self.recent.read().get(key) {
            return Ok(recent);
        }
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

    /// Shows every pair, in order. Others may write meanwhile.
    ///
    /// # Errors
    /// One cannot be read, or `see` fails.
    pub(super) fn each_pair(
        &self,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut range = Vec::new()..vec![u8::MAX];
        loop {
            let chunk = self.scan(range.clone(), CHUNK_PAIRS)?;
            let Some((last, _)) = chunk.last() else { return Ok(()) };
            range.start = keys::after(last);
            chunk.iter().try_for_each(|(key, packed)| see(key, packed))?;
        }
    }

    fn scan_fresh(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<PackedPair>, Error> {
        let first = range.start.clone();
        let recent = self.recent.read();
        let read = || {
            let pairs = recent.over(&range, self.db.range(range.clone())).take(limit);
            pairs.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        };
        guarded("read", &self.sled_dir, || keys::describe(&first), read)
    }

    /// Does what a write does, durably with the next [`Layers::sync`].
    pub(super) fn write(&self, n_writes: u64, changes: Vec<Change>) -> Result<(), Error> {
        self.push(n_writes, &changes)?;
        self.show(changes, || {});
        Ok(())
    }

    /// Puts a write into the log, durably with the next [`Layers::sync`]. Nobody reads it yet.
    pub(super) fn push(&self, n_writes: u64, changes: &[Change]) -> Result<(), Error> {
        self.recent
            .wait_for_room()
            .map_err(|reason| io_error("write", &self.sled_dir)(std::io::Error::other(reason)))?;
        self.log().push(n_writes, changes)
    }

    /// Calls `tell` at a moment from which on nobody reads what was there before these changes, and lets
    /// them be read.
    pub(super) fn show(&self, changes: Vec<Change>, tell: impl FnOnce()) {
        self.recent.write(changes, tell);
    }

    /// Returns once sled has been told everything, or takes no more.
    pub(super) fn settle(&self) {
        self.recent.settle();
    }

    /// Makes everything durable that was written.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.log().sync()
    }

    /// How much was written since it was packed, in bytes.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log().n_bytes()
    }

    fn log(&self) -> MutexGuard<'_, Wal> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
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
