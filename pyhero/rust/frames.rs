//! The frames of which a flow of many steps is made, as JSON text; `_wire.py` has the others.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use hero_schema::canonical::write_string;
use hero_schema::step;
use pyo3::prelude::*;

/// See `hero_schema::frame::SpanStart`.
#[derive(Default)]
pub(crate) struct SpanStart<'a> {
    pub(crate) span_id: &'a str,
    pub(crate) parent_id: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) step_key: Option<&'a str>,
    /// JSON text.
    pub(crate) arguments: Option<&'a str>,
    pub(crate) source_file: Option<&'a str>,
    pub(crate) source_line: Option<u32>,
    pub(crate) replayed: bool,
}

impl SpanStart<'_> {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("{\"span_start\":{\"span_id\":");
        write_string(out, self.span_id);
        write_member(out, ",\"parent_id\":", self.parent_id);
        write_member(out, ",\"name\":", Some(self.name));
        write_member(out, ",\"kind\":", Some(self.kind));
        write_member(out, ",\"step_key\":", self.step_key);
        write_at(out);
        write_member(out, ",\"source_file\":", self.source_file);
        if let Some(line) = self.source_line {
            out.push_str(",\"source_line\":");
            write_number(out, line.into());
        }
        if self.replayed {
            out.push_str(",\"replayed\":true");
        }
        if let Some(arguments) = self.arguments {
            out.push_str(",\"arguments\":");
            out.push_str(arguments);
        }
        out.push_str("}}");
    }
}

fn write_member(out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        out.push_str(name);
        write_string(out, text);
    }
}

fn write_at(out: &mut String) {
    out.push_str(",\"at\":");
    write_number(out, now_micros());
}

pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}

fn write_number(out: &mut String, number: u64) {
    write!(out, "{number}").expect("text takes all");
}

/// A span begins; a replayed one is over at once. *arguments* is JSON text.
#[pyfunction]
#[pyo3(signature = (span_id, parent_id, name, kind, *, step_key=None, arguments=None, source_file=None, source_line=None, replayed=false))]
#[expect(clippy::too_many_arguments, reason = "they are the fields of the frame")]
pub(crate) fn span_start(
    span_id: &str,
    parent_id: Option<&str>,
    name: &str,
    kind: &str,
    step_key: Option<&str>,
    arguments: Option<&str>,
    source_file: Option<&str>,
    source_line: Option<u32>,
    replayed: bool,
) -> String {
    let mut out = String::with_capacity(256);
    SpanStart {
        span_id,
        parent_id,
        name,
        kind,
        step_key,
        arguments,
        source_file,
        source_line,
        replayed,
    }
    .write(&mut out);
    out
}

/// A step has ended. *arguments* and *outcome* are JSON text.
#[pyfunction]
#[pyo3(signature = (key, parent_path, name, arguments, source_hash, span_id, outcome, *, compensable=false, plan=false, place=None))]
#[expect(clippy::too_many_arguments, reason = "they are the fields of the frame")]
pub(crate) fn step_output(
    key: &str,
    parent_path: &str,
    name: &str,
    arguments: &str,
    source_hash: &str,
    span_id: &str,
    outcome: &str,
    compensable: bool,
    plan: bool,
    place: Option<&str>,
) -> String {
    let mut out = String::with_capacity(384 + outcome.len());
    out.push_str("{\"step_output\":{\"key\":");
    write_string(&mut out, key);
    write_member(&mut out, ",\"parent_path\":", Some(parent_path));
    write_member(&mut out, ",\"name\":", Some(name));
    let arguments_hash = step::sha1_hex(arguments.as_bytes());
    write_member(&mut out, ",\"arguments_hash\":", Some(&arguments_hash));
    write_member(&mut out, ",\"source_hash\":", Some(source_hash));
    write_member(&mut out, ",\"span_id\":", Some(span_id));
    write_at(&mut out);
    if compensable {
        out.push_str(",\"compensable\":true");
    }
    if plan {
        out.push_str(",\"plan\":true");
    }
    if place.is_some() {
        write_member(&mut out, ",\"place\":", place);
    }
    out.push_str(",\"outcome\":");
    out.push_str(outcome);
    out.push_str("}}");
    out
}
