//! What plays remember, as the files that launches map.
//!
//! A file is one JSON object `{step_key: outcome}` with an entry a line. A launch that stores further
//! outcomes extends it, so that the next launch of a long play finds it as it must be, and the store is
//! not read again. What is not kept is made anew from the store. Beside a longer one stands its index, for
//! who does not want to read all of it.

use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use hero_core::replay;
use hero_schema::child::Compensable;
use hero_schema::{Outcome, OutcomeRecord, PlaySid};
use hero_store::Store;

use crate::Error;
use crate::memory_index::Index;

/// How many files are kept for plays that no launch runs for.
const KEPT_MAX: usize = 16;

/// From how many steps on a file is worth keeping. A shorter one is made as quickly.
const KEPT_STEPS_MIN: usize = 200;

/// How many outcomes may wait for the step around them to end, or for the end of the launch.
const WAITING_MAX: usize = 10_000;

/// What the file ends with, after its last entry.
const END: &[u8] = b"\n}";

/// The files of the plays that may be launched again soon.
pub(crate) struct Memories {
    dir: PathBuf,
    next_number: AtomicU64,
    kept: Mutex<VecDeque<(PlaySid, Memory)>>,
}

impl Memories {
    /// In a directory that is there.
    pub(crate) fn in_dir(dir: PathBuf) -> Self {
        Self { dir, next_number: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// The memory of a play, and what of it can be undone. It belongs to the caller alone.
    ///
    /// # Errors
    /// The store cannot be read, or the file not be written.
    pub(crate) async fn of(
        &self,
        store: &dyn Store,
        play: &PlaySid,
    ) -> Result<(Memory, Vec<Compensable>), Error> {
        if let Some(memory) = self.take(play) {
            return Ok((memory, Vec::new()));
        }
        let outcomes = store.outcomes(play).await?;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let compensations = replay::compensable(&outcomes);
        let path = self.dir.join(format!("memory-{number}.json"));
        let mut outcomes = replay::outermost(outcomes);
        // As they completed, which is about the order in which they are asked for.
        outcomes.sort_by_key(|outcome| (outcome.launch, outcome.seq));
        let memory = Memory::made(path, outcomes, !compensations.is_empty())?;
        Ok((memory, compensations))
    }

    /// Keeps a memory for the next launch, where that is worth it. It must hold all that is stored.
    pub(crate) fn keep(&self, play: &PlaySid, mut memory: Memory) {
        if memory.n_steps() < KEPT_STEPS_MIN || !memory.is_ready() {
            return;
        }
        let mut kept = self.lock();
        kept.retain(|(other, _)| other != play);
        kept.push_back((play.clone(), memory));
        if kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }

    /// No launch of the play is to come.
    pub(crate) fn forget(&self, play: &PlaySid) {
        drop(self.take(play));
    }

    fn take(&self, play: &PlaySid) -> Option<Memory> {
        let mut kept = self.lock();
        let index = kept.iter().position(|(other, _)| other == play)?;
        kept.remove(index).map(|(_, memory)| memory)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(PlaySid, Memory)>> {
        self.kept.lock().expect("nobody panics while holding this lock")
    }
}

/// The memory of one play: its outermost completed steps. The file is gone when this is dropped.
pub(crate) struct Memory {
    path: PathBuf,
    /// None before the first entry.
    entries: Option<Entries>,
    /// Of the keys of all that was added. A key that comes twice spoils the file; a mistaken one only
    /// costs it.
    hashes: HashSet<u64>,
    hasher: RandomState,
    /// The callers of the steps in the file that are steps themselves.
    callers: HashSet<String>,
    /// Outcomes that do not stand in the file, because the step that called them may still end.
    waiting: Vec<OutcomeRecord>,
    /// Whether it cannot be extended: something in it is superseded, stands there already, was lost, or
    /// can be undone.
    is_spent: bool,
}

impl Memory {
    fn made(path: PathBuf, outcomes: Vec<OutcomeRecord>, is_spent: bool) -> Result<Self, Error> {
        let mut memory = Self {
            path,
            entries: None,
            hashes: HashSet::with_capacity(outcomes.len()),
            hasher: RandomState::new(),
            callers: HashSet::new(),
            waiting: Vec::new(),
            is_spent,
        };
        outcomes
            .into_iter()
            .try_for_each(|outcome| {
                memory.is_new(&outcome);
                memory.write(outcome)
            })
            .and_then(|()| memory.end())
            .map_err(Error::file("write", &memory.path))?;
        Ok(memory)
    }

    /// The file; None where nothing is remembered.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.entries.is_some().then_some(&*self.path)
    }

    /// Adds an outcome that was stored.
    pub(crate) fn add(&mut self, outcome: OutcomeRecord) {
        self.is_spent = self.is_spent
            || outcome.compensable
            || !self.is_new(&outcome)
            || self.supersedes(&outcome);
        if self.is_spent {
            return;
        }
        if outcome.parent_path.contains('/') {
            self.waiting.push(outcome);
            self.is_spent = self.waiting.len() > WAITING_MAX;
        } else {
            self.is_spent = self.write(outcome).is_err();
        }
    }

    fn is_new(&mut self, outcome: &OutcomeRecord) -> bool {
        self.hashes.insert(self.hasher.hash_one(outcome.key.as_str()))
    }

    /// Whether the file holds what lies under this step; what waits there is left out from now on.
    fn supersedes(&mut self, outcome: &OutcomeRecord) -> bool {
        if self.waiting.is_empty() && self.callers.is_empty() {
            return false;
        }
        let path = outcome.path();
        self.waiting.retain(|inner| !replay::lies_under(&path, &inner.parent_path));
        self.callers.iter().any(|caller| replay::lies_under(&path, caller))
    }

    fn n_steps(&self) -> usize {
        self.waiting.len() + self.entries.as_ref().map_or(0, |entries| entries.n_written)
    }

    /// Writes what waits. Returns whether the file can be handed to another launch.
    fn is_ready(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.waiting);
        let written = waiting.into_iter().try_for_each(|outcome| self.write(outcome));
        !self.is_spent && written.and_then(|()| self.end()).is_ok()
    }

    fn write(&mut self, outcome: OutcomeRecord) -> io::Result<()> {
        let entries = match &mut self.entries {
            Some(entries) => entries,
            None => self.entries.insert(Entries::create(&self.path)?),
        };
        entries.push(&outcome)?;
        if outcome.parent_path.contains('/') {
            self.callers.insert(outcome.parent_path);
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.entries.as_mut().map_or(Ok(()), Entries::end)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(entries) = self.entries.take() {
            let index = entries.index.path();
            for path in [Some(&*self.path), index].into_iter().flatten() {
                if let Err(error) = std::fs::remove_file(path) {
                    tracing::warn!(file = %path.display(), %error, "memory file not removed");
                }
            }
        }
    }
}

/// The file itself, and its index.
struct Entries {
    file: BufWriter<File>,
    n_written: usize,
    is_ended: bool,
    /// Without the end.
    n_bytes: u64,
    /// Of so many bytes.
    sum: crc32fast::Hasher,
    /// An entry while it is put together.
    entry: Vec<u8>,
    index: Index,
}

impl Entries {
    fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self {
            file: BufWriter::new(file),
            n_written: 0,
            is_ended: false,
            n_bytes: 0,
            sum: crc32fast::Hasher::new(),
            entry: Vec::new(),
            index: Index::beside(path),
        })
    }

    /// Adds an entry. A launch that has mapped the file is not disturbed: it has read how far it goes.
    fn push(&mut self, outcome: &OutcomeRecord) -> io::Result<()> {
        if std::mem::take(&mut self.is_ended) {
            self.file.seek(SeekFrom::End(-(END.len() as i64)))?;
        }
        let entry = &mut self.entry;
        entry.clear();
        entry.extend_from_slice(if self.n_written == 0 { b"{\n" } else { b",\n" });
        serde_json::to_writer(&mut *entry, &outcome.key)?;
        let start = match &outcome.outcome {
            Outcome::Returned(payload) => {
                entry.extend_from_slice(b":{\"returned\":");
                let start = entry.len();
                entry.extend_from_slice(payload.text().as_bytes());
                start
            }
            Outcome::Raised(raised) => {
                entry.extend_from_slice(b":{\"raised\":");
                let start = entry.len();
                serde_json::to_writer(&mut *entry, raised)?;
                start
            }
        };
        let payload = self.n_bytes + start as u64..self.n_bytes + entry.len() as u64;
        entry.push(b'}');
        self.file.write_all(entry)?;
        self.sum.update(entry);
        self.n_bytes += entry.len() as u64;
        self.n_written += 1;
        self.index.push(outcome, payload)
    }

    /// Makes the file whole.
    fn end(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_ended, true) {
            self.file.write_all(END)?;
        }
        self.file.flush()?;
        let mut sum = self.sum.clone();
        sum.update(END);
        self.index.end(self.n_bytes + END.len() as u64, sum.finalize())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hero_schema::memory_index::{Entry, Head};
    use hero_schema::{Json, LaunchNumber, SpanId, SpanPlace, StepKey};

    use super::*;

    fn outcome(parent_path: &str, key: &str) -> OutcomeRecord {
        OutcomeRecord {
            key: StepKey::new(key),
            parent_path: parent_path.into(),
            name: "step".into(),
            arguments_hash: String::new(),
            source_hash: String::new(),
            span_id: SpanId::new("0"),
            launch: LaunchNumber(1),
            seq: 0,
            span_seq: None,
            compensable: false,
            plan: false,
            place: None,
            usage: Default::default(),
            outcome: Outcome::Returned(Json::of(&key).expect("a text has a JSON form")),
        }
    }

    fn memory(name: &str, outcomes: Vec<OutcomeRecord>) -> Memory {
        let file = format!("hero-memory-{}-{name}.json", std::process::id());
        Memory::made(std::env::temp_dir().join(file), outcomes, false)
            .expect("a directory to write to")
    }

    fn keys_in(memory: &Memory) -> Vec<String> {
        let Some(path) = memory.path() else { return Vec::new() };
        let text = std::fs::read_to_string(path).expect("the file is there");
        let entries: BTreeMap<String, Outcome> = serde_json::from_str(&text).expect("it is whole");
        assert_eq!(text.lines().count(), entries.len() + 2, "an entry a line: {text}");
        entries.into_keys().collect()
    }

    #[test]
    fn what_a_launch_stores_is_there_for_the_next() {
        let mut memory = memory("extended", vec![outcome("main", "a")]);
        assert_eq!(keys_in(&memory), ["a"]);
        for key in ["b", "c"] {
            memory.add(outcome("main", key));
            assert!(memory.is_ready());
        }
        assert_eq!(keys_in(&memory), ["a", "b", "c"]);
        let path = memory.path.clone();
        drop(memory);
        assert!(!path.exists());
    }

    #[test]
    fn without_a_step_there_is_no_file_until_there_is_one() {
        let mut memory = memory("empty", Vec::new());
        assert_eq!(memory.path(), None);
        assert!(memory.is_ready());
        memory.add(outcome("main", "a"));
        assert!(memory.is_ready());
        assert_eq!(keys_in(&memory), ["a"]);
    }

    #[test]
    fn what_lies_under_a_step_that_has_ended_is_left_out() {
        let mut memory = memory("nested", Vec::new());
        memory.add(outcome("main/step:outer000", "inner"));
        memory.add(outcome("main/step:other000", "kept"));
        memory.add(outcome("main", "outer000"));
        assert!(memory.is_ready());
        assert_eq!(keys_in(&memory), ["kept", "outer000"]);
    }

    #[test]
    fn a_file_that_would_say_too_much_is_not_used_again() {
        let mut superseded = memory("superseded", vec![outcome("main/step:outer000", "inner")]);
        superseded.add(outcome("main", "outer000"));
        assert!(!superseded.is_ready());
        let mut twice = memory("twice", vec![outcome("main", "a")]);
        twice.add(outcome("main", "a"));
        assert!(!twice.is_ready());
        let mut undone = memory("undone", Vec::new());
        undone.add(OutcomeRecord { compensable: true, ..outcome("main", "a") });
        assert!(!undone.is_ready());
    }

    fn step(n: u64) -> OutcomeRecord {
        let place = SpanPlace { launch: LaunchNumber(1), seq: 2 * n + 1 };
        let outcome = match n % 3 {
            0 => Outcome::Raised(hero_schema::Raised {
                class: "shop:Declined".into(),
                message: "café".into(),
                traceback: String::new(),
                args: None,
            }),
            _ => Outcome::Returned(Json::of(&n).expect("a number has a JSON form")),
        };
        let key = format!("{n:040x}");
        OutcomeRecord { span_seq: Some(place.seq), outcome, ..self::outcome("main", &key) }
    }

    /// What the index says of each step: its payload, and where its span is.
    fn indexed(memory: &Memory) -> Option<Vec<(String, bool, Option<SpanPlace>)>> {
        let text = std::fs::read(&memory.path).expect("the file is there");
        let index = std::fs::read(format!("{}.index", memory.path.display())).ok()?;
        let (head, entries) = index.split_first_chunk().expect("it has a head");
        let head = Head::read(head).expect("it is a head");
        let entries_sum = crc32fast::hash(entries);
        let (entries, rest) = entries.as_chunks();
        let file_bytes = text.len() as u64;
        let file_sum = crc32fast::hash(&text);
        let n_entries = entries.len() as u64;
        assert_eq!(head, Head { n_entries, file_bytes, file_sum, entries_sum });
        assert!(rest.is_empty());
        let entries = entries.iter().enumerate().map(|(n, entry)| {
            let entry = Entry::read(entry);
            assert_eq!(entry.key[12..], (n as u64).to_be_bytes());
            let payload = entry.payload.start as usize..entry.payload.end as usize;
            let payload = String::from_utf8(text[payload].to_vec()).expect("text");
            (payload, entry.has_returned, entry.ran_as)
        });
        Some(entries.collect())
    }

    #[test]
    fn the_index_of_a_longer_file_says_where_each_outcome_stands() {
        let mut memory = memory("indexed", (0..10).map(step).collect());
        assert_eq!(indexed(&memory), None);
        for n in 10..2000 {
            memory.add(step(n));
            if n % 700 == 0 || n == 1999 {
                assert!(memory.is_ready());
                let found = indexed(&memory).expect("there is an index");
                assert_eq!(found.len() as u64, n + 1);
                for (found, n) in found.into_iter().zip(0..) {
                    let step = step(n);
                    let (payload, has_returned) = match &step.outcome {
                        Outcome::Returned(payload) => (payload.text().to_owned(), true),
                        Outcome::Raised(raised) => {
                            (serde_json::to_string(raised).expect("it prints"), false)
                        }
                    };
                    assert_eq!(found, (payload, has_returned, step.ran_as()));
                }
            }
        }
        let index = format!("{}.index", memory.path.display());
        assert!(Path::new(&index).exists());
        drop(memory);
        assert!(!Path::new(&index).exists());
    }

    #[test]
    fn a_key_that_is_none_has_no_index() {
        let odd = outcome("main", "a");
        let memory = memory("odd", (0..100).map(step).chain([odd]).collect());
        assert_eq!(indexed(&memory), None);
        assert_eq!(keys_in(&memory).len(), 101);
    }
}
