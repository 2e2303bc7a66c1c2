//! The index of a memory file, as bytes: where in it each outcome stands, so that a launch need not read
//! what it is never asked for.
//!
//! A head and an entry for each outcome, in the order of the file; numbers are little-endian. It fits its
//! file or is passed over: the file alone says what is remembered.

use std::ops::Range;

use crate::{LaunchNumber, SpanPlace};

/// What is appended to the name of the file for that of its index.
pub const SUFFIX: &str = ".index";

/// How long the head is.
pub const HEAD_BYTES: usize = 32;

/// How long an entry is.
pub const ENTRY_BYTES: usize = 48;

const MAGIC: &[u8; 8] = b"heroidx1";

/// What an index belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are.
    pub n_entries: u64,
    /// How long the memory file is.
    pub file_bytes: u64,
    /// The CRC-32 of the memory file.
    pub file_sum: u32,
    /// The CRC-32 of the entries.
    pub entries_sum: u32,
}

impl Head {
    /// As it is written.
    pub fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.n_entries.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.file_sum.to_le_bytes());
        bytes[28..].copy_from_slice(&self.entries_sum.to_le_bytes());
        bytes
    }

    /// As it was written; None of what is no head.
    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        bytes.starts_with(MAGIC).then(|| Self {
            n_entries: u64_at(bytes, 8),
            file_bytes: u64_at(bytes, 16),
            file_sum: u32_at(bytes, 24),
            entries_sum: u32_at(bytes, 28),
        })
    }
}

/// One outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The step key, as the bytes that it spells out.
    pub key: [u8; 20],
    /// Where in the file the payload stands: what the step returned, else the exception.
    pub payload: Range<u64>,
    /// Whether it returned.
    pub has_returned: bool,
    /// The span in which it ran, where that is one of this play.
    pub ran_as: Option<SpanPlace>,
}

impl Entry {
    /// As it is written.
    pub fn to_bytes(&self) -> [u8; ENTRY_BYTES] {
        let place = self.ran_as.unwrap_or(SpanPlace { launch: LaunchNumber(0), seq: 0 });
        let has_returned: u64 = self.has_returned.into();
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..20].copy_from_slice(&self.key);
        bytes[20..24].copy_from_slice(&place.launch.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&place.seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&(self.payload.start << 1 | has_returned).to_le_bytes());
        bytes[40..].copy_from_slice(&self.payload.end.to_le_bytes());
        bytes
    }

    /// As it was written.
    pub fn read(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let place = SpanPlace { launch: LaunchNumber(u32_at(bytes, 20)), seq: u64_at(bytes, 24) };
        let start = u64_at(bytes, 32);
        Self {
            key: part(bytes, 0),
            payload: start >> 1..u64_at(bytes, 40),
            has_returned: start & 1 == 1,
            ran_as: (place.launch.0 > 0).then_some(place),
        }
    }
}

fn u64_at(bytes: &[u8], start: usize) -> u64 {
    u64::from_le_bytes(part(bytes, start))
}

fn u32_at(bytes: &[u8], start: usize) -> u32 {
    u32::from_le_bytes(part(bytes, start))
}

fn part<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes[start..start + N].try_into().expect("a slice of this length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_entries_read_back() {
        let head = Head { n_entries: 3, file_bytes: 1 << 40, file_sum: 7, entries_sum: u32::MAX };
        assert_eq!(Head::read(&head.to_bytes()), Some(head));
        assert_eq!(Head::read(&[0; HEAD_BYTES]), None);
        let place = SpanPlace { launch: LaunchNumber(2), seq: u64::MAX };
        for ran_as in [None, Some(place)] {
            for has_returned in [true, false] {
                let entry = Entry { key: [9; 20], payload: 60..1 << 40, has_returned, ran_as };
                assert_eq!(Entry::read(&entry.to_bytes()), entry);
            }
        }
    }
}
