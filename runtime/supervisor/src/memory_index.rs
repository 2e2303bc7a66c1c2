//! The index beside a memory file, written as the file is; see [`hero_schema::memory_index`].

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hero_schema::OutcomeRecord;
use hero_schema::memory_index::{ENTRY_BYTES, Entry, HEAD_BYTES, Head, SUFFIX};

/// From how many outcomes on there is an index. A shorter file is read as quickly as two.
const ENTRIES_MIN: u64 = 32;

/// How much is gathered before it is written, in bytes.
const GATHERED_BYTES: usize = 64 * 1024;

/// The index of one memory file.
pub(crate) struct Index {
    path: PathBuf,
    /// None before it is long enough to be worth one.
    file: Option<File>,
    n_entries: u64,
    /// Entries that are not written yet.
    gathered: Vec<u8>,
    /// How many bytes of entries are written.
    n_written: u64,
    /// Of all entries.
    sum: crc32fast::Hasher,
    /// Whether there cannot be one: a key is none.
    is_given_up: bool,
}

impl Index {
    /// Of the file of this path.
    pub(crate) fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(SUFFIX);
        Self {
            path: name.into(),
            file: None,
            n_entries: 0,
            gathered: Vec::new(),
            n_written: 0,
            sum: crc32fast::Hasher::new(),
            is_given_up: false,
        }
    }

    /// The file; None where there is none.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.is_some().then_some(&*self.path)
    }

    /// Adds an outcome whose payload stands there in the memory file.
    pub(crate) fn push(&mut self, outcome: &OutcomeRecord, payload: Range<u64>) -> io::Result<()> {
        let Some(key) = bytes_of(outcome.key.as_str()).filter(|_| !self.is_given_up) else {
            self.is_given_up = true;
            return Ok(());
        };
        let has_returned = matches!(outcome.outcome, hero_schema::Outcome::Returned(_));
        let entry = Entry { key, payload, has_returned, ran_as: outcome.ran_as() }.to_bytes();
        self.sum.update(&entry);
        self.gathered.extend_from_slice(&entry);
        self.n_entries += 1;
        if self.gathered.len() >= GATHERED_BYTES { self.write() } else { Ok(()) }
    }

    /// Makes the index that of a file of this length and sum.
    pub(crate) fn end(&mut self, file_bytes: u64, file_sum: u32) -> io::Result<()> {
        if self.is_given_up || self.n_entries < ENTRIES_MIN {
            return Ok(());
        }
        self.write()?;
        let entries_sum = self.sum.clone().finalize();
        let head = Head { n_entries: self.n_entries, file_bytes, file_sum, entries_sum };
        self.file()?.write_all_at(&head.to_bytes(), 0)
    }

    fn write(&mut self) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        let place = HEAD_BYTES as u64 + self.n_written;
        self.file()?.write_all_at(&gathered, place)?;
        self.n_written += gathered.len() as u64;
        debug_assert_eq!(self.n_written, self.n_entries * ENTRY_BYTES as u64);
        Ok(())
    }

    fn file(&mut self) -> io::Result<&File> {
        Ok(match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = OpenOptions::new();
                let options = options.write(true).create_new(true).mode(0o600);
                none.insert(options.open(&self.path)?)
            }
        })
    }
}

/// The bytes that a step key spells out in lower-case hex; None of any other text.
fn bytes_of(key: &str) -> Option<[u8; 20]> {
    let digits: &[u8; 40] = key.as_bytes().try_into().ok()?;
    let mut bytes = [0; 20];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value_of(pair[0])? << 4 | value_of(pair[1])?;
    }
    Some(bytes)
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
