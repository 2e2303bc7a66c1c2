//! The decisions of `hero_core` that `pyhero.testing` and the terminal need in the process itself.

use std::collections::BTreeMap;

use hero_core::{answer, prefill};
use hero_schema::Json;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The prefill entry that answers a pause of this name, as (pattern, payload).
#[pyfunction]
pub(crate) fn match_prefill(entries_json: &str, name: &str) -> PyResult<Option<(String, String)>> {
    let entries: BTreeMap<String, Json> = serde_json::from_str(entries_json)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    let found = prefill::find(&entries, name);
    Ok(found.map(|(pattern, payload)| (pattern.to_owned(), payload.text().to_owned())))
}

/// Why a text is no JSON Schema; None where it is one.
#[pyfunction]
pub(crate) fn check_schema(schema_json: &str) -> PyResult<Option<String>> {
    let schema =
        Json::parse(schema_json).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(answer::check_schema(&schema).err().map(|misfit| misfit.to_string()))
}

/// Why the payload does not fit the JSON Schema; None where it does.
#[pyfunction]
pub(crate) fn check_answer(
    schema_json: Option<&str>,
    payload_json: &str,
) -> PyResult<Option<String>> {
    let parse =
        |text: &str| Json::parse(text).map_err(|error| PyValueError::new_err(error.to_string()));
    let schema = schema_json.map(parse).transpose()?;
    let misfit = answer::check(schema.as_ref(), &parse(payload_json)?).err();
    Ok(misfit.map(|misfit| misfit.to_string()))
}
