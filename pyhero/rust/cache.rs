//! The memory that a launch is handed: outcomes by key, left as text until someone asks.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Formatter};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Remembered outcomes by step key or resume id.
///
/// The file is read once and checked whole, because a launch that went on with half a memory would
/// repeat side effects; each outcome is decoded only when it is asked for.
#[pyclass(frozen)]
pub(crate) struct ReplayCache {
    text: String,
    places: HashMap<String, Range<usize>>,
    asked_for: Mutex<HashSet<String>>,
}

/// What each member of the file must look like. The payloads stay text.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeShape {
    Returned(IgnoredAny),
    Raised(IgnoredAny),
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
    fn take(&self, key: &str) -> Option<&str> {
        let place = self.places.get(key)?;
        self.asked_for().insert(key.to_owned());
        Some(&self.text[place.clone()])
    }

    /// The keys that nobody has asked for, sorted.
    fn left_over(&self) -> Vec<String> {
        let asked_for = self.asked_for();
        let mut keys: Vec<String> =
            self.places.keys().filter(|&key| !asked_for.contains(key)).cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// How many outcomes nobody has asked for.
    fn n_left(&self) -> usize {
        self.places.len() - self.asked_for().len()
    }
}

impl ReplayCache {
    fn parse(text: String) -> PyResult<Self> {
        let places = places(&text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { text, places, asked_for: Mutex::default() })
    }

    fn asked_for(&self) -> MutexGuard<'_, HashSet<String>> {
        self.asked_for.lock().expect("no holder of this lock can panic")
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
fn places(text: &str) -> Result<HashMap<String, Range<usize>>, serde_json::Error> {
    let Members(members) = serde_json::from_str(text)?;
    let start_of_text = text.as_ptr() as usize;
    let mut places = HashMap::with_capacity(members.len());
    for (key, outcome) in members {
        serde_json::from_str::<OutcomeShape>(outcome.get())?;
        let start = outcome.get().as_ptr() as usize - start_of_text;
        match places.entry(key) {
            Entry::Vacant(place) => place.insert(start..start + outcome.get().len()),
            Entry::Occupied(place) => {
                return Err(de::Error::custom(format!("`{}` stands there twice", place.key())));
            }
        };
    }
    Ok(places)
}

/// The members of one object, all of them: a map would keep the last of two with one key.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of outcomes")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_found_in_the_text_as_they_were_written() {
        let text = r#"{ "a": {"returned": [1, 2.0]}, "b":{"raised":{"class":"x:Y"}} }"#;
        let places = places(text).expect("a memory file");
        assert_eq!(&text[places["a"].clone()], r#"{"returned": [1, 2.0]}"#);
        assert_eq!(&text[places["b"].clone()], r#"{"raised":{"class":"x:Y"}}"#);
    }

    #[test]
    fn what_is_no_memory_is_refused() {
        let twice = r#"{"a":{"returned":1},"a":{"returned":2}}"#;
        for text in
            [twice, "", "[]", "{\"a\":1}", "{\"a\":{\"lost\":1}}", "{\"a\":{\"returned\":1}"]
        {
            assert!(places(text).is_err(), "{text}");
        }
    }
}
