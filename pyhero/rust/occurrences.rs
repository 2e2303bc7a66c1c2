//! Which of several equal calls one is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard};

use pyo3::prelude::*;

use crate::digest::{ByDigest, Digest};

/// Counts equal calls, pauses and blocks under one parent, whatever thread they come from.
#[pyclass(frozen)]
#[derive(Default)]
pub(crate) struct Occurrences {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    calls: ByDigest<u32>,
    others: HashMap<(String, String), u32>,
    branches: HashMap<usize, Py<Occurrences>>,
}

#[pymethods]
impl Occurrences {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// The number of this call, counted from 1. *key* is the one that the first of its kind has.
    fn next_call(&self, key: &str) -> u32 {
        self.count_call(Digest::of_key(key))
    }

    /// The number of this pause or block, counted from 1.
    fn next(&self, kind: &str, what: &str) -> u32 {
        let mut counts = self.counts();
        let n = counts.others.entry((kind.to_owned(), what.to_owned())).or_default();
        *n += 1;
        *n
    }

    /// The counters of a branch. Every fan-out of this call has the same ones, so that equal calls in
    /// the first branch of two fan-outs are the first and the second and not one.
    fn branch(&self, py: Python<'_>, index: usize) -> PyResult<Py<Self>> {
        let new = Py::new(py, Self::default())?;
        Ok(match self.counts().branches.entry(index) {
            Entry::Occupied(known) => known.get().clone_ref(py),
            Entry::Vacant(place) => place.insert(new).clone_ref(py),
        })
    }
}

impl Occurrences {
    pub(crate) fn count_call(&self, key: Digest) -> u32 {
        let mut counts = self.counts();
        let n = counts.calls.entry(key).or_default();
        *n += 1;
        *n
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no holder of this lock can panic")
    }
}
