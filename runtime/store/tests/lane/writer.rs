//! The process that things happen to: it writes plays that anyone can compute, and says what was
//! acknowledged.
//!
//! A test file that uses it has a `writes` test that calls [`run`], and starts itself as [`command`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hero_schema::{PlayRecord, PlaySid, PlayStatus};
use hero_store::{Batch, SledStore, Store, Write};

use super::content::Content;
use crate::samples;

const DIR: &str = "HERO_WRITER_DIR";
const WRITERS: &str = "HERO_WRITER_TASKS";
const BATCHES: &str = "HERO_WRITER_BATCHES";
const OPENS: &str = "HERO_WRITER_OPENS";
const COMPACTS: &str = "HERO_WRITER_COMPACTS";

/// How many batches a play takes from its beginning to its end.
const PLAY_BATCHES: usize = 12;

/// After an error, so many more batches are tried: none of them may be acknowledged.
const TRIES_AFTER_ERROR: usize = 10;

/// What the process is to do.
pub(crate) struct Work {
    /// How many write at the same time.
    pub(crate) n_writers: usize,
    /// How many batches each of them writes in all.
    pub(crate) n_batches: usize,
    /// How often the store is opened on the way.
    pub(crate) n_opens: usize,
    /// Whether it compacts the store all the while.
    pub(crate) compacts: bool,
}

/// Adds to the command what makes this test program the writer.
pub(crate) fn describe(command: &mut Command, dir: &Path, work: &Work) {
    command
        .args(["timeout", "--signal=KILL", "120"])
        .arg(std::env::current_exe().expect("the test program has a path"))
        .args(["--exact", "writes", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(WRITERS, work.n_writers.to_string())
        .env(BATCHES, work.n_batches.to_string())
        .env(OPENS, work.n_opens.to_string())
        .env(COMPACTS, usize::from(work.compacts).to_string());
}

/// Writes what was asked for, if it was: `ack <writer> <batches>` after each acknowledgement.
pub(crate) async fn run() {
    super::silence_sled();
    let Some(dir) = std::env::var_os(DIR) else { return };
    let number = |name| -> usize { std::env::var(name).expect("set").parse().expect("a number") };
    let (n_writers, n_batches, n_opens) = (number(WRITERS), number(BATCHES), number(OPENS));
    let compacts = number(COMPACTS) == 1;
    for part in 0..n_opens {
        let batches = n_batches * part / n_opens..n_batches * (part + 1) / n_opens;
        write_part(Path::new(&dir), n_writers, batches, compacts).await;
    }
}

#[allow(clippy::print_stdout, reason = "the parent listens")]
async fn write_part(dir: &Path, n_writers: usize, batches: Range<usize>, compacts: bool) {
    let store = match SledStore::open(dir) {
        Ok(store) => Arc::new(store),
        Err(error) => return println!("not opened {error}"),
    };
    println!("opened");
    let writers: Vec<_> = (0..n_writers)
        .map(|writer| tokio::spawn(write(store.clone(), writer, batches.clone())))
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let compacting = compacts.then(|| {
        let (store, is_over) = (store.clone(), is_over.clone());
        tokio::task::spawn_blocking(move || {
            while !is_over.load(Ordering::Relaxed) {
                match store.compact() {
                    Ok(()) => println!("compacted"),
                    Err(error) => println!("error compactor {error}"),
                }
            }
        })
    });
    for writer in writers {
        writer.await.expect("a writer ends by itself");
    }
    is_over.store(true, Ordering::Relaxed);
    if let Some(compacting) = compacting {
        compacting.await.expect("it ends when it is told to");
    }
    println!("closed {:?}", store.close().await.is_ok());
}

#[allow(clippy::print_stdout, reason = "the parent listens")]
async fn write(store: Arc<SledStore>, writer: usize, batches: Range<usize>) {
    let mut n_refused = 0;
    for number in batches {
        let batch = Batch { fence: None, writes: batch(writer, number) };
        match store.commit(batch).await {
            Ok(()) if n_refused > 0 => println!("late {writer} {}", number + 1),
            Ok(()) => println!("ack {writer} {}", number + 1),
            Err(error) => {
                println!("error {writer} {error}");
                n_refused += 1;
            }
        }
        if n_refused > TRIES_AFTER_ERROR {
            return;
        }
    }
}

/// What the writer said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How many batches of each writer were acknowledged.
    pub(crate) n_acked: BTreeMap<usize, usize>,
    pub(crate) is_opened: bool,
    pub(crate) n_compactions: usize,
    pub(crate) errors: Vec<String>,
    /// What was acknowledged after an error.
    pub(crate) late: Vec<String>,
}

impl Told {
    pub(crate) fn of(output: &str) -> Self {
        let mut told = Self::default();
        for line in output.lines() {
            told.hear(line);
        }
        told
    }

    pub(crate) fn hear(&mut self, line: &str) {
        // The harness may have written the beginning of the first line.
        let line = line.rsplit(" ... ").next().unwrap_or(line);
        match line.split_once(' ').unwrap_or((line, "")) {
            ("opened", _) => self.is_opened = true,
            ("compacted", _) => self.n_compactions += 1,
            ("ack", rest) => {
                let (writer, number) = rest.split_once(' ').expect("two numbers");
                let number = number.parse().expect("a number");
                self.n_acked.insert(writer.parse().expect("a number"), number);
            }
            ("error", rest) | ("not", rest) => self.errors.push(rest.to_owned()),
            ("late", rest) => self.late.push(rest.to_owned()),
            _ => {}
        }
    }
}

/// The batch of a writer with this number. A play begins, takes steps small and large, asks and is
/// answered, and ends; the one before the last is removed.
fn batch(writer: usize, number: usize) -> Vec<Write> {
    let (play_number, step) = (number / PLAY_BATCHES, number % PLAY_BATCHES);
    let first = first_revision(writer, play_number);
    let sid = first.sid.clone();
    let revised = |revision: u64, status| {
        Write::Play(Box::new(PlayRecord { revision, status, ..first.clone() }))
    };
    let asked = samples::request("r", number as i64 - step as i64);
    match step {
        0 => {
            let removed =
                play_number.checked_sub(2).map(|earlier| Write::Remove(sid_of(writer, earlier)));
            [Write::Play(Box::new(first))].into_iter().chain(removed).collect()
        }
        9 => vec![Write::Request(sid, Box::new(asked)), revised(1, PlayStatus::AwaitingResume)],
        10 => {
            let answered = samples::answered(&asked, "true");
            vec![Write::Request(sid, Box::new(answered)), revised(2, PlayStatus::Running)]
        }
        11 => vec![revised(3, PlayStatus::Success)],
        _ => {
            let n_bytes =
                if (number * 7 + writer).is_multiple_of(9) { 12_000 } else { 200 + number % 3000 };
            let text = format!("{writer}.{number} {}", "x".repeat(n_bytes));
            let outcome = samples::outcome(&format!("{step:040}"), &text);
            let span = samples::span(1, step as u64);
            vec![Write::Outcome(sid.clone(), Box::new(outcome)), Write::Span(sid, Box::new(span))]
        }
    }
}

fn first_revision(writer: usize, play_number: usize) -> PlayRecord {
    samples::play(sid_of(writer, play_number).as_str())
}

fn sid_of(writer: usize, play_number: usize) -> PlaySid {
    PlaySid::new(format!("w{writer}-p{play_number}"))
}

/// Holds a store against what a writer was told: everything acknowledged is there, and of the batch
/// after that all or nothing.
pub(crate) async fn check(store: &dyn Store, writer: usize, n_acked: usize) -> Result<(), String> {
    let plays: Vec<_> =
        (0..=(n_acked + 1) / PLAY_BATCHES).map(|number| sid_of(writer, number)).collect();
    let found = read(store, &plays).await?;
    let mut expected = Content::default();
    for number in 0..n_acked {
        expected.remember(batch(writer, number));
    }
    if found.is_same(&expected) {
        return Ok(());
    }
    expected.remember(batch(writer, n_acked));
    if found.is_same(&expected) {
        return Ok(());
    }
    Err(format!(
        "writer {writer}: after {n_acked} acknowledged batches there is {}",
        found.summary()
    ))
}

async fn read(store: &dyn Store, plays: &[PlaySid]) -> Result<Content, String> {
    let mut found = Content::default();
    for sid in plays {
        let text = |error: hero_store::Error| error.to_string();
        for outcome in store.outcomes(sid).await.map_err(text)? {
            found.remember(vec![Write::Outcome(sid.clone(), Box::new(outcome))]);
        }
        for request in store.requests(sid).await.map_err(text)? {
            found.remember(vec![Write::Request(sid.clone(), Box::new(request))]);
        }
        if let Some(play) = store.play(sid).await.map_err(text)? {
            let all = hero_store::PageQuery { cursor: None, limit: usize::MAX };
            let n_spans = store.spans(sid, all).await.map_err(text)?.items.len();
            let n_outcomes = found.outcomes.get(sid).map_or(0, BTreeMap::len);
            if n_spans != n_outcomes {
                return Err(format!("play {sid}: {n_outcomes} outcomes and {n_spans} spans"));
            }
            found.remember(vec![Write::Play(Box::new(play))]);
        }
    }
    Ok(found)
}
