//! Little memory: a store with many plays is opened and listed within it.

mod samples;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hero_store::{Batch, PlayQuery, SledStore, Store, Write};

const N_PLAYS: usize = 10_000;

/// What the process may have, all its threads' reserves included.
const ADDRESS_SPACE_BYTES: usize = 256 << 20;

const DIR: &str = "HERO_MEMORY_DIR";

async fn fill(dir: &Path) {
    let store = SledStore::open(dir).expect("it opens");
    for first in (0..N_PLAYS).step_by(500) {
        let plays = (first..first + 500).map(|number| samples::play(&format!("{number:05}")));
        let writes = plays.map(|play| Write::Play(Box::new(play))).collect();
        store.commit(Batch { fence: None, writes }).await.expect("it is accepted");
    }
    store.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_plays_are_listed_in_256_megabytes() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    fill(dir.path()).await;
    let output = Command::new("prlimit")
        .arg(format!("--as={ADDRESS_SPACE_BYTES}"))
        .arg(std::env::current_exe().expect("the test program has a path"))
        .args(["--exact", "lists", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir.path())
        // Each arena reserves 64 MB of addresses, whatever it takes of them.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .expect("`prlimit` is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{text}\n{errors}", output.status);
    assert!(text.contains(&format!("listed {N_PLAYS}")), "{text}");
}

/// Not a test: the process with little memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is started by the test above"]
#[allow(clippy::print_stdout, reason = "the parent listens")]
async fn lists() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = SledStore::open(Path::new(&dir)).expect("it opens");
    let (mut query, mut listed) = (PlayQuery::default(), BTreeSet::new());
    loop {
        let page = store.plays(query.clone()).await.expect("readable");
        listed.extend(page.items.into_iter().map(|play| play.sid));
        query.page.cursor = page.next_cursor;
        if !page.has_more {
            break;
        }
    }
    println!("listed {}", listed.len());
}
