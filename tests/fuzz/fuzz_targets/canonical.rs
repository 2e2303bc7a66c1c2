//! The canonical form of any text, beside what `serde_json` makes of the same text.

#![no_main]

use hero_schema::canonical::{Error, canonical_json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let read = serde_json::from_str::<Value>(text);
    match canonical_json(text) {
        Ok(canonical) => {
            let value = read.expect("whatever has a canonical form is JSON");
            assert_eq!(canonical_json(&canonical).as_ref(), Ok(&canonical), "it is its own form");
            let again: Value = serde_json::from_str(&canonical).expect("the form is JSON");
            assert_eq!(again, value, "and means the same");
        }
        // Two readers could take two values from it, and `serde_json` takes the last one.
        Err(Error::DuplicateKey { .. }) => {}
        Err(error) => assert!(read.is_err(), "it is JSON, and has no form: {error}"),
    }
});
