//! Keys as the twenty bytes that they are: to be looked up without being spelled out.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use sha1::{Digest as _, Sha1};

/// A SHA-1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 20]);

/// Something by key.
pub(crate) type ByDigest<T> = HashMap<Digest, T, BuildHasherDefault<FirstBytes>>;

impl From<[u8; 20]> for Digest {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl Digest {
    /// Of a text in parts.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut hasher = Sha1::new();
        parts.iter().for_each(|part| hasher.update(part));
        Self(hasher.finalize().into())
    }

    /// What a key spells out. Of what is no key it is the digest, which stands for it as well.
    pub(crate) fn of_key(key: &str) -> Self {
        Self::read_hex(key.as_bytes()).unwrap_or_else(|| Self::of(&[key]))
    }

    fn read_hex(digits: &[u8]) -> Option<Self> {
        let digits: &[u8; 40] = digits.try_into().ok()?;
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// In lower-case hex.
    pub(crate) fn hex(&self) -> [u8; 40] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 40];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0[..8]);
    }
}

/// Takes the first bytes for the hash: those of a digest are as good as any.
#[derive(Default)]
pub(crate) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().take(8).enumerate() {
            self.0 ^= u64::from(*byte) << (8 * index);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_and_written() {
        let key = "6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad";
        let digest = Digest::of_key(key);
        assert_eq!(digest.hex(), key.as_bytes());
        assert!(digest == Digest::of(&[r#"0001|main|fetch|"#, r#"{"id":1,"q":"é"}"#]));
    }

    #[test]
    fn what_is_no_key_has_a_digest_too() {
        let upper = "6BA0210C95A2FC08A5DD7D7D8B23DC8841DEB7AD";
        assert!(Digest::of_key(upper) == Digest::of(&[upper]));
        assert!(Digest::of_key("a") != Digest::of_key("b"));
    }
}
