//! The canonical form of any text, beside what `serde_json` makes of the same text.

#![no_main]

use hero_schema::canonical::{Error, canonical_json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Whether two values are the same. An integer `-0` is `0`, and a float for `serde_json`.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.as_f64() == Some(0.0) && right.as_f64() == Some(0.0))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| is_same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, l)| right.get(key).is_some_and(|r| is_same(l, r)))
        }
        _ => left == right,
    }
}

fuzz_target!(|text: &str| {
    let read = serde_json::from_str::<Value>(text);
    match canonical_json(text) {
        Ok(canonical) => {
            let value = read.expect("whatever has a canonical form is JSON");
            assert_eq!(canonical_json(&canonical).as_ref(), Ok(&canonical), "it is its own form");
            let again: Value = serde_json::from_str(&canonical).expect("the form is JSON");
            assert!(is_same(&again, &value), "{again} is not {value}");
        }
        // Two readers could take two values from it, and `serde_json` takes the last one.
        Err(Error::DuplicateKey { .. }) => {}
        Err(error) => assert!(read.is_err(), "it is JSON, and has no form: {error}"),
    }
});
