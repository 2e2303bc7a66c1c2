use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hero_schema::{LaunchNumber, LogLevel, LogLine, LogStream, PlaySid, Timestamp};

use crate::memory_store::MemoryEngine;
use crate::{Batch, Changes, Engine, Error, KeyedStore, PageQuery, Pair, Store, Write};

/// What a test does to its disk, and sees of it.
#[derive(Default)]
struct Disk {
    is_full: AtomicBool,
    is_deaf: AtomicBool,
    n_synced: AtomicU32,
}

/// An engine over such a disk.
struct FailingEngine {
    pairs: MemoryEngine,
    disk: Arc<Disk>,
}

fn failed(action: &'static str, flag: &AtomicBool) -> Result<(), Error> {
    if flag.load(Ordering::SeqCst) {
        let source = std::io::ErrorKind::StorageFull.into();
        return Err(Error::Io { action, path: "disk".into(), source });
    }
    Ok(())
}

impl Engine for FailingEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.pairs.get(key)
    }

    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        self.pairs.has(key)
    }

    fn scan(&self, keys: Range<Vec<u8>>, limit: usize) -> Result<Vec<Pair>, Error> {
        self.pairs.scan(keys, limit)
    }

    fn keys(&self, keys: Range<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        self.pairs.keys(keys)
    }

    fn apply(&self, changes: Changes) -> Result<(), Error> {
        if changes.keys().any(|key| key.windows(7).any(|part| part == b"damaged")) {
            return Err(Error::Damaged { record: "it".into(), reason: "as it should be".into() });
        }
        failed("write", &self.disk.is_full)?;
        self.pairs.apply(changes)
    }

    fn sync(&self) -> Result<(), Error> {
        failed("sync", &self.disk.is_deaf)?;
        self.disk.n_synced.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn store() -> (KeyedStore<FailingEngine>, Arc<Disk>) {
    let disk = Arc::new(Disk::default());
    let engine = FailingEngine { pairs: MemoryEngine::default(), disk: disk.clone() };
    (KeyedStore::over(engine).expect("the system gives a thread"), disk)
}

fn line(seq: u64) -> Batch {
    line_of("a", seq)
}

fn line_of(play: &str, seq: u64) -> Batch {
    let line = LogLine {
        launch: LaunchNumber(1),
        seq,
        at: Timestamp(1),
        stream: LogStream::Log,
        level: LogLevel::Info,
        span_id: None,
        text: "x".into(),
    };
    Batch { fence: None, writes: vec![Write::Log(PlaySid::new(play), line)] }
}

async fn assert_stopped(store: &KeyedStore<FailingEngine>, words: &str) {
    match store.commit(line(1)).await {
        Err(Error::Stopped(reason)) => assert!(reason.starts_with(words), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_acknowledged_any_more() {
    let (store, disk) = store();
    store.commit(line(1)).await.expect("the disk is well");
    disk.is_full.store(true, Ordering::SeqCst);
    assert_stopped(&store, "failed to write `disk`: ").await;
    // It may have room again; what is durable stays unknown.
    disk.is_full.store(false, Ordering::SeqCst);
    assert_stopped(&store, "failed to write `disk`: ").await;
    store.logs(&PlaySid::new("a"), PageQuery::default()).await.expect("reading goes on");
    assert!(matches!(store.close().await, Err(Error::Stopped(_))));
}

#[tokio::test]
async fn damage_that_one_batch_meets_with_is_that_batchs_alone() {
    let (store, _) = store();
    // Queued at once, they are written together.
    let (one, damaged, two) = tokio::join!(
        store.commit(line_of("a", 1)),
        store.commit(line_of("damaged", 1)),
        store.commit(line_of("b", 1)),
    );
    one.expect("it is well");
    assert!(matches!(damaged, Err(Error::Damaged { .. })), "{damaged:?}");
    two.expect("it is well");
    store.commit(line_of("a", 2)).await.expect("the store goes on");
    let lines = store.logs(&PlaySid::new("a"), PageQuery::default()).await.expect("readable");
    assert_eq!(lines.items.len(), 2);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let (store, disk) = store();
    disk.is_deaf.store(true, Ordering::SeqCst);
    assert_stopped(&store, "failed to sync `disk`: ").await;
    disk.is_deaf.store(false, Ordering::SeqCst);
    assert_stopped(&store, "failed to sync `disk`: ").await;
    assert_eq!(disk.n_synced.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_synced_and_close_syncs_it() {
    let (store, disk) = store();
    let mut news = store.news();
    for seq in 0..3 {
        store.post(line(seq));
        news.recv().await.expect("it is applied");
    }
    assert_eq!(disk.n_synced.load(Ordering::SeqCst), 0);
    store.close().await.expect("it closes");
    assert_eq!(disk.n_synced.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn whoever_polls_writes_and_without_that_the_thread_does() {
    let (store, disk) = store();
    store.commit_here(line(1)).await.expect("the disk is well");
    assert_eq!(disk.n_synced.load(Ordering::SeqCst), 1);
    let (one, two) = tokio::join!(store.commit_here(line(2)), store.commit(line(3)));
    one.and(two).expect("the disk is well");
    // Nobody waits for this one, and it is made all the same.
    let mut news = store.news();
    drop(store.commit_here(line(4)));
    news.recv().await.expect("it is applied");
    store.close().await.expect("the disk is well");
}
