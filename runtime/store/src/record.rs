//! How a record is written: a format byte, a checksum and JSON.

use hero_schema::{Timestamp, Usage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, keys};

/// How the bytes of a record are laid out: this byte, CRC-32 (big-endian), JSON.
const LAYOUT: u8 = 1;

/// The record as bytes, for this key.
///
/// The checksum covers the key too, so that a value that stands under another key is noticed.
pub(crate) fn encode(key: &[u8], record: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![LAYOUT, 0, 0, 0, 0];
    serde_json::to_writer(&mut bytes, record).expect("records have text keys and finite numbers");
    let checksum = checksum(key, &bytes[5..]);
    bytes[1..5].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The record that was written under this key.
///
/// # Errors
/// [`Error::Damaged`], naming the record, where the bytes are not what was written.
pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, Error> {
    let damaged = |reason: String| Error::Damaged { record: keys::describe(key), reason };
    match bytes {
        [LAYOUT, a, b, c, d, json @ ..] => {
            if u32::from_be_bytes([*a, *b, *c, *d]) != checksum(key, json) {
                return Err(damaged("its checksum does not match".into()));
            }
            serde_json::from_slice(json)
                .map_err(|error| damaged(format!("it does not read: {error}")))
        }
        [LAYOUT, ..] | [] => Err(damaged("it is cut off".into())),
        [other, ..] => Err(damaged(format!("its layout {other} is unknown"))),
    }
}

/// The checksum that a record was written with; 0 where it is cut off.
pub(crate) fn checksum_of(bytes: &[u8]) -> u32 {
    let checksum = bytes.get(1..5).and_then(|bytes| bytes.try_into().ok());
    checksum.map_or(0, u32::from_be_bytes)
}

/// Whether these bytes were written under this key.
pub(crate) fn is_whole(key: &[u8], bytes: &[u8]) -> bool {
    decode::<serde::de::IgnoredAny>(key, bytes).is_ok()
}

fn checksum(key: &[u8], json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(json);
    hasher.finalize()
}

/// How many records of a kind a play has. What is lost below a store shows as a difference: a lost
/// outcome would otherwise only show as a side effect that happens twice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) n_outcomes: u64,
    pub(crate) n_requests: u64,
    /// The sum of [`checksum_of`] over the requests, which, unlike outcomes, are replaced: an answer
    /// may be lost and the question be there. None where format 1 counted.
    #[serde(default)]
    pub(crate) requests_sum: Option<u32>,
    /// What the outcomes say that was spent, together.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub(crate) usage: Usage,
}

impl Default for Tally {
    fn default() -> Self {
        Self { n_outcomes: 0, n_requests: 0, requests_sum: Some(0), usage: Usage::default() }
    }
}

/// The record under [`keys::FORMAT`]: written when a store is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    pub(crate) number: u32,
    pub(crate) created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let key = b"t01jq\0\x01";
        let whole = encode(key, &Tally { n_outcomes: 3, ..Tally::default() });
        assert_eq!(decode::<Tally>(key, &whole).expect("whole").n_outcomes, 3);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode::<Tally>(key, &bytes), Err(Error::Damaged { .. })), "{bit}");
        }
        for length in 0..whole.len() {
            let cut = decode::<Tally>(key, &whole[..length]);
            assert!(matches!(cut, Err(Error::Damaged { .. })), "{length}");
        }
    }

    #[test]
    fn a_value_under_another_key_is_noticed() {
        let bytes = encode(b"ta\0\x01", &Tally::default());
        assert!(matches!(decode::<Tally>(b"tb\0\x01", &bytes), Err(Error::Damaged { .. })));
    }
}
