//! What the doctor says of a directory, and what it makes of it.

mod lane;
mod samples;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hero_schema::{PlaySid, PlayStatus};
use hero_store::doctor::{self, Finding};
use hero_store::{Batch, Error, SledStore, Store, Write};
use lane::files_under;
use samples::{outcome, play};
use tempfile::TempDir;

/// A directory for the test, and the store's place in it: the doctor works beside it.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let store = dir.path().join("store");
    (dir, store)
}

async fn commit(store: &SledStore, writes: Vec<Write>) {
    store.commit(Batch { fence: None, writes }).await.expect("it is accepted");
}

/// Two plays with a small and a large outcome each; `b` has ended.
async fn filled(dir: &Path) -> SledStore {
    let store = SledStore::open(dir).expect("it opens");
    for sid in ["a", "b"] {
        let mut play = play(sid);
        if sid == "b" {
            play.status = PlayStatus::Success;
        }
        let step =
            |key: &str, text: &str| Write::Outcome(PlaySid::new(sid), Box::new(outcome(key, text)));
        let writes =
            vec![Write::Play(Box::new(play)), step("k", "x"), step("l", &"y".repeat(9000))];
        commit(&store, writes).await;
    }
    store
}

/// Damages the large outcome of one play, the one whose blob holds `marker`.
fn damage_blob(dir: &Path, marker: &str) {
    let holds = |file: &PathBuf| {
        let content = fs::read(file).expect("readable");
        content.windows(marker.len()).any(|part| part == marker.as_bytes())
    };
    let blobs = files_under(&dir.join("blobs"));
    let blob = blobs.iter().find(|file| holds(file)).expect("there is such a blob");
    let file = File::options().write(true).open(blob).expect("writable");
    file.write_all_at(b"z", 5000).expect("writable");
}

#[tokio::test]
async fn a_store_that_is_well_is_left_alone() {
    let (_parent, dir) = place();
    filled(&dir).await.close().await.expect("it closes");
    for report in [doctor::examine(&dir), doctor::repair(&dir)] {
        let report = report.expect("it reads");
        assert!(!report.needs_repair());
        assert_eq!(report.repaired, None);
        let text = report.to_string();
        let expected = format!("store `{}`\nformat 5, not in use\n", dir.display());
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.ends_with("2 plays: 1 running, 1 success\nto do: nothing"), "{text}");
    }
}

#[tokio::test]
async fn a_store_in_use_is_examined_and_not_repaired() {
    let (_parent, dir) = place();
    let store = filled(&dir).await;
    let report = doctor::examine(&dir).expect("it reads");
    let holder = report.holder.expect("it is in use");
    assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
    assert!(matches!(doctor::repair(&dir), Err(Error::InUse { .. })));
    commit(&store, vec![Write::Play(Box::new(play("c")))]).await;
}

#[test]
fn what_is_no_store_is_an_error_or_empty() {
    let (parent, dir) = place();
    assert!(matches!(doctor::examine(&dir), Err(Error::Io { .. })));
    assert!(matches!(doctor::repair(&dir), Err(Error::Io { .. })));
    let report = doctor::examine(parent.path()).expect("it reads");
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn a_play_that_lost_an_outcome_goes_into_quarantine_and_the_others_go_on() {
    let (parent, dir) = place();
    // `a` alone has this text in its blob's record.
    let store = filled(&dir).await;
    let large = outcome("m", &format!("of a {}", "y".repeat(9000)));
    commit(&store, vec![Write::Outcome(PlaySid::new("a"), Box::new(large))]).await;
    drop(store);
    damage_blob(&dir, "of a");

    let report = doctor::examine(&dir).expect("it reads");
    let [Finding { play: Some(found), is_loss: true, text }] = &report.findings[..] else {
        panic!("{report}")
    };
    assert_eq!(found.as_str(), "a");
    assert!(text.starts_with("outcome `m` of play `a` is damaged: its blob `"), "{text}");
    assert!(report.to_string().contains("put into quarantine: 1 play"), "{report}");

    let report = doctor::repair(&dir).expect("it repairs");
    let repaired = report.repaired.as_ref().expect("there was something to do");
    assert_eq!((repaired.n_kept, &*repaired.quarantined), (1, &[PlaySid::new("a")][..]));
    assert_eq!(repaired.old, parent.path().canonicalize().expect("there").join("store.damaged-1"));
    let lines = fs::read_to_string(repaired.quarantine.join("a.jsonl")).expect("readable");
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().expect("a text")).collect();
    assert_eq!(kinds, ["quarantined", "play", "outcome", "outcome", "outcome"]);
    assert_eq!(lines[1]["record"]["sid"], "a");
    assert_eq!(lines[2]["record"]["key"], "k");
    assert!(lines[4]["damage"].as_str().expect("a text").contains("holds something else"));

    let store = SledStore::open(&dir).expect("it opens");
    assert_eq!(store.play(&PlaySid::new("a")).await.expect("readable"), None);
    assert_eq!(store.outcomes(&PlaySid::new("b")).await.expect("readable").len(), 2);
    store.close().await.expect("it closes");
    assert!(!doctor::examine(&dir).expect("it reads").needs_repair());

    // A later repair keeps what an earlier one put aside.
    damage_blob(&dir, "yyyy");
    let report = doctor::repair(&dir).expect("it repairs");
    let repaired = report.repaired.expect("there was something to do");
    assert!(repaired.old.ends_with("store.damaged-2"), "{}", repaired.old.display());
    for file in ["a.jsonl", "b.jsonl"] {
        assert!(repaired.quarantine.join(file).exists(), "{file}");
    }
}

#[tokio::test]
async fn a_repair_that_crashed_is_begun_anew_and_loses_nothing() {
    let (parent, dir) = place();
    drop(filled(&dir).await);
    damage_blob(&dir, "yyyy");
    // It crashed while it wrote the new store.
    let half = parent.path().join("store.repairing");
    fs::create_dir(&half).expect("writable");
    fs::write(half.join("unfinished"), "").expect("writable");
    let report = doctor::repair(&dir).expect("it repairs");
    assert!(report.repaired.expect("there was something to do").old.ends_with("store.damaged-1"));
    assert!(!half.exists());

    // It crashed between putting the new one in its place and naming the old one.
    fs::rename(parent.path().join("store.damaged-1"), &half).expect("renamable");
    damage_blob(&dir, "yyyy");
    let report = doctor::repair(&dir).expect("it repairs");
    assert!(report.repaired.expect("there was something to do").old.ends_with("store.damaged-2"));
    let kept = doctor::examine(&parent.path().join("store.damaged-1")).expect("it reads");
    assert_eq!(kept.n_plays.values().sum::<usize>(), 2);
}

#[tokio::test]
async fn what_no_report_finds_is_not_there() {
    let (_parent, dir) = place();
    drop(filled(&dir).await);
    fs::remove_file(dir.join("sled/log")).expect("removable");
    let report = doctor::examine(&dir).expect("it reads");
    assert!(
        report.to_string().contains("lost: the tree cannot be read (its log is missing)"),
        "{report}"
    );
    assert!(
        report.to_string().contains("acknowledged writes the tree holds the first 0"),
        "{report}"
    );
}
