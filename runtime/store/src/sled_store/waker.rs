//! Ends the waiting of calls into sled that nobody else would end.
//!
//! When a write fails on one of its threads, sled 0.34 notes the error, and on one of two ways
//! (`Log::exit_reservation`) tells nobody: whoever waits for that write waits for ever. Another flush
//! finds the error and wakes all who wait. So while a call takes long, a flush is begun beside it; on
//! a disk that is only slow it waits with the other one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::guarded::guarded;

/// How long a call takes at least before it counts as taking long.
const PATIENCE: Duration = Duration::from_millis(500);

/// The thread that looks after the calls. Dropped, it lets go of the tree.
pub(super) struct Waker {
    calls: Arc<Calls>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Calls {
    n_begun: AtomicU64,
    n_ended: AtomicU64,
    is_over: AtomicBool,
}

impl Calls {
    /// The call that is under way.
    fn current(&self) -> Option<u64> {
        let n_begun = self.n_begun.load(Ordering::SeqCst);
        (self.n_ended.load(Ordering::SeqCst) < n_begun).then_some(n_begun)
    }
}

impl Waker {
    pub(super) fn start(tree: sled::Db, path: PathBuf) -> std::io::Result<Self> {
        let calls = Arc::new(Calls::default());
        let watched = calls.clone();
        let watch = move || {
            let mut last = None;
            while !watched.is_over.load(Ordering::SeqCst) {
                let current = watched.current();
                if current.is_some() && current == last {
                    // The call itself will see the error.
                    let _ = guarded("flush", &path, || "the tree".into(), || tree.flush());
                }
                last = current;
                thread::park_timeout(PATIENCE);
            }
        };
        let thread = thread::Builder::new().name("store waker".into()).spawn(watch)?;
        Ok(Self { calls, thread: Some(thread) })
    }

    /// Makes a call. One thread may do so.
    pub(super) fn during<T>(&self, call: impl FnOnce() -> T) -> T {
        self.calls.n_begun.fetch_add(1, Ordering::SeqCst);
        let _ended = Ended(&self.calls);
        call()
    }
}

/// Notes the end of a call, also of one that panics.
struct Ended<'a>(&'a Calls);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.n_ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.calls.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that wakes sled panicked");
            }
        }
    }
}
