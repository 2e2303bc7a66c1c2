//! The JSON of stored records: all of it but the checksum in front, which no chance gets past.

#![no_main]

use std::fmt::Debug;

use hero_schema::{
    LogLine, OutcomeRecord, PlayRecord, ReplayedSpans, ResumeRequest, Span, Workflow, WorkflowVersion,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    survives_the_store::<PlayRecord>(bytes);
    survives_the_store::<ResumeRequest>(bytes);
    survives_the_store::<OutcomeRecord>(bytes);
    survives_the_store::<Span>(bytes);
    survives_the_store::<ReplayedSpans>(bytes);
    survives_the_store::<LogLine>(bytes);
    survives_the_store::<Workflow>(bytes);
    survives_the_store::<WorkflowVersion>(bytes);
});

/// A record that is read is written and read again as the same.
fn survives_the_store<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("reads back"), read);
}
