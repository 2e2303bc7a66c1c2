//! What was written last: it is read from memory until a thread has told sled.
//!
//! All of it stands in the log, so nothing is lost with it. Sled is told in pieces and of the latest value
//! only: of a step that begins, ends and is counted that is half as much.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::{Bound, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use sled::IVec;

use super::wal::Change;

/// How much gathers before sled is told, in bytes, and how long that may take.
const PIECE_BYTES: usize = 1 << 20;
const GATHERING: Duration = Duration::from_secs(1);

/// How much waits for sled at most: whoever writes more waits as well.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// A key, and its value in sled; None where sled is not to have it.
pub(super) type Fresh = (IVec, Option<IVec>);

pub(super) type Table = BTreeMap<IVec, Option<IVec>>;

/// What sled has not been told yet.
#[derive(Default)]
pub(super) struct Recent {
    tables: RwLock<Tables>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct Tables {
    /// What is being written.
    latest: Table,
    /// What sled is being told. Nothing of it changes.
    moving: Arc<Table>,
}

#[derive(Default)]
struct State {
    /// How much there is in the latest table.
    n_bytes: usize,
    is_moving: bool,
    /// How many wait until sled has been told everything.
    n_settling: usize,
    is_over: bool,
    /// Why sled takes no more.
    failed: Option<String>,
}

impl Recent {
    pub(super) fn new(latest: Table) -> Self {
        let n_bytes = latest.iter().map(|(key, value)| size_of(key, value.as_ref())).sum();
        Self {
            tables: RwLock::new(Tables { latest, moving: Arc::default() }),
            state: Mutex::new(State { n_bytes, ..State::default() }),
            changed: Condvar::new(),
        }
    }

    /// Nobody writes while this is held.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `tell` at a moment from which on nobody reads what was there before these changes.
    pub(super) fn write(&self, changes: Vec<Change>, tell: impl FnOnce()) {
        let mut n_bytes = 0;
        let fresh: Vec<Fresh> = changes
            .into_iter()
            .map(|(key, value)| (IVec::from(key), value.map(IVec::from)))
            .inspect(|(key, value)| n_bytes += size_of(key, value.as_ref()))
            .collect();
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tell();
        tables.latest.extend(fresh);
        drop(tables);
        let mut state = self.state();
        let was_little = state.n_bytes < PIECE_BYTES;
        state.n_bytes += n_bytes;
        if was_little && state.n_bytes >= PIECE_BYTES {
            self.changed.notify_all();
        }
    }

    /// Waits while too much has gathered.
    ///
    /// # Errors
    /// Why sled takes no more.
    pub(super) fn wait_for_room(&self) -> Result<(), String> {
        let mut state = self.state();
        while state.n_bytes > WAITING_BYTES_MAX && state.failed.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.failed.clone().map_or(Ok(()), Err)
    }

    /// Tells sled piece by piece, until this is over or it takes no more.
    pub(super) fn keep_moving(&self, put: impl Fn(&IVec, Option<&IVec>) -> Result<(), String>) {
        while self.gather() {
            let moving = self.begin();
            let told = moving.iter().try_for_each(|(key, value)| match self.state().is_over {
                true => Err(String::new()),
                false => put(key, value.as_ref()),
            });
            if let Err(reason) = told {
                // It goes on being read from here.
                self.state().failed = Some(reason);
                self.changed.notify_all();
                return;
            }
            self.tables.write().unwrap_or_else(PoisonError::into_inner).moving = Arc::default();
            self.state().is_moving = false;
            self.changed.notify_all();
        }
    }

    /// Returns once sled has been told everything, or takes no more.
    pub(super) fn settle(&self) {
        let mut state = self.state();
        state.n_settling += 1;
        self.changed.notify_all();
        while (state.n_bytes > 0 || state.is_moving) && state.failed.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.n_settling -= 1;
    }

    /// Nothing needs to be told any more.
    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    /// Waits until there is a piece; false where this is over.
    fn gather(&self) -> bool {
        let mut state = self.state();
        let mut was_little = false;
        while !state.is_over && state.n_bytes < PIECE_BYTES {
            if state.n_bytes > 0 && (was_little || state.n_settling > 0) {
                break;
            }
            was_little = state.n_bytes > 0;
            let waited = self.changed.wait_timeout(state, GATHERING);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.is_over
    }

    fn begin(&self) -> Arc<Table> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.moving = Arc::new(std::mem::take(&mut tables.latest));
        let mut state = self.state();
        (state.n_bytes, state.is_moving) = (0, true);
        drop(state);
        self.changed.notify_all();
        tables.moving.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// What sled will have of a key; None where it was told.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<IVec>> {
        self.latest.get(key).or_else(|| self.moving.get(key)).cloned()
    }

    /// What sled will have in a range of keys, where that is more than what it has.
    pub(super) fn over<'a>(
        &'a self,
        range: &Range<Vec<u8>>,
        sled: impl Iterator<Item = sled::Result<(IVec, IVec)>> + 'a,
    ) -> impl Iterator<Item = sled::Result<(IVec, IVec)>> + 'a {
        let whole = |(key, value): (&IVec, &Option<IVec>)| Ok((key.clone(), value.clone()));
        let latest = part(&self.latest, range).map(whole);
        let moving = part(&self.moving, range).map(whole);
        let told = sled.map(|pair| pair.map(|(key, value)| (key, Some(value))));
        let fresh = Over::new(latest, Over::new(moving, told));
        fresh.filter_map(|pair| pair.map(|(key, value)| Some((key, value?))).transpose())
    }
}

/// The pairs of a range of keys. Where that ends before it begins there are none.
pub(super) fn part<'a>(
    table: &'a Table,
    range: &Range<Vec<u8>>,
) -> btree_map::Range<'a, IVec, Option<IVec>> {
    let start = range.start.as_slice().min(range.end.as_slice());
    table.range::<[u8], _>((Bound::Included(start), Bound::Excluded(range.end.as_slice())))
}

fn size_of(key: &IVec, value: Option<&IVec>) -> usize {
    key.len() + value.map_or(0, |value| value.len())
}

/// Two sequences in order of their keys as one; of a key in both the upper one counts.
struct Over<U: Iterator, L: Iterator> {
    upper: Peekable<U>,
    lower: Peekable<L>,
}

impl<U: Iterator, L: Iterator> Over<U, L> {
    fn new(upper: U, lower: L) -> Self {
        Self { upper: upper.peekable(), lower: lower.peekable() }
    }
}

impl<U, L> Iterator for Over<U, L>
where
    U: Iterator<Item = sled::Result<Fresh>>,
    L: Iterator<Item = sled::Result<Fresh>>,
{
    type Item = sled::Result<Fresh>;

    fn next(&mut self) -> Option<Self::Item> {
        let (Some(Ok((upper, _))), Some(lower)) = (self.upper.peek(), self.lower.peek()) else {
            return self.upper.next().or_else(|| self.lower.next());
        };
        match lower {
            Ok((lower, _)) if upper < lower => self.upper.next(),
            Ok((lower, _)) if upper == lower => {
                self.lower.next();
                self.upper.next()
            }
            _ => self.lower.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use super::*;

    fn change(key: &str, value: Option<&str>) -> Change {
        (key.into(), value.map(Into::into))
    }

    fn seen(recent: &Recent, sled: &[(&str, &str)]) -> Vec<String> {
        let sled = sled.iter().map(|(key, value)| Ok((IVec::from(*key), IVec::from(*value))));
        let tables = recent.read();
        let pairs = tables.over(&(b"b".to_vec()..b"y".to_vec()), sled);
        let text = |part: IVec| String::from_utf8(part.to_vec()).expect("text");
        pairs.map(|pair| pair.expect("it reads")).map(|(k, v)| text(k) + "=" + &text(v)).collect()
    }

    #[test]
    fn what_is_later_hides_what_was_earlier() {
        let recent = Recent::default();
        recent
            .write(vec![change("b", Some("1")), change("c", Some("1")), change("d", None)], || {});
        recent.begin();
        recent
            .write(vec![change("a", Some("2")), change("c", Some("2")), change("f", None)], || {});
        let sled = [("c", "0"), ("d", "0"), ("e", "0"), ("f", "0"), ("x", "0")];
        assert_eq!(seen(&recent, &sled), ["b=1", "c=2", "e=0", "x=0"]);
        let found = |key: &str| recent.read().get(key.as_bytes());
        assert_eq!(found("b"), Some(Some(IVec::from("1"))));
        assert_eq!((found("d"), found("f"), found("e")), (Some(None), Some(None), None));
    }

    #[test]
    fn sled_is_told_of_everything_once_and_nobody_waits_for_ever() {
        let recent = Recent::default();
        let sled = Mutex::new(BTreeMap::new());
        thread::scope(|threads| {
            threads.spawn(|| {
                recent.keep_moving(|key, value| {
                    sled.lock().expect("no panic").insert(key.clone(), value.cloned());
                    Ok(())
                });
            });
            let large = "x".repeat(WAITING_BYTES_MAX / 3);
            for number in 0..12 {
                recent.wait_for_room().expect("sled takes all");
                recent.write(vec![change(&number.to_string(), Some(&large))], || {});
            }
            recent.settle();
            recent.end();
        });
        assert_eq!(sled.into_inner().expect("no panic").len(), 12);
    }

    #[test]
    fn where_sled_takes_no_more_it_is_read_from_here_and_the_next_one_is_told() {
        let recent = Recent::default();
        let large = "x".repeat(PIECE_BYTES);
        recent.write(vec![change("b", Some(&large))], || {});
        recent.keep_moving(|_, _| Err("the disk is gone".into()));
        assert_eq!(recent.wait_for_room(), Err("the disk is gone".into()));
        assert!(recent.read().get(b"b").is_some());
    }
}
