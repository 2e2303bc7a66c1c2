//! The lines of the span socket, in both directions.

#![no_main]

use std::fmt::Debug;

use hero_schema::frame::{Frame, Reply};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|&byte| byte == b'\n') {
        survives_a_line::<Frame>(line);
        survives_a_line::<Reply>(line);
    }
});

/// What is read is written on one line, and read again as the same.
fn survives_a_line<T: Serialize + DeserializeOwned + PartialEq + Debug>(line: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(line) else { return };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    assert!(!written.contains(&b'\n'), "a payload broke the line");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("reads back"), read);
}
