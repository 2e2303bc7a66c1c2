//! A full disk: new plays are refused early, what was accepted goes on, and nothing that was
//! acknowledged is lost. On a real file system of 16 MB, so it needs the right to mount one.

mod lane;
mod samples;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hero_schema::PlaySid;
use hero_store::{Batch, Error, SledStore, Store, Write};
use lane::content::Content;
use samples::{outcome, play};
use tempfile::TempDir;

const DISK_MEGABYTES: usize = 20;

/// What is removed in the end, as somebody would who needs room.
const BALLAST_BYTES: usize = 9 << 20;

/// A small file system, unmounted with its last use.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let size = format!("size={DISK_MEGABYTES}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(dir.path())
            .output();
        let mounted = mounted.expect("`mount` starts");
        assert!(
            mounted.status.success(),
            "a tmpfs cannot be mounted ({}): run this as root, or under `unshare --map-root-user --mount`",
            String::from_utf8_lossy(&mounted.stderr).trim()
        );
        fs::write(dir.path().join("ballast"), vec![1; BALLAST_BYTES]).expect("writable");
        Self(dir)
    }

    fn store_dir(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn make_room(&self) {
        fs::remove_file(self.0.path().join("ballast")).expect("removable");
    }

    fn fill_up(&self) {
        let mut n_bytes = 1 << 20;
        let path = self.0.path().join("filler");
        let mut content = Vec::new();
        while n_bytes > 0 {
            content.resize(content.len() + n_bytes, 1);
            if fs::write(&path, &content).is_err() {
                content.truncate(content.len() - n_bytes);
                n_bytes /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.path().join("filler")).expect("removable");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} stays mounted",
            self.0.path().display()
        );
    }
}

fn open(dir: &Path) -> SledStore {
    SledStore::open(dir).expect("it opens")
}

fn step(sid: &PlaySid, number: usize, n_bytes: usize) -> Vec<Write> {
    let outcome = outcome(&format!("{number:040}"), &"x".repeat(n_bytes));
    vec![Write::Outcome(sid.clone(), Box::new(outcome))]
}

/// Starts plays for as long as there is room for new ones. Returns the latest.
async fn fill(store: &SledStore, content: &mut Content, n_bytes: usize) -> PlaySid {
    let mut latest = None;
    for number in 0.. {
        match store.has_room().await {
            Ok(()) => {}
            Err(Error::NoSpace { free_bytes, needed_bytes, .. }) => {
                assert!(free_bytes < needed_bytes, "{free_bytes} of {needed_bytes}");
                break;
            }
            Err(other) => panic!("{other}"),
        }
        let play = play(&format!("{number:05}"));
        let mut writes = vec![Write::Play(Box::new(play.clone()))];
        writes.extend(step(&play.sid, 0, n_bytes));
        content.commit(store, writes).await;
        latest = Some(play.sid);
    }
    latest.expect("there is room on an empty disk")
}

/// Takes steps until the disk is full.
async fn overfill(
    store: &SledStore,
    content: &mut Content,
    sid: &PlaySid,
    n_bytes: usize,
) -> usize {
    for number in 1.. {
        let writes = step(sid, number, n_bytes);
        match store.commit(Batch { fence: None, writes: writes.clone() }).await {
            Ok(()) => content.remember(writes),
            Err(Error::Stopped(_)) => return number - 1,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("the disk is small")
}

async fn a_full_disk_stops_new_plays_first_and_loses_nothing(n_bytes: usize) {
    lane::silence_sled();
    let disk = SmallDisk::new();
    let dir = disk.store_dir();
    let mut content = Content::default();
    let store = open(&dir);
    let sid = fill(&store, &mut content, n_bytes).await;
    assert!(content.plays.len() > 20, "{} plays had room", content.plays.len());

    // What was accepted before is still served.
    let n_steps = overfill(&store, &mut content, &sid, n_bytes).await;
    assert!(
        n_steps > 1_000 || n_steps * n_bytes > 500_000,
        "{n_steps} more steps of {n_bytes} bytes"
    );
    let refused = store.commit(Batch { fence: None, writes: step(&sid, 99_999, 1) }).await;
    assert!(matches!(refused, Err(Error::Stopped(_))), "{refused:?}");
    drop(store);

    // Opened while there is no room, it says so and does no harm, however often.
    disk.fill_up();
    for _ in 0..3 {
        let refused = SledStore::open(&dir).map(drop);
        assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    }
    disk.empty();
    disk.make_room();
    let store = open(&dir);
    let verdict = content.check_steps(&store, &sid).await;
    assert_eq!(verdict.n_reported, 0);
    store.has_room().await.expect("there is room again");
    content.commit(&store, step(&sid, 99_999, n_bytes)).await;
    store.close().await.expect("it closes");
    assert_eq!(content.check_steps(&open(&dir), &sid).await.n_reported, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_small_records() {
    a_full_disk_stops_new_plays_first_and_loses_nothing(300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_middling_records() {
    a_full_disk_stops_new_plays_first_and_loses_nothing(3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_large_records() {
    a_full_disk_stops_new_plays_first_and_loses_nothing(40_000).await;
}
