//! Reads sled's log by itself, over its gaps.
//!
//! Sled takes a damaged message for the end of its segment, and a page that misses a part for the end
//! of all. Yet every message has a checksum of its own and says what it changes. So this reads every
//! message that is whole, in the order they were written, and does to a map what they did to the
//! tree. A message that is lost may leave its keys as they were before; the sums tell where that
//! matters.
//!
//! The layout is that of sled 0.34 (`pagecache/logger.rs`, `serialization.rs`): segments of one size,
//! each with a header and then messages. A page is a node that is written whole, and then links to
//! single keys; both leave out what all keys of the page begin with.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::{INLINE, io_error};
use crate::{Error, record};

const SEGMENT_BYTES: usize = 512 << 10;
const SEGMENT_HEADER_BYTES: usize = 20;

/// The kinds of messages that matter here.
const CAP: u8 = 2;
const BATCH: u8 = 3;
const NODE: u8 = 8;
const LINK: u8 = 10;

/// What the log comes to.
#[derive(Default)]
pub(super) struct Log {
    pub(super) pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many times something was passed over that is no message, in front of one that is.
    pub(super) n_gaps: usize,
}

/// Reads the log in a file.
pub(super) fn read(path: &Path) -> Result<Log, Error> {
    let segments = Segments::of(path)?;
    let mut latest = Latest::default();
    let mut n_gaps = 0;
    segments.for_each(|number, segment| {
        let mut expected_at = SEGMENT_HEADER_BYTES;
        for message in Messages::of(segment, Some(number)) {
            n_gaps += usize::from(message.at != expected_at);
            expected_at = message.at + message.n_bytes;
            latest.note(&message);
        }
        ControlFlow::Continue(())
    })?;
    let mut pages = Pages { pairs: BTreeMap::new(), prefixes: HashMap::new(), latest };
    segments.for_each(|number, segment| {
        Messages::of(segment, Some(number)).try_for_each(|message| pages.apply(&message))
    })?;
    Ok(Log { pairs: pages.pairs, n_gaps })
}

/// The segments of a log, in the order they were written.
struct Segments {
    path: PathBuf,
    file: File,
    /// Number and place: places are used again.
    places: Vec<(u64, u64)>,
}

impl Segments {
    fn of(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(io_error("open", path))?;
        let n_bytes = file.metadata().map_err(io_error("read", path))?.len();
        let mut segments = Self { path: path.to_owned(), file, places: Vec::new() };
        for at in (0..n_bytes).step_by(SEGMENT_BYTES) {
            let number = number_of(&segments.read(at)?);
            segments.places.extend(number.map(|number| (number, at)));
        }
        segments.places.sort_unstable();
        Ok(segments)
    }

    fn read(&self, at: u64) -> Result<Vec<u8>, Error> {
        read_segment(&self.file, at).map_err(io_error("read", &self.path))
    }

    fn for_each(&self, mut act: impl FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<(), Error> {
        for (number, at) in &self.places {
            if act(*number, &self.read(*at)?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn read_segment(file: &File, at: u64) -> std::io::Result<Vec<u8>> {
    let mut segment = vec![0; SEGMENT_BYTES];
    let mut n_read = 0;
    while n_read < segment.len() {
        match file.read_at(&mut segment[n_read..], at + n_read as u64)? {
            0 => break,
            n => n_read += n,
        }
    }
    segment.truncate(n_read);
    Ok(segment)
}

/// Which segment of the log this is: its header says so, and so does each of its messages.
fn number_of(segment: &[u8]) -> Option<u64> {
    let (header, _) = segment.split_first_chunk::<SEGMENT_HEADER_BYTES>()?;
    let (checksum, header) = header.split_first_chunk()?;
    if !crc32fast::hash(header) == u32::from_le_bytes(*checksum) {
        let (place, _) = header.split_first_chunk()?;
        return u64::try_from(i64::from_le_bytes(*place) ^ i64::MAX)
            .ok()
            .map(|place| place / SEGMENT_BYTES as u64);
    }
    Messages::of(segment, None).next().map(|first| first.segment)
}

/// What counts: a page is its latest node and the links behind it. What stood before may be gone in
/// part, because sled uses the segments of old messages again.
#[derive(Default)]
struct Latest {
    /// Page by page.
    nodes: HashMap<u64, u64>,
    /// Where the log ends.
    end: u64,
}

impl Latest {
    fn note(&mut self, message: &Message<'_>) {
        self.end = message.place() + message.n_bytes as u64;
        if message.kind == NODE {
            self.nodes.insert(message.page, message.place());
        }
    }
}

/// The tree as it comes about.
struct Pages {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the keys of a page begin with.
    prefixes: HashMap<u64, Vec<u8>>,
    latest: Latest,
}

impl Pages {
    /// Does what a message says. Breaks off where a batch begins whose end was never written.
    fn apply(&mut self, message: &Message<'_>) -> ControlFlow<()> {
        let node = self.latest.nodes.get(&message.page);
        match message.kind {
            BATCH if last_of_batch(message.body).is_some_and(|last| last >= self.latest.end) => {
                return ControlFlow::Break(());
            }
            NODE if node == Some(&message.place()) => {
                let _ = self.apply_node(message.page, message.body);
            }
            LINK if node.is_some_and(|node| *node < message.place()) => {
                let _ = self.apply_link(message.page, message.body);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Replaces all pairs of a page. None where it is no leaf.
    fn apply_node(&mut self, page: u64, body: &[u8]) -> Option<()> {
        let mut body = Bytes(body);
        // The next page, the one that is merged in, and whether this one is.
        body.number()?;
        body.number()?;
        body.byte()?;
        let prefix_length = body.byte()?;
        let (low, high) = (body.text()?, body.text()?);
        let prefix = low.get(..prefix_length.into())?.to_vec();
        let (kind, n_keys) = (body.byte()?, body.number()?);
        self.prefixes.insert(page, prefix.clone());
        if kind != 0 {
            return None;
        }
        let keys: Vec<_> = (0..n_keys).map(|_| body.text()).collect::<Option<_>>()?;
        let values: Vec<_> = (0..n_keys).map(|_| body.text()).collect::<Option<_>>()?;
        let end = if high.is_empty() { Bound::Unbounded } else { Bound::Excluded(high) };
        let replaced = self.pairs.range::<[u8], _>((Bound::Included(low), end));
        let replaced: Vec<_> = replaced.map(|(key, _)| key.clone()).collect();
        for key in replaced {
            self.pairs.remove(&key);
        }
        for (key, value) in keys.into_iter().zip(values) {
            self.pairs.insert([&prefix, key].concat(), value.to_vec());
        }
        Some(())
    }

    /// Sets or removes one pair. None where it does neither, or of a page that is not known.
    fn apply_link(&mut self, page: u64, body: &[u8]) -> Option<()> {
        let mut body = Bytes(body);
        let kind = body.byte()?;
        let prefix = self.prefixes.get(&page)?;
        match kind {
            0 => {
                let key = [prefix, body.text()?].concat();
                let value = body.text()?;
                if !is_of_another(&key, value) {
                    self.pairs.insert(key, value.to_vec());
                }
            }
            1 => drop(self.pairs.remove(&[prefix, body.text()?].concat())),
            _ => return None,
        }
        Some(())
    }
}

/// Whether a record was written under another key: where the node of a page is lost, the one before it
/// may have left out another beginning.
fn is_of_another(key: &[u8], packed: &[u8]) -> bool {
    matches!(packed, [INLINE, value @ ..] if record::is_record(value) && !record::is_whole(key, value))
}

/// The end of a batch, as a place in the log.
fn last_of_batch(body: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(body.try_into().ok()?))
}

/// One message of a segment.
struct Message<'a> {
    at: usize,
    n_bytes: usize,
    kind: u8,
    segment: u64,
    page: u64,
    body: &'a [u8],
}

impl Message<'_> {
    /// Its place in the log.
    fn place(&self) -> u64 {
        self.segment * SEGMENT_BYTES as u64 + self.at as u64
    }
}

/// The messages of a segment that are whole.
struct Messages<'a> {
    segment: &'a [u8],
    /// Its number; others are left over from an earlier use of its place. None takes any.
    number: Option<u64>,
    at: usize,
}

impl<'a> Messages<'a> {
    fn of(segment: &'a [u8], number: Option<u64>) -> Self {
        Self { segment, number, at: SEGMENT_HEADER_BYTES }
    }

    /// The message at a place; None where there is none, or no whole one.
    fn message_at(&self, at: usize) -> Option<Message<'a>> {
        let here = self.segment.get(at..)?;
        let mut bytes = Bytes(here);
        let checksum = u32::from_le_bytes(bytes.take(4)?.try_into().ok()?);
        let kind = bytes.byte()?;
        let (length, segment, page) = (bytes.number()?, bytes.number()?, bytes.number()?);
        if self.number.is_some_and(|number| number != segment) {
            return None;
        }
        let n_header_bytes = here.len() - bytes.0.len();
        let body = bytes.take(length)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(body);
        hasher.update(&here[4..n_header_bytes]);
        let is_whole = !hasher.finalize() == checksum;
        let n_bytes = n_header_bytes + body.len();
        is_whole.then_some(Message { at, n_bytes, kind, segment, page, body })
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let is_kind = |at: &usize| matches!(self.segment.get(at + 4), Some(1..=11));
        let places = (self.at..self.segment.len()).filter(is_kind);
        let message = places.into_iter().find_map(|at| self.message_at(at))?;
        // What follows a cap is of an earlier use of the segment.
        self.at =
            if message.kind == CAP { self.segment.len() } else { message.at + message.n_bytes };
        Some(message)
    }
}

/// Takes bytes apart as sled puts them together.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A number in one to nine bytes.
    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=240 => Some(small.into()),
            first @ 241..=248 => {
                Some(240 + 256 * (u64::from(first) - 241) + u64::from(self.byte()?))
            }
            249 => Some(2288 + 256 * u64::from(self.byte()?) + u64::from(self.byte()?)),
            first => {
                let mut bytes = [0; 8];
                let taken = self.take(u64::from(first) - 247)?;
                bytes[..taken.len()].copy_from_slice(taken);
                Some(u64::from_le_bytes(bytes))
            }
        }
    }

    /// Bytes after their length.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }
}
