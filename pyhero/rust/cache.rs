//! The memory that a launch is handed: outcomes by key, left as text until someone asks.

use std::fmt::{self, Formatter};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use hero_schema::SpanPlace;
use hero_schema::memory_index::{ENTRY_BYTES, Entry, HEAD_BYTES, Head, SUFFIX};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::digest::{ByDigest, Digest};

/// How long a step key is.
const KEY_CHARS: usize = 40;

/// What stands between a key and its payload.
const BEFORE_RETURNED: &str = "\":{\"returned\":";
const BEFORE_RAISED: &str = "\":{\"raised\":";

/// Remembered outcomes by step key or resume id.
///
/// The file is read once and checked whole, because a launch that went on with half a memory would
/// repeat side effects: by the sum of its index, or without one by parsing it. Each outcome is decoded
/// only when it is asked for.
#[pyclass(frozen)]
pub(crate) struct ReplayCache {
    text: String,
    places: Places,
    n_asked_for: AtomicUsize,
}

/// The members, in the order of the file.
#[derive(Default)]
struct Places {
    members: Vec<Place>,
    /// Made when something is asked for out of order.
    by_key: OnceLock<ByDigest<usize>>,
    /// The one after that which was asked for last: as a rule, the one that is asked for next.
    next: AtomicUsize,
}

/// One member of the file.
struct Place {
    digest: Digest,
    key: Range<usize>,
    payload: Range<usize>,
    has_returned: bool,
    ran_as: Option<SpanPlace>,
    is_asked_for: AtomicBool,
}

impl Place {
    /// As an entry of the index says; None where there is no such place in the text.
    fn read(entry: &[u8; ENTRY_BYTES], text: &str) -> Option<Self> {
        let entry = Entry::read(entry);
        let start = usize::try_from(entry.payload.start).ok()?;
        let payload = start..usize::try_from(entry.payload.end).ok()?;
        let before = if entry.has_returned { BEFORE_RETURNED } else { BEFORE_RAISED };
        let key_end = start.checked_sub(before.len())?;
        let key = key_end.checked_sub(KEY_CHARS)?..key_end;
        text.get(payload.clone())?;
        text.get(key.clone())?;
        Some(Self {
            digest: Digest::from(entry.key),
            key,
            payload,
            has_returned: entry.has_returned,
            ran_as: entry.ran_as,
            is_asked_for: AtomicBool::new(false),
        })
    }
}

/// An outcome as it stands in the file.
#[derive(Clone, Copy)]
pub(crate) enum Remembered<'a> {
    /// The payload of what returned.
    Returned(&'a str),
    /// The exception.
    Raised(&'a str),
}

impl Remembered<'_> {
    /// The whole outcome as JSON text.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Returned(payload) => format!("{{\"returned\":{payload}}}"),
            Self::Raised(payload) => format!("{{\"raised\":{payload}}}"),
        }
    }
}

#[pymethods]
impl ReplayCache {
    /// Reads the file; without one the memory is empty.
    #[new]
    #[pyo3(signature = (path=None))]
    fn open(py: Python<'_>, path: Option<&str>) -> PyResult<Self> {
        let Some(path) = path else { return Self::parse("{}".to_owned()) };
        py.detach(|| {
            let text = read_regular_file(path).and_then(read_text).map_err(|error| {
                PyOSError::new_err(format!("failed to read the memory file `{path}`: {error}"))
            })?;
            if let Some(places) = indexed(path, &text) {
                return Ok(Self::over(text, places));
            }
            Self::parse(text).map_err(|reason| {
                PyValueError::new_err(format!("failed to read the memory file `{path}`: {reason}"))
            })
        })
    }

    /// The outcome as JSON text, or None. Marks the key as asked for.
    fn take(&self, key: &str) -> Option<String> {
        self.find(&Digest::of_key(key)).map(|(remembered, _)| remembered.text())
    }

    /// Launch and `seq` of the span in which this step ran, where that is known.
    fn ran_as(&self, key: &str) -> Option<(u32, u64)> {
        let place = self.places.find(&Digest::of_key(key))?;
        place.ran_as.map(|place| (place.launch.0, place.seq))
    }

    /// The keys that nobody has asked for, sorted.
    fn left_over(&self) -> Vec<&str> {
        let left = self.places.members.iter().filter(|place| !place.is_asked_for.load(Relaxed));
        let mut keys: Vec<&str> = left.map(|place| &self.text[place.key.clone()]).collect();
        keys.sort_unstable();
        keys
    }

    /// How many outcomes nobody has asked for.
    pub(crate) fn n_left(&self) -> usize {
        self.places.members.len() - self.n_asked_for.load(Relaxed)
    }
}

impl ReplayCache {
    /// The outcome under a key, and where its span is stored. Marks it as asked for.
    pub(crate) fn find(&self, key: &Digest) -> Option<(Remembered<'_>, Option<SpanPlace>)> {
        let place = self.places.find(key)?;
        if !place.is_asked_for.swap(true, Relaxed) {
            self.n_asked_for.fetch_add(1, Relaxed);
        }
        let payload = &self.text[place.payload.clone()];
        let remembered = if place.has_returned {
            Remembered::Returned(payload)
        } else {
            Remembered::Raised(payload)
        };
        Some((remembered, place.ran_as))
    }

    fn parse(text: String) -> PyResult<Self> {
        let places = places(&text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self::over(text, places))
    }

    fn over(text: String, places: Places) -> Self {
        Self { text, places, n_asked_for: AtomicUsize::new(0) }
    }
}

impl Places {
    fn find(&self, key: &Digest) -> Option<&Place> {
        let next = self.next.load(Relaxed);
        let is_at = |index: usize| self.members.get(index).is_some_and(|at| at.digest == *key);
        let index = match next {
            _ if is_at(next) => next,
            1.. if is_at(next - 1) => next - 1,
            _ => *self.by_key().get(key)?,
        };
        self.next.store(index + 1, Relaxed);
        Some(&self.members[index])
    }

    fn by_key(&self) -> &ByDigest<usize> {
        self.by_key.get_or_init(|| {
            self.members.iter().enumerate().map(|(index, place)| (place.digest, index)).collect()
        })
    }
}

fn read_text(bytes: Vec<u8>) -> std::io::Result<String> {
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is no UTF-8"))
}

/// Reads a file, and nothing that could keep a reader waiting, such as a pipe.
fn read_regular_file(path: &str) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    std::fs::read(path)
}

/// Where in the text each outcome stands, as its index says; None where there is none that fits.
fn indexed(path: &str, text: &str) -> Option<Places> {
    let index = read_regular_file(&format!("{path}{SUFFIX}")).ok()?;
    places_of(&index, text)
}

fn places_of(index: &[u8], text: &str) -> Option<Places> {
    let (head, entries) = index.split_first_chunk::<HEAD_BYTES>()?;
    let head = Head::read(head)?;
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    let is_whole = rest.is_empty()
        && head.n_entries == entries.len() as u64
        && head.entries_sum == crc32fast::hash(entries.as_flattened())
        && head.file_bytes == text.len() as u64
        && head.file_sum == crc32fast::hash(text.as_bytes());
    if !is_whole {
        return None;
    }
    let members = entries.iter().map(|entry| Place::read(entry, text));
    Some(Places { members: members.collect::<Option<_>>()?, ..Places::default() })
}

/// Where in the text each outcome stands.
fn places(text: &str) -> Result<Places, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let places = reader.deserialize_map(Members { text })?;
    reader.end()?;
    Ok(places)
}

/// What each member of the file must look like. The payloads stay text.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome<'a> {
    #[serde(borrow)]
    Returned(&'a RawValue),
    #[serde(borrow)]
    Raised(&'a RawValue),
}

/// Reads the members of one object, each of them once.
struct Members<'a> {
    text: &'a str,
}

impl Members<'_> {
    fn range(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + part.len()
    }
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Places;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of outcomes")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::new();
        let mut by_key = ByDigest::default();
        // A key is hex digits: one that has to be unescaped is none.
        while let Some((key, outcome)) = map.next_entry::<&'de str, Outcome<'de>>()? {
            let (payload, has_returned) = match outcome {
                Outcome::Returned(payload) => (payload, true),
                Outcome::Raised(payload) => (payload, false),
            };
            let digest = Digest::of_key(key);
            let place = Place {
                digest,
                key: self.range(key),
                payload: self.range(payload.get()),
                has_returned,
                ran_as: None,
                is_asked_for: AtomicBool::new(false),
            };
            if by_key.insert(digest, members.len()).is_some() {
                return Err(de::Error::custom(format!("`{key}` stands there twice")));
            }
            members.push(place);
        }
        Ok(Places { members, by_key: by_key.into(), ..Places::default() })
    }
}

#[cfg(test)]
mod tests {
    use hero_schema::LaunchNumber;

    use super::*;

    #[test]
    fn outcomes_are_found_in_the_text_as_they_were_written() {
        let key = "6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad";
        let text = format!(
            r#"{{ "{key}": {{"returned": [1, 2.0]}}, "b":{{"raised":{{"class":"x:Y"}}}} }}"#
        );
        let cache = ReplayCache::parse(text).expect("a memory file");
        assert_eq!(cache.take(key).as_deref(), Some(r#"{"returned":[1, 2.0]}"#));
        assert_eq!(cache.left_over(), ["b"]);
        assert_eq!(cache.take("b").as_deref(), Some(r#"{"raised":{"class":"x:Y"}}"#));
        assert_eq!((cache.take("c"), cache.take("b").is_some(), cache.n_left()), (None, true, 0));
    }

    #[test]
    fn what_is_no_memory_is_refused() {
        let twice = r#"{"a":{"returned":1},"a":{"returned":2}}"#;
        let both = r#"{"a":{"returned":1,"raised":2}}"#;
        for text in [
            twice,
            both,
            "",
            "[]",
            "{\"a\":1}",
            "{\"a\":{}}",
            "{\"a\":\"returned\"}",
            "{\"a\":{\"lost\":1}}",
            "{\"a\":{\"returned\":1}",
            "{\"a\":{\"returned\":01}}",
            "{\"a\":{\"returned\":1}} x",
        ] {
            assert!(places(text).is_err(), "{text}");
        }
    }

    /// A memory file of three outcomes, and its index.
    fn indexed_file() -> (String, Vec<u8>) {
        let mut text = String::new();
        let mut entries = Vec::new();
        for (n, (word, payload)) in
            [("returned", "[1, 2.0]"), ("raised", "{\"class\":\"é\"}"), ("returned", "null")]
                .into_iter()
                .enumerate()
        {
            let key = [n as u8; 20];
            let separator = if n == 0 { "{\n" } else { ",\n" };
            text += &format!("{separator}\"{:02x}", n);
            text += &format!("{:02x}", n).repeat(19);
            text += &format!("\":{{\"{word}\":");
            let start = text.len() as u64;
            text += payload;
            let has_returned = word == "returned";
            let ran_as = (n > 0).then_some(SpanPlace { launch: LaunchNumber(1), seq: n as u64 });
            let payload = start..text.len() as u64;
            let entry = Entry { key, payload, has_returned, ran_as };
            entries.extend_from_slice(&entry.to_bytes());
            text += "}";
        }
        text += "\n}";
        let head = Head {
            n_entries: 3,
            file_bytes: text.len() as u64,
            file_sum: crc32fast::hash(text.as_bytes()),
            entries_sum: crc32fast::hash(&entries),
        };
        (text, [&head.to_bytes()[..], &entries].concat())
    }

    #[test]
    fn an_index_says_what_the_file_says() {
        let (text, index) = indexed_file();
        let indexed = ReplayCache::over(text.clone(), places_of(&index, &text).expect("it fits"));
        let parsed = ReplayCache::parse(text).expect("a memory file");
        let keys = [2, 0, 1].map(|n| format!("{n:02x}").repeat(20));
        assert_eq!(indexed.left_over(), parsed.left_over());
        for key in &keys {
            assert_eq!(indexed.take(key), parsed.take(key));
            assert_eq!(indexed.take(key), parsed.take(key));
        }
        assert_eq!(
            keys.each_ref().map(|key| indexed.ran_as(key)),
            [Some((1, 2)), None, Some((1, 1))]
        );
        assert_eq!(keys.each_ref().map(|key| parsed.ran_as(key)), [None; 3]);
        assert_eq!((indexed.n_left(), parsed.n_left(), indexed.take("x")), (0, 0, None));
    }

    #[test]
    fn an_index_that_does_not_fit_is_passed_over() {
        let (text, index) = indexed_file();
        for at in 0..index.len() {
            let mut broken = index.clone();
            broken[at] ^= 1;
            assert!(places_of(&broken, &text).is_none(), "{at}");
            assert!(places_of(&index[..at], &text).is_none(), "{at}");
        }
        assert!(places_of(&index, &text.replace("null", "true")).is_none());
        assert!(places_of(&index, &format!("{text} ")).is_none());
        assert!(places_of(&index, "").is_none());
    }

    #[test]
    fn an_index_that_points_beyond_its_file_is_passed_over() {
        let text = "{\n}".to_owned();
        for payload in [0..1, 60..70, 0..u64::MAX, u64::MAX >> 1..u64::MAX] {
            let entry = Entry { key: [0; 20], payload, has_returned: true, ran_as: None };
            let entries = entry.to_bytes();
            let head = Head {
                n_entries: 1,
                file_bytes: text.len() as u64,
                file_sum: crc32fast::hash(text.as_bytes()),
                entries_sum: crc32fast::hash(&entries),
            };
            let index = [&head.to_bytes()[..], &entries].concat();
            assert!(places_of(&index, &text).is_none());
        }
    }
}
