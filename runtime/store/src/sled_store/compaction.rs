//! Packs what stands in sled, and what stands in the pack below it, into a new pack, and puts an empty
//! sled over it: removed plays give their bytes back, and sled stays small.
//!
//! Everybody goes on meanwhile: what is changed after the beginning is noted, and copied into the new
//! sled in the end. That sled is made in `sled.next/`. It names the new pack, and takes the place of the
//! old one in a single step: `sled/` and `sled.next/` are exchanged. So a crash leaves the old sled with
//! the old pack, or the new one with the new pack; what it leaves besides, nothing names, and opening
//! removes it. An error before that step leaves everything as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::blobs::{names_in, sync_dir};
use super::layers::Layers;
use super::pack::{self, Pack, PackWriter};
use super::recent::Recent;
use super::recovery::new_tree;
use super::sums::{self, Sums};
use super::wal::Wal;
use super::{Core, LOG, io_error, space};
use crate::{Error, keys};

/// A log of this length is not worth it, nor one of this part of the pack, which is written anew.
const LOG_BYTES_MIN: u64 = 3 << 20;
const LOG_PART_MIN: u64 = 8;

/// However busy everybody is, what is in the log is packed once that is longer than the pack, and than the
/// first of these; a pack of any length lets it grow to the second: opening reads all of it.
const LOG_BYTES_BUSY: (u64, u64) = (16 << 20, 256 << 20);

/// So many bytes in the pack that nobody needs are worth it.
const UNNEEDED_BYTES_MIN: u64 = 1 << 20;

/// For how long nothing was written where nobody is busy.
const IDLE: Duration = Duration::from_millis(700);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// After an error it is not tried again for so long.
const PAUSE: Duration = Duration::from_secs(120);

/// The number under which pairs are copied that no single write has written.
pub(super) const BEFORE_ALL: u64 = 0;

/// How many keys are copied at once: what sled replaces on the way stays in memory until the batch ends.
const BATCH_KEYS: usize = 64;

/// While more keys than this were changed, they are copied before writers have to wait.
const CHANGED_MAX: usize = 200;
const ROUNDS_MAX: usize = 8;

pub(super) fn packs_dir(dir: &Path) -> PathBuf {
    dir.join("packs")
}

fn next_dir(dir: &Path) -> PathBuf {
    dir.join("sled.next")
}

/// Removes what a compaction left that came to no end, or that came to one and had no time to.
pub(super) fn clean_up(dir: &Path) -> Result<(), Error> {
    let next = next_dir(dir);
    match fs::remove_dir_all(&next) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io_error("remove", &next)(error))
        }
        _ => Ok(()),
    }
}

/// Removes packs by their number, and those that were never finished.
pub(super) fn remove_packs(dir: &Path, is_unneeded: impl Fn(u64) -> bool) -> Result<(), Error> {
    for path in names_in(&packs_dir(dir))? {
        if pack::number_of(&path).is_none_or(&is_unneeded) {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

/// The thread that compacts when it is time to. Dropped, it lets go of the engine.
pub(super) struct Compactor {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Control {
    is_over: AtomicBool,
    /// Held while it is done.
    doing: Mutex<()>,
}

impl Compactor {
    pub(super) fn start(core: Arc<Core>) -> std::io::Result<Self> {
        let control = Arc::new(Control::default());
        let watching = control.clone();
        let thread = thread::Builder::new()
            .name("store compactor".into())
            .spawn(move || watching.watch(&core))?;
        Ok(Self { control, thread: Some(thread) })
    }

    pub(super) fn compact(&self, core: &Core) -> Result<(), Error> {
        self.control.compact(core)
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.control.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that compacts the store panicked");
            }
        }
    }
}

impl Control {
    fn watch(&self, core: &Core) {
        let mut wait = LOOK;
        loop {
            thread::park_timeout(wait);
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            wait = LOOK;
            if !is_worth_it(core).unwrap_or(false) {
                continue;
            }
            if let Err(error) = self.compact(core)
                && !self.is_over.load(Ordering::SeqCst)
            {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the store is not compacted and takes more room");
                wait = PAUSE;
            }
        }
    }

    fn compact(&self, core: &Core) -> Result<(), Error> {
        let _doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        let compaction = Compaction { core, old: core.layers(), is_over: &self.is_over };
        let began = Instant::now();
        let before = core.state().sums.whole;
        compaction.run()?;
        let pack = before.pack + 1;
        tracing::info!(pack, took_ms = began.elapsed().as_millis(), "the store was compacted");
        Ok(())
    }
}

/// Whether there is enough to win.
fn is_worth_it(core: &Core) -> Result<bool, Error> {
    let layers = core.layers();
    let log_bytes = layers.log_bytes();
    let (pack_bytes, packed_bytes) =
        layers.pack.as_ref().map_or((0, 0), |pack| (pack.file_bytes, pack.extent.n_bytes));
    let state = core.state();
    let unneeded_bytes = packed_bytes.saturating_sub(state.sums.whole.n_bytes);
    let is_idle = state.last_change.is_none_or(|at| at.elapsed() >= IDLE);
    let has_much = log_bytes > LOG_BYTES_MIN.max(pack_bytes / LOG_PART_MIN)
        || unneeded_bytes > UNNEEDED_BYTES_MIN.max(packed_bytes / 4);
    Ok(state.stopped.is_none()
        && (is_idle && has_much
            || log_bytes > pack_bytes.clamp(LOG_BYTES_BUSY.0, LOG_BYTES_BUSY.1)))
}

struct Compaction<'a> {
    core: &'a Core,
    old: Arc<Layers>,
    is_over: &'a AtomicBool,
}

impl Compaction<'_> {
    fn run(&self) -> Result<(), Error> {
        let dir = &self.core.dir;
        let packed_bytes = self.old.pack.as_ref().map_or(0, |pack| pack.file_bytes);
        space::check_for(dir, self.old.log_bytes() + packed_bytes)?;
        space::check(dir, space::FOR_PLAYS)?;
        let number = {
            let _alone = self.alone();
            let mut state = self.core.state();
            state.changed = Some(BTreeSet::new());
            state.sums.whole.pack + 1
        };
        let replaced = self.replace(number);
        let current = {
            let mut state = self.core.state();
            state.changed = None;
            if state.stopped.is_some() {
                // Nobody knows which of them the next open finds.
                return replaced;
            }
            state.sums.whole.pack
        };
        // Either the old ones or the new ones are not needed any more.
        let removed = clean_up(dir).and(remove_packs(dir, |found| found != current));
        replaced.and(removed)
    }

    fn replace(&self, number: u64) -> Result<(), Error> {
        let dir = &self.core.dir;
        clean_up(dir)?;
        self.write_pack(number)?;
        let pack = Pack::open(&packs_dir(dir), number)?;
        let next_dir = next_dir(dir);
        let sled_dir = dir.join("sled");
        let db = new_tree(&next_dir)?;
        let log = Wal::create(&next_dir.join(LOG))?;
        let layers = Layers::over(Some(pack), db, log, Recent::default(), &sled_dir)?;
        let mut next = Next::new(&self.old, layers, self.core.state().sums);
        for _ in 0..ROUNDS_MAX {
            if self.n_changed() <= CHANGED_MAX {
                break;
            }
            next.copy(self.take_changed())?;
        }
        sync_dir(&next_dir)?;
        // What is exchanged must be certain to be there.
        sync_dir(dir)?;
        next.layers.sync()?;
        let _alone = self.alone();
        next.copy(self.take_changed())?;
        let sums = next.finish(self.core.state().sums)?;
        let exchanged = renameat_with(CWD, &next_dir, CWD, &sled_dir, RenameFlags::EXCHANGE);
        exchanged.map_err(|error| io_error("replace", &sled_dir)(error.into()))?;
        // From here on the new one is in use, and nothing may be acknowledged before that is certain.
        *self.core.layers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next.layers);
        let synced = sync_dir(dir);
        let mut state = self.core.state();
        state.sums = sums;
        state.stopped = synced.as_ref().err().map(ToString::to_string);
        synced
    }

    fn write_pack(&self, number: u64) -> Result<(), Error> {
        let mut writer = PackWriter::create(&packs_dir(&self.core.dir), number)?;
        self.old.each_pair(|key, packed| {
            if self.is_over.load(Ordering::SeqCst) {
                return Err(Error::Closed);
            }
            if key != keys::SUMS {
                writer.push(key, packed, sums::share(key, packed))?;
            }
            Ok(())
        })?;
        writer.finish()
    }

    /// Nobody writes until this is dropped.
    fn alone(&self) -> std::sync::RwLockWriteGuard<'_, ()> {
        self.core.writing.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn n_changed(&self) -> usize {
        self.core.state().changed.as_ref().map_or(0, BTreeSet::len)
    }

    fn take_changed(&self) -> BTreeSet<Vec<u8>> {
        self.core.state().changed.replace(BTreeSet::new()).unwrap_or_default()
    }
}

/// The layers that are to be.
struct Next<'a> {
    old: &'a Layers,
    layers: Layers,
    /// What they come to.
    sums: Sums,
}

impl<'a> Next<'a> {
    fn new(old: &'a Layers, layers: Layers, sums: Sums) -> Self {
        let (number, extent) =
            layers.pack.as_ref().map_or_else(Default::default, |pack| (pack.number, pack.extent));
        let whole = sums::Whole { pack: number, n_bytes: extent.n_bytes, total: extent.total };
        let sums = Sums { digests: sums::Digests::default(), whole, ..sums };
        Self { old, layers, sums }
    }

    /// Copies what these keys have now.
    fn copy(&mut self, changed: BTreeSet<Vec<u8>>) -> Result<(), Error> {
        let changed: Vec<_> = changed.into_iter().collect();
        changed.chunks(BATCH_KEYS).try_for_each(|keys| self.copy_some(keys))
    }

    fn copy_some(&mut self, changed: &[Vec<u8>]) -> Result<(), Error> {
        let mut changes = Vec::with_capacity(changed.len());
        for key in changed {
            let value = self.old.get(key)?;
            let old = self.layers.old(key, value.is_none())?;
            self.sums.whole.exchange(key, old.value(), value.as_deref());
            let fresh = old.replacement(value);
            self.sums.digests.exchange(key, old.fresh.as_deref(), fresh.as_deref());
            changes.push((key.clone(), fresh));
        }
        self.layers.write(BEFORE_ALL, changes)
    }

    /// Holds the new layers against the old ones, and makes them durable.
    fn finish(&self, current: Sums) -> Result<Sums, Error> {
        let sums = Sums {
            digests: self.sums.digests,
            whole: sums::Whole { pack: self.sums.whole.pack, ..current.whole },
            ..current
        };
        if sums.whole != self.sums.whole {
            let reason = "what was packed does not come to what was there".into();
            return Err(Error::Damaged { record: "the new pack".into(), reason });
        }
        let last = vec![(keys::SUMS.to_vec(), Some(sums.to_bytes()))];
        self.layers.write(sums.n_writes, last)?;
        self.layers.sync()?;
        Ok(sums)
    }
}
