//! Names and keys: the functions of `hero_schema`, so that Python has no second version of them.

use hero_schema::{StepKey, name, resume, step};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The key of a call; see `hero_schema::step::step_key`.
#[pyfunction]
pub(crate) fn step_key(
    version: &str,
    parent_path: &str,
    name: &str,
    arguments_json: &str,
    occurrence: u32,
) -> PyResult<String> {
    step::step_key(version, parent_path, name, arguments_json, occurrence)
        .map(|key| key.as_str().to_owned())
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The path of what a call makes itself.
#[pyfunction]
pub(crate) fn step_path(parent_path: &str, name: &str, key: &str) -> String {
    step::step_path(parent_path, name, &StepKey::new(key))
}

/// The id of a resume request.
#[pyfunction]
pub(crate) fn resume_id(version: &str, span_path: &str, name: &str, n: u32) -> String {
    resume::resume_id(version, span_path, name, n).as_str().to_owned()
}

/// One JSON value in canonical form.
#[pyfunction]
pub(crate) fn canonical_json(text: &str) -> PyResult<String> {
    hero_schema::canonical::canonical_json(text)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// SHA-1 of the UTF-8 text in lower-case hex.
#[pyfunction]
pub(crate) fn sha1_hex(text: &str) -> String {
    step::sha1_hex(text.as_bytes())
}

/// Whether the text may name a flow.
#[pyfunction]
pub(crate) fn is_name(text: &str) -> bool {
    name::is_name(text)
}

/// Whether the text may name a pause.
#[pyfunction]
pub(crate) fn is_pause_name(text: &str) -> bool {
    name::is_pause_name(text)
}
