//! What the tree should come to, told by a record in it.
//!
//! Where sled's log is damaged in the middle, sled goes on behind the damage: what stood there is
//! missing, and nothing else tells. So every write keeps a sum over the pairs that others hang on (plays,
//! tallies, versions, workflows, lists), and opening adds them up again. Outcomes and requests are
//! held against the tally of their play when they are read; spans and log lines against nothing.

use std::collections::HashSet;
use std::path::Path;

use super::INLINE;
use super::blobs::BlobName;
use super::guarded::guarded;
use crate::{Error, keys, record};

/// What is kept under [`keys::SUMS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// How many writes there were.
    pub(super) n_writes: u64,
    /// The sum of [`checksum`] over the pairs of [`keys::is_summed`].
    pub(super) digest: u64,
    /// How many values stand in blobs.
    pub(super) n_blobs: u64,
}

impl Sums {
    /// Notes that a pair is replaced, removed or added.
    pub(super) fn exchange(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        for (packed, is_new) in [(old, false), (new, true)] {
            let Some(packed) = packed else { continue };
            let n_blobs = u64::from(BlobName::of(packed).is_some());
            let checksum = if keys::is_summed(key) { checksum(key, packed) } else { 0 };
            let (n_blobs, checksum) = match is_new {
                true => (n_blobs, checksum),
                false => (n_blobs.wrapping_neg(), checksum.wrapping_neg()),
            };
            self.n_blobs = self.n_blobs.wrapping_add(n_blobs);
            self.digest = self.digest.wrapping_add(checksum);
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.n_writes, self.digest, self.n_blobs].map(u64::to_be_bytes).concat()
    }
}

/// What the tree says of itself; nothing where it is new. Format 1 only counted its writes.
pub(super) fn stored(tree: &sled::Db, path: &Path) -> Result<Stored, Error> {
    let record = || keys::describe(keys::SUMS);
    let stored = guarded("read", path, record, || tree.get(keys::SUMS))?;
    let Some(bytes) = stored else { return Ok(Stored::default()) };
    let (numbers, rest) = bytes.as_chunks::<8>();
    let number = |index: usize| numbers.get(index).map(|bytes| u64::from_be_bytes(*bytes));
    match (numbers.len(), rest) {
        (1 | 3, []) => {
            Ok(Stored { n_writes: number(0).unwrap_or(0), digest: number(1), n_blobs: number(2) })
        }
        _ => Err(Error::Damaged { record: record(), reason: "it is cut off".into() }),
    }
}

/// The sums as they were read.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) n_writes: u64,
    pub(super) digest: Option<u64>,
    pub(super) n_blobs: Option<u64>,
}

/// The digest of what is in the tree.
pub(super) fn digest_of(tree: &sled::Db, path: &Path) -> Result<u64, Error> {
    let mut digest = 0u64;
    for range in keys::summed() {
        let first = range.start.clone();
        let add = || {
            for pair in tree.range(range) {
                let (key, packed) = pair?;
                digest = digest.wrapping_add(checksum(&key, &packed));
            }
            Ok(())
        };
        guarded("read", path, || keys::describe(&first), add)?;
    }
    Ok(digest)
}

/// The first record that the sums are taken over and that does not read, in words.
pub(super) fn damaged_record(tree: &sled::Db, path: &Path) -> Result<Option<String>, Error> {
    let is_damaged = |key: &[u8], packed: &[u8]| match packed {
        // An entry of a list is all key.
        [INLINE] => !keys::is_listed(key),
        [INLINE, value @ ..] => !record::is_whole(key, value),
        _ => BlobName::of(packed).is_none(),
    };
    let find = || {
        for range in keys::summed() {
            for pair in tree.range(range) {
                let (key, packed) = pair?;
                if is_damaged(&key, &packed) {
                    return Ok(Some(keys::describe(&key)));
                }
            }
        }
        Ok(None)
    };
    guarded("read", path, || "the tree".into(), find)
}

/// The names of all blobs.
pub(super) fn blob_names(tree: &sled::Db, path: &Path) -> Result<HashSet<BlobName>, Error> {
    let mut names = HashSet::new();
    let collect = || {
        for pair in tree.iter() {
            names.extend(BlobName::of(&pair?.1));
        }
        Ok(())
    };
    guarded("read", path, || "the tree".into(), collect)?;
    Ok(names)
}

fn checksum(key: &[u8], packed: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    let high = u64::from(hasher.clone().finalize());
    hasher.update(packed);
    high << 32 | u64::from(hasher.finalize())
}
