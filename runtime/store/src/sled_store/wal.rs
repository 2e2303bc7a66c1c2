//! The log that is written ahead: a change is durable once it stands here.
//!
//! Sled is told of each change as well, but never asked to make it durable: the log holds everything that
//! is not in the pack, and sled can be made anew of both. An entry is one write into space that was
//! filled with zeros before, so that its `fdatasync` has no length and no block to note.
//!
//! The file begins, twice, with [`MAGIC`], a salt and a checksum. Each entry is a length, a checksum, its
//! place in the log, the place of the last entry that was durable when this one was written, the number
//! of the write that it belongs to, and the pairs. Numbers are big-endian; where an entry would begin
//! and zeros stand, the log ends.
//!
//! A crash can leave what was not yet durable in part, and whole entries behind it. So an entry that
//! does not read ends the log, unless one behind it knows it to have been durable: then the log is
//! damaged.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::io_error;
use crate::Error;

const MAGIC: [u8; 8] = *b"herolog1";
const HEAD_BYTES: usize = 8 + 8 + 4;
/// Where the second head stands: too far from the first to be damaged with it.
const SECOND_HEAD_AT: usize = 512;
const FIRST_ENTRY_AT: usize = 1024;
const ENTRY_HEAD_BYTES: usize = 4 + 4 + 8 + 8 + 8;

/// By how much the file grows: by as much as it has, within these.
const GROWTH_BYTES: (u64, u64) = (64 << 10, 1 << 20);

const PAGE_BYTES: usize = 4096;

/// Marks a key that is removed, in place of the length of its value.
const REMOVED: u32 = u32::MAX;

/// What a write does to a key: its new value, or None where it is removed.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// An entry: the number of its write, and what that does.
pub(super) type Entry = (u64, Vec<Change>);

/// A log that is written to.
pub(super) struct Wal {
    file: File,
    path: PathBuf,
    salt: [u8; 8],
    /// Where the next entry begins.
    end: u64,
    /// Up to where there are zeros.
    length: u64,
    /// How many entries there are, and how many of them are durable.
    n_entries: u64,
    n_durable: u64,
}

impl Wal {
    /// Makes an empty log.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(path);
        let mut wal = Self {
            file: opened.map_err(io_error("create", path))?,
            path: path.to_owned(),
            // No value of a user can look like an entry.
            salt: RandomState::new().hash_one(path).to_be_bytes(),
            end: FIRST_ENTRY_AT as u64,
            length: 0,
            n_entries: 0,
            n_durable: 0,
        };
        let mut head = [MAGIC, wal.salt].concat();
        head.extend(crc32fast::hash(&head).to_be_bytes());
        let mut heads = [0; PAGE_BYTES];
        for at in [0, SECOND_HEAD_AT] {
            heads[at..at + HEAD_BYTES].copy_from_slice(&head);
        }
        wal.write_at(&heads, 0)?;
        wal.length = PAGE_BYTES as u64;
        wal.grow(0)?;
        wal.file.sync_all().map_err(io_error("sync", path))?;
        Ok(wal)
    }

    /// Opens a log that a crash may have ended, takes away what that left in part, and returns its
    /// entries.
    ///
    /// # Errors
    /// [`Error::Damaged`] where something that was durable does not read.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Entry>), Error> {
        let bytes = std::fs::read(path).map_err(io_error("read", path))?;
        let opened = OpenOptions::new().write(true).open(path);
        let file = opened.map_err(io_error("open", path))?;
        let salt = salt_of(&bytes).filter(|_| bytes.len() >= FIRST_ENTRY_AT);
        let salt = salt.ok_or_else(|| damaged("its head does not read"))?;
        let mut reader = Reader::new(&bytes, salt);
        let entries: Vec<_> = reader.by_ref().collect();
        let Reader { at: end, n_read: n_entries, .. } = reader;
        if durable_behind(&bytes[end..], &salt) > n_entries {
            return Err(damaged("an entry in the middle of it does not read"));
        }
        let (path, length) = (path.to_owned(), bytes.len() as u64);
        let (end, n_durable) = (end as u64, n_entries);
        let wal = Self { file, path, salt, end, length, n_entries, n_durable };
        let rest = &bytes[end as usize..];
        if rest.iter().any(|byte| *byte != 0) {
            tracing::warn!(path = %wal.path.display(), "a write that nobody was told of was left in part");
            wal.write_at(&vec![0; rest.len()], end)?;
        }
        wal.file.sync_all().map_err(io_error("sync", &wal.path))?;
        Ok((wal, entries))
    }

    /// Adds an entry, which is durable with the next [`Wal::sync`].
    pub(super) fn push(&mut self, n_writes: u64, changes: &[Change]) -> Result<(), Error> {
        let mut entry = vec![0; 8];
        for number in [self.n_entries + 1, self.n_durable, n_writes] {
            entry.extend(number.to_be_bytes());
        }
        for (key, value) in changes {
            entry.extend((key.len() as u32).to_be_bytes());
            entry.extend(value.as_ref().map_or(REMOVED, |value| value.len() as u32).to_be_bytes());
            entry.extend(key);
            entry.extend(value.as_deref().unwrap_or_default());
        }
        let length = u32::try_from(entry.len()).map_err(|_| {
            let error = std::io::Error::other("one write is larger than 4 GiB");
            io_error("write", &self.path)(error)
        })?;
        entry[..4].copy_from_slice(&length.to_be_bytes());
        let checksum = checksum(&self.salt, &entry[8..]);
        entry[4..8].copy_from_slice(&checksum.to_be_bytes());
        if self.length < self.end + (entry.len() + ENTRY_HEAD_BYTES) as u64 {
            self.grow(entry.len())?;
        }
        self.write_at(&entry, self.end)?;
        self.end += entry.len() as u64;
        self.n_entries += 1;
        Ok(())
    }

    /// Makes everything durable that was added.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if self.n_durable < self.n_entries {
            self.file.sync_data().map_err(io_error("sync", &self.path))?;
            self.n_durable = self.n_entries;
        }
        Ok(())
    }

    /// How many bytes the entries take.
    pub(super) fn n_bytes(&self) -> u64 {
        self.end
    }

    /// Fills the room for so many bytes, and for further entries, with zeros: page by page: what is written at once some systems
    /// keep as one piece in memory, and sync as one.
    fn grow(&mut self, n_bytes: usize) -> Result<(), Error> {
        let by = n_bytes + self.length.clamp(GROWTH_BYTES.0, GROWTH_BYTES.1) as usize;
        let mut fill = || {
            self.file.seek(SeekFrom::Start(self.length))?;
            for _ in 0..by.div_ceil(PAGE_BYTES) {
                self.file.write_all(&[0; PAGE_BYTES])?;
                self.length += PAGE_BYTES as u64;
            }
            Ok(())
        };
        fill().map_err(io_error("write", &self.path))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        self.file.write_all_at(bytes, at).map_err(io_error("write", &self.path))
    }
}

/// What can be read of a log, over its gaps.
#[derive(Default)]
pub(super) struct Salvage {
    pub(super) entries: Vec<Entry>,
    /// In how many places something is missing.
    pub(super) n_gaps: usize,
}

/// Reads a damaged log.
pub(super) fn salvage(bytes: &[u8]) -> Salvage {
    let Some(salt) = salt_of(bytes) else {
        return Salvage { n_gaps: 1, ..Salvage::default() };
    };
    let mut salvage = Salvage::default();
    let mut reader = Reader::new(bytes, salt);
    loop {
        salvage.entries.extend(reader.by_ref());
        let rest = bytes.get(reader.at..).unwrap_or_default();
        let Some((skipped, entry)) = entries_behind(rest, &salt).next() else { return salvage };
        salvage.n_gaps += 1;
        reader.at += skipped;
        reader.n_read = entry.place - 1;
    }
}

/// Reads the entries of a log up to the first that is not whole.
struct Reader<'a> {
    bytes: &'a [u8],
    salt: [u8; 8],
    at: usize,
    n_read: u64,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], salt: [u8; 8]) -> Self {
        Self { bytes, salt, at: FIRST_ENTRY_AT, n_read: 0 }
    }
}

impl Iterator for Reader<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let entry = Whole::at(self.bytes.get(self.at..)?, &self.salt)?;
        let changes = entry.changes().filter(|_| entry.place == self.n_read + 1)?;
        self.at += entry.length;
        self.n_read += 1;
        Some((entry.n_writes, changes))
    }
}

fn salt_of(bytes: &[u8]) -> Option<[u8; 8]> {
    [0, SECOND_HEAD_AT].into_iter().find_map(|at| {
        let (text, checksum) = bytes.get(at..at + HEAD_BYTES)?.split_last_chunk()?;
        let is_whole = crc32fast::hash(text).to_be_bytes() == *checksum;
        text.strip_prefix(&MAGIC).filter(|_| is_whole)?.try_into().ok()
    })
}

/// How many entries one behind a broken one knows to have been durable.
fn durable_behind(rest: &[u8], salt: &[u8; 8]) -> u64 {
    entries_behind(rest, salt).map(|(_, entry)| entry.n_durable).max().unwrap_or(0)
}

/// Whatever entries begin somewhere in these bytes, and where.
fn entries_behind<'a>(
    rest: &'a [u8],
    salt: &'a [u8; 8],
) -> impl Iterator<Item = (usize, Whole<'a>)> {
    let end = rest.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    (0..end).filter_map(|at| Some((at, Whole::at(&rest[at..], salt)?)))
}

/// An entry whose checksum is right.
struct Whole<'a> {
    length: usize,
    place: u64,
    n_durable: u64,
    n_writes: u64,
    pairs: &'a [u8],
}

impl<'a> Whole<'a> {
    fn at(bytes: &'a [u8], salt: &[u8; 8]) -> Option<Self> {
        let length = u32_at(bytes, 0)? as usize;
        let pairs = bytes.get(ENTRY_HEAD_BYTES..length)?;
        let is_whole = u32_at(bytes, 4)? == checksum(salt, &bytes[8..length]);
        let numbers = [u64_at(bytes, 8)?, u64_at(bytes, 16)?, u64_at(bytes, 24)?];
        let [place, n_durable, n_writes] = numbers;
        is_whole.then_some(Self { length, place, n_durable, n_writes, pairs })
    }

    fn changes(&self) -> Option<Vec<Change>> {
        let mut changes = Vec::new();
        let mut rest = self.pairs;
        while !rest.is_empty() {
            let (key_length, value_length) = (u32_at(rest, 0)? as usize, u32_at(rest, 4)?);
            let (key, behind) = rest.get(8..)?.split_at_checked(key_length)?;
            let (value, behind) = match value_length {
                REMOVED => (None, behind),
                length => {
                    let (value, behind) = behind.split_at_checked(length as usize)?;
                    (Some(value.to_vec()), behind)
                }
            };
            changes.push((key.to_vec(), value));
            rest = behind;
        }
        Some(changes)
    }
}

fn checksum(salt: &[u8; 8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn damaged(reason: &str) -> Error {
    Error::Damaged { record: "the log".into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(wal: &mut Wal, number: u64, key: &str) {
        let changes = [(key.into(), Some(b"value".to_vec())), (b"gone".to_vec(), None)];
        wal.push(number, &changes).expect("a file to write to");
    }

    /// A log of three entries, of which the first two are durable, and where each begins.
    fn log() -> (tempfile::TempDir, PathBuf, Vec<usize>) {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = dir.path().join("log");
        let mut wal = Wal::create(&path).expect("created");
        let mut begins = Vec::new();
        for (number, is_synced) in [(5, true), (6, true), (7, false)] {
            begins.push(wal.end as usize);
            put(&mut wal, number, &format!("key {number}"));
            if is_synced {
                wal.sync().expect("synced");
            }
        }
        (dir, path, begins)
    }

    fn numbers(path: &Path) -> Result<Vec<u64>, String> {
        let (_, entries) = Wal::open(path).map_err(|error| error.to_string())?;
        Ok(entries.into_iter().map(|(number, _)| number).collect())
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = std::fs::read(path).expect("it is there");
        bytes[at] ^= 0x10;
        std::fs::write(path, bytes).expect("writable");
    }

    #[test]
    fn what_is_written_reads_back_and_goes_on() {
        let (_dir, path, _) = log();
        let (mut wal, entries) = Wal::open(&path).expect("whole");
        let changes = vec![(b"key 5".to_vec(), Some(b"value".to_vec())), (b"gone".to_vec(), None)];
        assert_eq!(entries[0], (5, changes));
        put(&mut wal, 8, "key 8");
        drop(wal);
        assert_eq!(numbers(&path), Ok(vec![5, 6, 7, 8]));
    }

    #[test]
    fn it_grows_with_what_is_written() {
        let (_dir, path, _) = log();
        let mut wal = Wal::open(&path).expect("whole").0;
        let large = vec![7; 3 << 19];
        for number in 8..12 {
            wal.push(number, &[(b"large".to_vec(), Some(large.clone()))]).expect("writable");
        }
        wal.sync().expect("synced");
        assert_eq!(numbers(&path), Ok((5..12).collect()));
    }

    #[test]
    fn a_write_that_was_left_in_part_is_as_if_it_had_not_been() {
        let (_dir, path, begins) = log();
        flip(&path, begins[2] + ENTRY_HEAD_BYTES + 3);
        assert_eq!(numbers(&path), Ok(vec![5, 6]));
        assert_eq!(numbers(&path), Ok(vec![5, 6]), "and is taken away");
    }

    #[test]
    fn what_was_not_durable_may_be_missing_before_what_is_there() {
        let (_dir, path, _) = log();
        let mut wal = Wal::open(&path).expect("whole").0;
        let begin = wal.end as usize;
        put(&mut wal, 8, "key 8");
        put(&mut wal, 9, "key 9");
        drop(wal);
        flip(&path, begin + 1);
        assert_eq!(numbers(&path), Ok(vec![5, 6, 7]));
    }

    #[test]
    fn an_entry_that_was_durable_and_does_not_read_is_damage() {
        for entry in 0..2 {
            let (_dir, path, begins) = log();
            for at in (begins[entry]..begins[entry + 1]).step_by(5) {
                flip(&path, at);
                assert!(
                    numbers(&path).is_err_and(|error| error.contains("the log")),
                    "{entry} {at}"
                );
                flip(&path, at);
            }
        }
    }

    #[test]
    fn what_can_be_read_of_a_damaged_log_is_read() {
        let (_dir, path, begins) = log();
        flip(&path, begins[1] + 2);
        let salvage = salvage(&std::fs::read(&path).expect("it is there"));
        let numbers: Vec<_> = salvage.entries.iter().map(|(number, _)| *number).collect();
        assert_eq!((numbers, salvage.n_gaps), (vec![5, 7], 1));
    }

    #[test]
    fn one_of_both_heads_will_do() {
        let (_dir, path, _) = log();
        flip(&path, 3);
        assert_eq!(numbers(&path), Ok(vec![5, 6, 7]));
        flip(&path, SECOND_HEAD_AT + HEAD_BYTES - 1);
        assert!(numbers(&path).is_err());
    }
}
