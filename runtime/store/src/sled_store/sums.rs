//! What the store should come to, told by a record in sled.
//!
//! Where sled's log is damaged in the middle, sled goes on behind the damage: what stood there is
//! missing, and nothing else tells. So every write keeps sums over the pairs that others hang on (plays,
//! tallies, versions, workflows, lists), and opening adds them up again. Outcomes and requests are
//! held against the tally of their play when they are read; spans and log lines against nothing.
//!
//! That is about what stands in sled. Over all pairs, in sled and in the pack below it, there is a
//! second sum: a new pack takes the place of the old one only where it comes to the same.

use std::collections::HashSet;
use std::path::Path;

use super::INLINE;
use super::blobs::BlobName;
use super::guarded::guarded;
use super::layers::REMOVED;
use crate::{Error, keys, record};

/// Plays are summed up in so many groups: what is lost of one makes only those of its group suspect.
const N_GROUPS: usize = 64;

/// What is kept under [`keys::SUMS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// How many writes there were.
    pub(super) n_writes: u64,
    /// How many values stand in blobs.
    pub(super) n_blobs: u64,
    /// Over what stands in sled.
    pub(super) digests: Digests,
    pub(super) whole: Whole,
}

/// What sled and the pack below it come to together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// The number of the pack; 0 where there is none.
    pub(super) pack: u64,
    /// What all pairs take, large values in their blobs not counted.
    pub(super) n_bytes: u64,
    /// The sum of [`share`] over all pairs.
    pub(super) total: u64,
}

impl Whole {
    /// Notes that a pair is replaced, removed or added.
    pub(super) fn exchange(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if let Some(old) = old {
            self.n_bytes = self.n_bytes.wrapping_sub((key.len() + old.len()) as u64);
            self.total = self.total.wrapping_sub(share(key, old));
        }
        if let Some(new) = new {
            self.n_bytes = self.n_bytes.wrapping_add((key.len() + new.len()) as u64);
            self.total = self.total.wrapping_add(share(key, new));
        }
    }
}

/// Sums of [`checksum`] over the pairs of [`keys::summed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    /// Over plays and their tallies, by [`group_of`].
    plays: [u32; N_GROUPS],
    /// Over everything else.
    rest: u64,
}

impl Default for Digests {
    fn default() -> Self {
        Self { plays: [0; N_GROUPS], rest: 0 }
    }
}

impl Digests {
    /// Adds a pair.
    pub(super) fn add(&mut self, key: &[u8], packed: &[u8]) {
        let checksum = checksum(key, packed);
        match keys::play_part(key) {
            Some(play) => {
                let digest = &mut self.plays[group_of(play)];
                *digest = digest.wrapping_add(checksum as u32);
            }
            None => self.rest = self.rest.wrapping_add(checksum),
        }
    }

    /// Notes that a pair is replaced, removed or added.
    pub(super) fn exchange(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if keys::is_summed(key) {
            old.inspect(|packed| self.subtract(key, packed));
            new.inspect(|packed| self.add(key, packed));
        }
    }

    fn subtract(&mut self, key: &[u8], packed: &[u8]) {
        let checksum = checksum(key, packed);
        match keys::play_part(key) {
            Some(play) => {
                let digest = &mut self.plays[group_of(play)];
                *digest = digest.wrapping_sub(checksum as u32);
            }
            None => self.rest = self.rest.wrapping_sub(checksum),
        }
    }

    /// Whether nothing is missing of the plays in the group of this one. It takes what
    /// [`keys::play_part`] gives.
    pub(super) fn agree_about(&self, other: &Self, play: &[u8]) -> bool {
        let group = group_of(play);
        self.plays[group] == other.plays[group]
    }
}

impl Sums {
    /// Notes that a value is replaced, removed or added.
    pub(super) fn exchange(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        let n_blobs = |packed: Option<&[u8]>| u64::from(packed.and_then(BlobName::of).is_some());
        self.n_blobs = self.n_blobs.wrapping_add(n_blobs(new)).wrapping_sub(n_blobs(old));
        self.whole.exchange(key, old, new);
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let numbers = [self.n_writes, self.n_blobs, self.digests.rest].map(u64::to_be_bytes);
        let plays = self.digests.plays.map(u32::to_be_bytes);
        let Whole { pack, n_bytes, total } = self.whole;
        let whole = [pack, n_bytes, total].map(u64::to_be_bytes);
        [numbers.concat(), plays.concat(), whole.concat()].concat()
    }
}

/// The sums as they were read. A new tree has none; format 1 only counted its writes, and
/// format 2 had no packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) n_writes: u64,
    pub(super) n_blobs: Option<u64>,
    pub(super) digests: Option<Digests>,
    pub(super) whole: Option<Whole>,
}

impl Stored {
    /// Reads the sums; None where they are cut off.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (n_writes, rest) = take_u64(bytes)?;
        if rest.is_empty() {
            return Some(Self { n_writes, ..Self::default() });
        }
        let (n_blobs, rest) = take_u64(rest)?;
        let (digest, rest) = take_u64(rest)?;
        let (plays, rest) = rest.split_at_checked(N_GROUPS * 4)?;
        let plays: [[u8; 4]; N_GROUPS] = plays.as_chunks().0.try_into().ok()?;
        let digests = Digests { plays: plays.map(u32::from_be_bytes), rest: digest };
        let whole = match rest.as_chunks() {
            ([], []) => None,
            (&[pack, n_bytes, total], []) => {
                let [pack, n_bytes, total] = [pack, n_bytes, total].map(u64::from_be_bytes);
                Some(Whole { pack, n_bytes, total })
            }
            _ => return None,
        };
        Some(Self { n_writes, n_blobs: Some(n_blobs), digests: Some(digests), whole })
    }
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

/// What the tree says of itself.
pub(super) fn stored(tree: &sled::Db, path: &Path) -> Result<Stored, Error> {
    let record = || keys::describe(keys::SUMS);
    let stored = guarded("read", path, record, || tree.get(keys::SUMS))?;
    let Some(bytes) = stored else { return Ok(Stored::default()) };
    Stored::from_bytes(&bytes)
        .ok_or_else(|| Error::Damaged { record: record(), reason: "they are cut off".into() })
}

/// What is in the tree, summed up.
pub(super) fn found(tree: &sled::Db, path: &Path) -> Result<Digests, Error> {
    let mut digests = Digests::default();
    for range in keys::summed() {
        let first = range.start.clone();
        let add = || {
            for pair in tree.range(range) {
                let (key, packed) = pair?;
                digests.add(&key, &packed);
            }
            Ok(())
        };
        guarded("read", path, || keys::describe(&first), add)?;
    }
    Ok(digests)
}

/// The first record that the sums are taken over and that does not read, in words.
pub(super) fn damaged_record(tree: &sled::Db, path: &Path) -> Result<Option<String>, Error> {
    let is_damaged = |key: &[u8], packed: &[u8]| match packed {
        // An entry of a list is all key.
        [INLINE] => !keys::is_listed(key),
        [INLINE, value @ ..] => !record::is_whole(key, value),
        [REMOVED] => false,
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

/// What everything in the tree comes to: for a store that did not keep count.
pub(super) fn whole_of(tree: &sled::Db, path: &Path) -> Result<Whole, Error> {
    let mut whole = Whole::default();
    let add = || {
        for pair in tree.iter() {
            let (key, packed) = pair?;
            if key != keys::SUMS {
                whole.exchange(&key, None, Some(&packed));
            }
        }
        Ok(())
    };
    guarded("read", path, || "the tree".into(), add)?;
    Ok(whole)
}

/// What a pair adds to the total.
pub(super) fn share(key: &[u8], packed: &[u8]) -> u64 {
    checksum(key, packed)
}

fn group_of(play: &[u8]) -> usize {
    crc32fast::hash(play) as usize % N_GROUPS
}

/// Its lower half tells values of the same key apart.
fn checksum(key: &[u8], packed: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    let high = u64::from(hasher.clone().finalize());
    hasher.update(packed);
    high << 32 | u64::from(hasher.finalize())
}
