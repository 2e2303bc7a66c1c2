//! The native half of the `pyhero` package: what must be the same in both languages, and what must
//! wait without holding the GIL.
//!
//! It is thin on purpose. Signatures, defaults, docstrings and decisions of the Python API are written in
//! Python; here are the functions of [`hero_schema`] and [`hero_core`] that the Python half calls, the
//! memory of a play, the short way of a call that is remembered, the socket to the supervisor and the
//! RPC client. Nobody imports `pyhero._native` but
//! `pyhero` itself; `_native.pyi` beside the Python half is held to this module by stubtest.

mod arguments;
mod cache;
mod channel;
mod check;
mod client;
mod digest;
mod form;
mod frames;
mod keys;
mod lifeline;
mod occurrences;
mod recognizer;

/// The module that Python imports as `pyhero._native`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::arguments::Signature;
    #[pymodule_export]
    use crate::cache::ReplayCache;
    #[pymodule_export]
    use crate::channel::Channel;
    #[pymodule_export]
    use crate::check::{check_answer, check_schema, match_prefill};
    #[pymodule_export]
    use crate::client::{CallFailed, Client};
    #[pymodule_export]
    use crate::form::PlainForm;
    #[pymodule_export]
    use crate::frames::{span_start, step_output};
    #[pymodule_export]
    use crate::keys::{
        canonical_json, is_name, is_pause_name, resume_id, sha1_hex, step_key, step_path,
    };

    #[pymodule_export]
    use crate::occurrences::Occurrences;
    #[pymodule_export]
    use crate::recognizer::{Recognized, Recognizer};

    #[pymodule_export]
    use crate::lifeline::die_with_the_fork_server;

    /// The version of the child contract that this package speaks.
    #[pymodule_export]
    const PROTOCOL: u32 = hero_schema::child::PROTOCOL;
}
