//! What holds for a store in a directory beyond the contract: its lock, its format, damage, kills.

mod samples;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hero_schema::{PlaySid, PlayStatus, RequestKind, Timestamp, VersionSid, WorkflowSid};
use hero_store::{Batch, Due, Error, PageQuery, PlayQuery, SledStore, Store, Write};
use samples::{outcome, play, span, version};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

fn open(dir: &TempDir) -> SledStore {
    SledStore::open(dir.path()).expect("the store opens")
}

/// Why the store does not open.
fn refusal(dir: &TempDir) -> Error {
    match SledStore::open(dir.path()) {
        Ok(_) => panic!("the store opens"),
        Err(error) => error,
    }
}

async fn commit(store: &SledStore, writes: impl IntoIterator<Item = Write>) {
    let batch = Batch { fence: None, writes: writes.into_iter().collect() };
    store.commit(batch).await.expect("the batch is accepted");
}

fn step(play: &str, key: &str, text: &str) -> Write {
    Write::Outcome(PlaySid::new(play), Box::new(outcome(key, text)))
}

/// Makes it a directory of a format that had no log, and opens the files of sled that counted there.
/// They hold what `dir` does, except that their sums end where `n_sums_bytes` says.
fn without_log(dir: &TempDir, format: u32, n_sums_bytes: usize) -> sled::Db {
    let sled_dir = dir.path().join("sled");
    open(dir).settle().expect("sled takes what was written");
    let tree = directory();
    copy(&sled_dir.join("tree"), tree.path());
    fs::remove_dir_all(&sled_dir).expect("removable");
    copy(tree.path(), &sled_dir);
    fs::write(dir.path().join("format"), format!("{format}\n")).expect("writable");
    let tree = sled::open(sled_dir).expect("sled opens its own files");
    let sums = tree.get(b"#").expect("sled reads").expect("it is stored");
    tree.insert(b"#", &sums[..n_sums_bytes.min(sums.len())]).expect("sled writes");
    tree
}

/// The format before there was a log, and its sums in full.
const LAST_WITHOUT_LOG: (u32, usize) = (4, usize::MAX);

/// Changes what stands in sled where that counts: every value that holds `marker`.
fn tamper(dir: &TempDir, marker: &str, change: impl Fn(&mut Vec<u8>)) {
    let (format, n_sums_bytes) = LAST_WITHOUT_LOG;
    let tree = without_log(dir, format, n_sums_bytes);
    let mut n_changed = 0;
    for pair in tree.iter() {
        let (key, value) = pair.expect("sled reads");
        if value.windows(marker.len()).any(|part| part == marker.as_bytes()) {
            let mut value = value.to_vec();
            change(&mut value);
            tree.insert(key, value).expect("sled writes");
            n_changed += 1;
        }
    }
    assert!(n_changed > 0, "nothing holds {marker:?}");
    tree.flush().expect("sled flushes");
}

#[tokio::test]
async fn a_second_opener_is_told_who_holds_the_directory() {
    let dir = directory();
    let store = open(&dir);
    let Error::InUse { dir: refused, holder } = refusal(&dir) else { panic!("not refused so") };
    assert_eq!(refused, dir.path());
    assert!(holder.contains(&format!("pid {}, since 2", std::process::id())), "{holder}");
    store.close().await.expect("it closes");
    // Closed, and not even dropped.
    let reopened = open(&dir);
    assert!(matches!(refusal(&dir), Error::InUse { .. }));
    drop(reopened);
    drop(open(&dir));
}

#[test]
fn what_a_dead_holder_left_in_the_lock_file_is_ignored() {
    let dir = directory();
    fs::write(dir.path().join("lock"), "hero_logic_server (pid 1, since 1970)").expect("writable");
    drop(open(&dir));
}

#[test]
fn the_directory_is_its_owners_alone() {
    let parent = directory();
    let (new, found) = (parent.path().join("a/new"), parent.path().join("found"));
    fs::create_dir(&found).expect("writable");
    fs::set_permissions(&found, Permissions::from_mode(0o755)).expect("ours to change");
    for dir in [new, found] {
        drop(SledStore::open(&dir).expect("the store opens"));
        let mode = fs::metadata(&dir).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", dir.display());
    }
}

#[tokio::test]
async fn what_stands_beside_the_log_makes_no_difference() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, [step("a", "k", "kept")]).await;
    drop(store);
    for name in ["snap.FF.generating", "tree/db", "tree/conf"] {
        fs::write(dir.path().join("sled").join(name), "garbage").expect("writable");
    }
    let store = open(&dir);
    let outcomes = store.outcomes(&PlaySid::new("a")).await.expect("readable");
    assert_eq!(outcomes, [outcome("k", "kept")]);
}

#[test]
fn a_directory_of_a_newer_format_is_left_alone() {
    let dir = directory();
    drop(open(&dir));
    fs::write(dir.path().join("format"), "7\n").expect("writable");
    let Error::Format { found, known, .. } = refusal(&dir) else { panic!("not refused so") };
    assert_eq!((found, known), (7, 5));
    fs::write(dir.path().join("format"), "?").expect("writable");
    assert!(matches!(refusal(&dir), Error::DamagedStore { .. }));
    fs::write(dir.path().join("format"), "5\n").expect("writable");
    drop(open(&dir));
}

#[tokio::test]
async fn a_damaged_record_is_named_and_the_others_are_readable() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, [step("a", "k", "to be damaged"), step("b", "k", "whole")]).await;
    drop(store);
    tamper(&dir, "to be damaged", |value| *value.last_mut().expect("not empty") ^= 1);
    let store = open(&dir);
    let error = store.outcomes(&PlaySid::new("a")).await.expect_err("damaged");
    assert_eq!(
        error.to_string(),
        "outcome `k` of play `a` is damaged: its checksum does not match"
    );
    let whole = store.outcomes(&PlaySid::new("b")).await.expect("readable");
    assert_eq!(whole, [outcome("k", "whole")]);
    commit(&store, [step("b", "l", "written beside it")]).await;
}

#[tokio::test]
async fn a_damaged_play_takes_no_more_writes_and_stands_in_nobodys_way() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, ["a", "b"].map(|sid| Write::Play(Box::new(play(sid))))).await;
    drop(store);
    tamper(&dir, "\"play a\"", |value| value.truncate(40));
    let store = open(&dir);
    let batch = Batch { fence: None, writes: vec![step("a", "k", "x")] };
    let error = store.commit(batch).await.expect_err("damaged");
    assert_eq!(error.to_string(), "play `a` is damaged: its checksum does not match");
    commit(&store, [step("b", "k", "x")]).await;
}

#[tokio::test]
async fn a_lost_outcome_is_noticed() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, [step("a", "k", "to be lost"), step("a", "l", "kept")]).await;
    drop(store);
    let tree = without_log(&dir, LAST_WITHOUT_LOG.0, LAST_WITHOUT_LOG.1);
    let lost = tree
        .iter()
        .map(|pair| pair.expect("sled reads"))
        .find(|(_, value)| value.windows(10).any(|part| part == b"to be lost"));
    tree.remove(lost.expect("it was stored").0).expect("sled writes");
    drop(tree);
    let error = open(&dir).outcomes(&PlaySid::new("a")).await.expect_err("one is missing");
    assert_eq!(error.to_string(), "outcome `…` of play `a` is damaged: 1 of 2 are there");
}

#[tokio::test]
async fn a_lost_answer_is_noticed() {
    let dir = directory();
    let store = open(&dir);
    let (sid, asked) = (PlaySid::new("a"), samples::request("r", 1));
    let ask = |request| Write::Request(PlaySid::new("a"), Box::new(request));
    commit(&store, [ask(asked.clone())]).await;
    drop(store);
    let tree = without_log(&dir, LAST_WITHOUT_LOG.0, LAST_WITHOUT_LOG.1);
    let (key, question) =
        tree.scan_prefix(b"r").next().expect("it was stored").expect("sled reads");
    drop(tree);
    let store = open(&dir);
    commit(&store, [ask(samples::answered(&asked, "true"))]).await;
    assert_eq!(store.requests(&sid).await.expect("readable").len(), 1);
    drop(store);
    let tree = without_log(&dir, LAST_WITHOUT_LOG.0, LAST_WITHOUT_LOG.1);
    tree.insert(key, question).expect("sled writes");
    drop(tree);
    let error = open(&dir).requests(&sid).await.expect_err("the answer is missing");
    assert!(error.to_string().ends_with("is not the one that was written last"), "{error}");
}

#[tokio::test]
async fn an_emptied_store_is_not_taken_for_a_new_one() {
    let dir = directory();
    drop(open(&dir));
    let tree = without_log(&dir, LAST_WITHOUT_LOG.0, LAST_WITHOUT_LOG.1);
    tree.clear().expect("sled writes");
    drop(tree);
    assert!(matches!(refusal(&dir), Error::DamagedStore { .. }));
    fs::remove_dir_all(dir.path().join("sled")).expect("removable");
    assert!(matches!(refusal(&dir), Error::DamagedStore { .. }));
}

#[tokio::test]
async fn a_large_value_stands_in_a_file_of_its_own_and_damage_to_it_is_noticed() {
    let dir = directory();
    let store = open(&dir);
    let source = "pass\n".repeat(200_000);
    commit(&store, [step("a", "k", &source), step("b", "k", &source)]).await;
    commit(&store, [Write::Version(Box::new(version("v", &source)))]).await;
    drop(store);
    let blobs = files_under(&dir.path().join("blobs"));
    assert_eq!(blobs.len(), 3);
    assert_eq!(files_under(&dir.path().join("sled/blobs")), Vec::<PathBuf>::new());

    let store = open(&dir);
    for blob in &blobs {
        let mut content = fs::read(blob).expect("readable");
        content[500_000] ^= 1;
        fs::write(blob, content).expect("writable");
    }
    let error = store.version(&VersionSid::new("v")).await.expect_err("damaged");
    assert!(error.to_string().starts_with("version `v` is damaged: its blob `"), "{error}");
    for blob in &blobs {
        fs::remove_file(blob).expect("removable");
    }
    let error = store.outcomes(&PlaySid::new("a")).await.expect_err("missing");
    assert!(error.to_string().ends_with("is missing"), "{error}");
}

#[tokio::test]
async fn a_replaced_large_value_takes_its_file_with_it() {
    let dir = directory();
    let store = open(&dir);
    let mut large = play("a");
    for revision in 0..5 {
        large.revision = revision;
        large.input = samples::json(&format!("[{revision}, \"{}\"]", "x".repeat(10_000)));
        commit(&store, [Write::Play(Box::new(large.clone()))]).await;
        until_there_are(1, &dir).await;
        assert_eq!(store.play(&large.sid).await.expect("readable"), Some(large.clone()));
    }
    large.revision += 1;
    large.input = samples::json("[]");
    commit(&store, [Write::Play(Box::new(large))]).await;
    until_there_are(0, &dir).await;
}

#[tokio::test]
async fn a_removed_play_takes_its_large_values_with_it() {
    let dir = directory();
    let store = open(&dir);
    let mut ended = play("a");
    ended.status = PlayStatus::Failed;
    ended.input = samples::json(&format!("[\"{}\"]", "x".repeat(10_000)));
    let large = "x".repeat(10_000);
    commit(&store, [Write::Play(Box::new(ended.clone())), step("a", "k", &large)]).await;
    commit(&store, [step("b", "k", &large)]).await;
    assert_eq!(files_under(&dir.path().join("blobs")).len(), 3);
    commit(&store, [Write::Remove(ended.sid)]).await;
    until_there_are(1, &dir).await;
    let kept = store.outcomes(&PlaySid::new("b")).await.expect("readable");
    assert_eq!(kept, [outcome("k", &large)]);
}

#[tokio::test]
async fn blobs_that_a_crash_left_are_removed() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, [step("a", "k", &"x".repeat(10_000))]).await;
    drop(store);
    let [blob] = &files_under(&dir.path().join("blobs"))[..] else { panic!("there is one blob") };
    let shard = blob.parent().expect("it stands in a shard");
    for left in ["ab".repeat(32), "cd.unfinished".into()] {
        fs::write(shard.join(left), "x").expect("writable");
    }
    let store = open(&dir);
    assert_eq!(&files_under(&dir.path().join("blobs")), std::slice::from_ref(blob));
    store.outcomes(&PlaySid::new("a")).await.expect("readable");
}

#[tokio::test]
async fn what_sled_lost_without_a_word_is_noticed() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, ["a", "b"].map(|sid| Write::Play(Box::new(play(sid))))).await;
    drop(store);
    // One after the other: the play, and its place on a list.
    for lost in [&b"pa\0\x01"[..], b"xa"] {
        let copied = directory();
        copy(dir.path(), copied.path());
        let tree = without_log(&copied, LAST_WITHOUT_LOG.0, LAST_WITHOUT_LOG.1);
        let found = tree.scan_prefix(lost).keys().next().expect("it was stored");
        tree.remove(found.expect("sled reads")).expect("sled writes");
        drop(tree);
        let text = refusal(&copied).to_string();
        assert!(text.contains("the tree: it does not come to what was written"), "{text}");
    }
    drop(open(&dir));
}

#[tokio::test]
async fn a_damaged_play_is_left_out_of_lists_and_named_there() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, ["a", "b", "c"].map(|sid| Write::Play(Box::new(play(sid))))).await;
    drop(store);
    tamper(&dir, "\"play b\"", |value| *value.last_mut().expect("not empty") ^= 1);
    let store = open(&dir);
    let page = store.plays(PlayQuery::default()).await.expect("readable");
    let listed: Vec<_> = page.items.iter().map(|play| play.sid.as_str()).collect();
    assert_eq!(listed, ["a", "c"]);
    assert_eq!(page.damaged, ["play `b` is damaged: its checksum does not match"]);
    // It takes a place, so that no page is without end, and is met once.
    let mut query = PlayQuery::default();
    query.page.limit = 1;
    let mut met = Vec::new();
    loop {
        let page = store.plays(query.clone()).await.expect("readable");
        met.push((page.items.len(), page.damaged.len()));
        query.page.cursor = page.next_cursor;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(met, [(1, 0), (0, 1), (1, 0)]);
    assert!(matches!(store.play(&PlaySid::new("b")).await, Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn what_is_damaged_keeps_nothing_from_falling_due() {
    let dir = directory();
    let store = open(&dir);
    for (sid, at) in [("a", 10), ("b", 20), ("c", 30)] {
        let mut play = play(sid);
        play.deadline = Some(Timestamp(at));
        commit(&store, [Write::Play(Box::new(play))]).await;
    }
    drop(store);
    tamper(&dir, "\"play a\"", |value| *value.last_mut().expect("not empty") ^= 1);
    let due = open(&dir).due(1).await.expect("readable");
    assert_eq!(due, [Due { at: Timestamp(20), play: PlaySid::new("b"), request: None }]);
}

#[tokio::test]
async fn a_store_of_format_1_learns_what_falls_due() {
    let dir = directory();
    let store = open(&dir);
    let mut asked = samples::request("r", 1);
    asked.expires_at = Some(Timestamp(20));
    let ask = Write::Request(PlaySid::new("a"), Box::new(asked));
    commit(&store, [Write::Play(Box::new(play("a"))), ask]).await;
    commit(&store, [step("a", "k", &"x".repeat(10_000))]).await;
    drop(store);
    // As it was before: no such list, and the sums no more than a count.
    let tree = without_log(&dir, 1, 8);
    for key in tree.scan_prefix(b"xd").keys() {
        tree.remove(key.expect("sled reads")).expect("sled writes");
    }
    drop(tree);
    for _ in 0..2 {
        let store = open(&dir);
        let request = Some(hero_schema::ResumeId::new("r"));
        let due = Due { at: Timestamp(20), play: PlaySid::new("a"), request };
        assert_eq!(store.due(9).await.expect("readable"), [due]);
        assert_eq!(fs::read_to_string(dir.path().join("format")).expect("readable"), "5\n");
        assert_eq!(files_under(&dir.path().join("blobs")).len(), 1);
    }
}

#[tokio::test]
async fn a_store_of_an_older_format_learns_its_new_lists() {
    let dir = directory();
    let store = open(&dir);
    let workflow = WorkflowSid::new("w");
    for (number, sid) in ["a", "b", "c"].into_iter().enumerate() {
        let mut new = play(sid);
        new.workflow_sid = Some(workflow.clone());
        if number > 0 {
            new.status = PlayStatus::Success;
            new.ended_at = Some(Timestamp(100 - number as i64));
        }
        commit(&store, [Write::Play(Box::new(new))]).await;
    }
    let mut timer = samples::request("timer", 1);
    timer.kind = RequestKind::Timer;
    let question = samples::request("question", 2);
    let asked = [timer, question].map(|request| Write::Request(PlaySid::new("a"), request.into()));
    commit(&store, asked).await;
    drop(store);
    // As it was before: the lists that are new were not there, and one held more. Nothing was summed
    // up.
    let tree = without_log(&dir, 2, 8);
    for list in [b"xc", b"xe"] {
        for key in tree.scan_prefix(list).keys() {
            tree.remove(key.expect("sled reads")).expect("sled writes");
        }
    }
    let listed = tree.scan_prefix(b"xo").keys().next().expect("listed").expect("sled reads");
    let id = listed.windows(8).position(|bytes| bytes == b"question").expect("its id");
    let timer = [&listed[..id], b"timer", &listed[id + 8..]].concat();
    tree.insert(timer, &[0]).expect("sled writes");
    drop(tree);
    for _ in 0..2 {
        let store = open(&dir);
        let (status, workflow) = (Some(PlayStatus::Success), Some(workflow.clone()));
        let query = PlayQuery { status, workflow, ..PlayQuery::default() };
        assert_eq!(store.plays(query).await.expect("readable").items.len(), 2);
        let ended = store.ended_plays(PageQuery::default()).await.expect("readable").items;
        let ended: Vec<_> = ended.iter().map(|play| play.sid.as_str()).collect();
        assert_eq!(ended, ["c", "b"]);
        let open = store.open_questions(PageQuery::default()).await.expect("readable").items;
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].1.id.as_str(), "question");
        assert_eq!(fs::read_to_string(dir.path().join("format")).expect("readable"), "5\n");
    }
}

#[tokio::test]
async fn no_flipped_byte_makes_a_closed_store_panic_or_forget() {
    let (pristine, store) = filled().await;
    store.close().await.expect("it closes");
    flip_bytes_of(pristine.path()).await;
}

#[tokio::test]
async fn no_flipped_byte_makes_a_killed_store_panic_or_forget() {
    let (pristine, store) = filled().await;
    let killed = directory();
    copy(pristine.path(), killed.path());
    store.close().await.expect("it closes");
    flip_bytes_of(killed.path()).await;
}

const N_FILLED: usize = 200;

/// A directory with many outcomes of play `a`, still open.
async fn filled() -> (TempDir, SledStore) {
    let dir = directory();
    let store = open(&dir);
    for number in 0..N_FILLED {
        commit(&store, [step("a", &format!("{number:03}"), &format!("text of {number:03}"))]).await;
    }
    (dir, store)
}

/// A store must say so, or read back all that was written.
async fn flip_bytes_of(pristine: &Path) {
    let data = fs::read(pristine.join("sled/log")).expect("readable");
    let n_used = data.iter().rposition(|byte| *byte != 0).expect("not empty");
    let mut n_noticed = 0;
    for round in 0..40 {
        let dir = directory();
        copy(pristine, dir.path());
        let mut damaged = data.clone();
        damaged[n_used * round / 40] ^= 0x10;
        fs::write(dir.path().join("sled/log"), &damaged).expect("writable");
        let read = match SledStore::open(dir.path()) {
            Ok(store) => store.outcomes(&PlaySid::new("a")).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(outcomes) => {
                assert_eq!(outcomes.len(), N_FILLED, "round {round}");
                for read in &outcomes {
                    let key = read.key.as_str();
                    assert_eq!(*read, outcome(key, &format!("text of {key}")), "round {round}");
                }
            }
            Err(Error::Damaged { .. } | Error::DamagedStore { .. }) => n_noticed += 1,
            Err(other) => panic!("round {round}: {other}"),
        }
    }
    assert!(n_noticed > 35, "{n_noticed} of 40 flips were noticed");
}

#[tokio::test]
async fn a_store_that_went_back_in_time_opens_only_when_told_to() {
    let dir = directory();
    let store = open(&dir);
    commit(&store, [step("a", "k", "kept")]).await;
    let earlier = directory();
    copy(dir.path(), earlier.path());
    commit(&store, [step("a", "l", "lost")]).await;
    store.close().await.expect("it closes");
    fs::remove_dir_all(dir.path().join("sled")).expect("removable");
    copy(&earlier.path().join("sled"), &dir.path().join("sled"));

    let text = refusal(&dir).to_string();
    let expected = format!(
        "the store in `{}` is damaged: the tree: of 3 acknowledged writes it holds the first 2; \
         `hero_logic doctor --repair` saves what is readable",
        dir.path().display()
    );
    assert_eq!(text, expected);
    fs::remove_file(dir.path().join("head")).expect("removable");
    let outcomes = open(&dir).outcomes(&PlaySid::new("a")).await.expect("readable");
    assert_eq!(outcomes, [outcome("k", "kept")]);
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let dir = directory();
    let mut acknowledged = BTreeSet::new();
    for round in 0..5 {
        let mut child = writing_process(dir.path(), round);
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut lines = lines.map_while(Result::ok).filter_map(acknowledgement);
        // Killed in the middle of writing, at another point each time.
        acknowledged.extend(lines.by_ref().take(50 + 37 * round));
        child.kill().expect("it still writes");
        acknowledged.extend(lines);
        child.wait().expect("it is gone");

        let store = open(&dir);
        let outcomes = store.outcomes(&PlaySid::new("a")).await.expect("readable");
        let stored: BTreeSet<_> =
            outcomes.iter().map(|read| read.key.as_str().to_owned()).collect();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        let all = PageQuery { cursor: None, limit: usize::MAX };
        let spans = store.spans(&PlaySid::new("a"), all).await.expect("readable");
        let n_spans = spans.items.len();
        assert_eq!(n_spans, stored.len(), "round {round}: a batch is whole or not there");
        store.plays(PlayQuery::default()).await.expect("readable");
        store.close().await.expect("it closes");
    }
    assert!(acknowledged.len() > 500, "{}", acknowledged.len());
}

const DIR_VARIABLE: &str = "HERO_STORE_TEST_DIR";
const ROUND_VARIABLE: &str = "HERO_STORE_TEST_ROUND";

/// This program once more, as the process that is killed.
fn writing_process(dir: &Path, round: usize) -> std::process::Child {
    Command::new(std::env::current_exe().expect("the test program has a path"))
        .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DIR_VARIABLE, dir)
        .env(ROUND_VARIABLE, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test program starts")
}

fn acknowledgement(line: String) -> Option<String> {
    line.strip_prefix("ack ").map(str::to_owned)
}

/// Not a test: the child of `what_was_acknowledged_survives_kill_9`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it never ends by itself"]
#[allow(clippy::print_stdout, reason = "the parent listens")]
async fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else { return };
    let round: u64 = std::env::var(ROUND_VARIABLE).expect("set").parse().expect("a number");
    let store = std::sync::Arc::new(SledStore::open(Path::new(&dir)).expect("the store opens"));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0.. {
                    let seq = (round * 8 + writer) * 1_000_000 + number;
                    // Some are large, so that kills fall between a blob and what names it.
                    let text =
                        "x".repeat(if number % 10 == 0 { 20_000 + number as usize } else { 100 });
                    let span = Write::Span(PlaySid::new("a"), Box::new(span(1, seq)));
                    commit(&store, [step("a", &seq.to_string(), &text), span]).await;
                    println!("ack {seq}");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("it writes until it is killed");
    }
}

/// What nobody reads any more is removed right after whoever waits was told.
async fn until_there_are(n_blobs: usize, dir: &TempDir) {
    let blobs = dir.path().join("blobs");
    let waited = async {
        while files_under(&blobs).len() != n_blobs {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let is_so = tokio::time::timeout(Duration::from_secs(30), waited).await.is_ok();
    assert!(is_so, "{} blobs in place of {n_blobs}", files_under(&blobs).len());
}

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("listable").path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files_under(from) {
        let target = to.join(file.strip_prefix(from).expect("it is under it"));
        fs::create_dir_all(target.parent().expect("it has a directory")).expect("writable");
        fs::copy(file, target).expect("copyable");
    }
}
