//! Compaction: what is packed reads as before, what is removed gives its room back, and nobody waits
//! for it.

mod lane;
mod samples;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hero_schema::{PlaySid, PlayStatus};
use hero_store::{Batch, PageQuery, PlayQuery, SledStore, Store, Write};
use lane::content::Content;
use lane::files_under;
use samples::{outcome, play, revised};

fn open(dir: &Path) -> SledStore {
    SledStore::open(dir).expect("it opens")
}

fn bytes_of(dir: &Path) -> u64 {
    files_under(dir).iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

async fn assert_whole(store: &SledStore, content: &Content) {
    assert_eq!(content.check(store).await.n_reported, 0);
}

/// Every play by pages of one, and all at once.
async fn assert_pages_agree(store: &SledStore) {
    let all = store.plays(PlayQuery::default()).await.expect("readable");
    let (mut query, mut single) = (PlayQuery::default(), Vec::new());
    query.page.limit = 1;
    loop {
        let page = store.plays(query.clone()).await.expect("readable");
        single.extend(page.items);
        query.page.cursor = page.next_cursor;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(single, all.items);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_packed_reads_as_before_and_is_changed_as_before() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut content = Content::default();
    let mut store = open(dir.path());
    content.fill(&store, 30).await;
    for round in 0..4 {
        store.compact().expect("it compacts");
        assert_whole(&store, &content).await;
        store.close().await.expect("it closes");
        store = open(dir.path());
        assert_whole(&store, &content).await;
        assert_pages_agree(&store).await;
        for (number, play) in content.plays.clone().into_values().enumerate() {
            let step = outcome(&format!("{round}"), "later");
            let writes = match number % 5 {
                0 => vec![Write::Play(Box::new(revised(&play, |play| {
                    play.status = PlayStatus::Success;
                })))],
                1 => vec![Write::Outcome(play.sid.clone(), Box::new(step))],
                2 if play.status.is_ended() => vec![Write::Remove(play.sid.clone())],
                _ => continue,
            };
            content.commit(&store, writes).await;
        }
        assert_whole(&store, &content).await;
        assert_pages_agree(&store).await;
    }
    // One pack, and nothing of those before it.
    store.compact().expect("it compacts");
    assert_eq!(files_under(&dir.path().join("packs")).len(), 1);
    assert!(!dir.path().join("sled.next").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_meanwhile_is_there_afterwards() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let store = Arc::new(open(dir.path()));
    let n_steps = 300;
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut content = Content::default();
            for number in 0..n_steps {
                let first = play(&format!("{writer}-{}", number / 10));
                let writes = match number % 10 {
                    0 => vec![Write::Play(Box::new(first))],
                    9 => {
                        let ended = revised(&first, |play| play.status = PlayStatus::Failed);
                        let mut writes = vec![Write::Play(Box::new(ended.clone()))];
                        if number % 20 == 9 {
                            writes.push(Write::Remove(ended.sid));
                        }
                        writes
                    }
                    step => {
                        let n_bytes = if step == 3 { 9000 } else { 300 };
                        let step = outcome(&format!("{step}"), &"x".repeat(n_bytes));
                        vec![Write::Outcome(first.sid, Box::new(step))]
                    }
                };
                content.commit(&*store, writes).await;
            }
            content
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut n_compactions = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let store = store.clone();
        let compacted = tokio::task::spawn_blocking(move || store.compact()).await;
        compacted.expect("it comes to an end").expect("it compacts");
        n_compactions += 1;
    }
    assert!(n_compactions > 2, "{n_compactions} compactions: the run is void");
    let mut content = Content::default();
    for writer in writers {
        let written = writer.await.expect("a writer ends by itself");
        content.plays.extend(written.plays);
        content.outcomes.extend(written.outcomes);
    }
    assert_whole(&store, &content).await;
    Arc::into_inner(store).expect("nobody else has it").close().await.expect("it closes");
    assert_whole(&open(dir.path()), &content).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_plays_give_their_room_back_by_themselves() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let store = open(dir.path());
    let sid = |number| PlaySid::new(format!("play-{number}"));
    for number in 0..20 {
        let mut ended = play(sid(number).as_str());
        ended.status = PlayStatus::Success;
        let steps = (0..100).map(|step| {
            let text = format!("{number}.{step} {}", "x".repeat(1500));
            Write::Outcome(sid(number), Box::new(outcome(&format!("{step:040}"), &text)))
        });
        let writes = [Write::Play(Box::new(ended))].into_iter().chain(steps).collect();
        store.commit(Batch { fence: None, writes }).await.expect("it is accepted");
    }
    until(|| dir.path().join("packs").exists() && bytes_of(dir.path()) < 3 << 20).await;
    for number in 0..20 {
        let writes = vec![Write::Remove(sid(number))];
        store.commit(Batch { fence: None, writes }).await.expect("it is accepted");
    }
    until(|| bytes_of(&dir.path().join("packs")) < 1 << 16).await;
    until(|| !dir.path().join("sled.next").exists()).await;
    assert!(bytes_of(dir.path()) < 2 << 20, "{} bytes are left", bytes_of(dir.path()));
}

async fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come to be");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_crash_left_of_a_compaction_is_removed() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut content = Content::default();
    let store = open(dir.path());
    content.fill(&store, 3).await;
    store.compact().expect("it compacts");
    drop(store);
    let packs = dir.path().join("packs");
    for left in ["7", "8.unfinished"] {
        fs::write(packs.join(left), "half").expect("writable");
    }
    lane::copy(&dir.path().join("sled"), &dir.path().join("sled.next"));
    let store = open(dir.path());
    assert_whole(&store, &content).await;
    assert_eq!(files_under(&packs).len(), 1);
    assert!(!dir.path().join("sled.next").exists());
    let all = PageQuery { cursor: None, limit: usize::MAX };
    let spans = store.spans(&PlaySid::new("play-001"), all).await.expect("readable");
    assert_eq!(spans.items.len(), 10);
}

#[tokio::test]
async fn a_store_that_had_no_packs_learns_to_pack() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let mut content = Content::default();
    let store = open(dir.path());
    content.fill(&store, 3).await;
    store.settle().expect("sled takes what was written");
    drop(store);
    // As it was before: no log, and the sums say nothing of a pack.
    let sled_dir = dir.path().join("sled");
    fs::remove_file(sled_dir.join("log")).expect("removable");
    lane::copy(&sled_dir.join("tree"), &sled_dir);
    let tree = sled::open(&sled_dir).expect("sled opens its own files");
    let sums = tree.get(b"#").expect("sled reads").expect("it is stored");
    tree.insert(b"#", &sums[..sums.len() - 24]).expect("sled writes");
    drop(tree);
    fs::write(dir.path().join("format"), "2\n").expect("writable");
    let store = open(dir.path());
    assert_eq!(fs::read_to_string(dir.path().join("format")).expect("readable"), "5\n");
    store.compact().expect("it compacts");
    assert_whole(&store, &content).await;
}
