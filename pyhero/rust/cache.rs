//! The memory that a launch is handed: outcomes by key, left as text until someone asks.

use std::fmt::{self, Formatter};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::digest::{ByDigest, Digest};

/// Remembered outcomes by step key or resume id.
///
/// The file is read once and checked whole, because a launch that went on with half a memory would
/// repeat side effects; each outcome is decoded only when it is asked for.
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
    by_key: ByDigest<usize>,
    /// The one after that which was asked for last: as a rule, the one that is asked for next.
    next: AtomicUsize,
}

/// One member of the file.
struct Place {
    digest: Digest,
    key: Range<usize>,
    payload: Range<usize>,
    has_returned: bool,
    is_asked_for: AtomicBool,
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
            let text = read_regular_file(path).map_err(|error| {
                PyOSError::new_err(format!("failed to read the memory file `{path}`: {error}"))
            })?;
            Self::parse(text).map_err(|reason| {
                PyValueError::new_err(format!("failed to read the memory file `{path}`: {reason}"))
            })
        })
    }

    /// The outcome as JSON text, or None. Marks the key as asked for.
    fn take(&self, key: &str) -> Option<String> {
        self.find(&Digest::of_key(key)).map(Remembered::text)
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
    /// The outcome under a key. Marks it as asked for.
    pub(crate) fn find(&self, key: &Digest) -> Option<Remembered<'_>> {
        let place = self.places.find(key)?;
        if !place.is_asked_for.swap(true, Relaxed) {
            self.n_asked_for.fetch_add(1, Relaxed);
        }
        let payload = &self.text[place.payload.clone()];
        Some(if place.has_returned {
            Remembered::Returned(payload)
        } else {
            Remembered::Raised(payload)
        })
    }

    fn parse(text: String) -> PyResult<Self> {
        let places = places(&text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { text, places, n_asked_for: AtomicUsize::new(0) })
    }
}

impl Places {
    fn find(&self, key: &Digest) -> Option<&Place> {
        let next = self.next.load(Relaxed);
        let index = match self.members.get(next) {
            Some(place) if place.digest == *key => next,
            _ => *self.by_key.get(key)?,
        };
        self.next.store(index + 1, Relaxed);
        Some(&self.members[index])
    }
}

/// Reads a file, and nothing that could keep a reader waiting, such as a pipe.
fn read_regular_file(path: &str) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    std::fs::read_to_string(path)
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
        let mut places = Places::default();
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
                is_asked_for: AtomicBool::new(false),
            };
            if places.by_key.insert(digest, places.members.len()).is_some() {
                return Err(de::Error::custom(format!("`{key}` stands there twice")));
            }
            places.members.push(place);
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
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
}
