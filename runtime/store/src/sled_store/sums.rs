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
use std::ops::Range;
use std::path::Path;

use sled::IVec;

use super::INLINE;
use super::blobs::BlobName;
use super::guarded::guarded;
use super::layers::REMOVED;
use super::recent::{self, Table};
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

/// Where pairs are read that are not in use yet.
pub(super) trait Source {
    /// The value of a key.
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, Error>;

    /// Shows every pair of a range of keys, in order.
    fn each(&self, range: Range<Vec<u8>>, see: impl FnMut(&[u8], &[u8])) -> Result<(), Error>;

    /// Shows every pair.
    fn every(&self, see: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        self.each(Vec::new()..vec![u8::MAX], see)
    }
}

/// A sled and where its files stand.
impl Source for (&sled::Db, &Path) {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, Error> {
        guarded("read", self.1, || keys::describe(key), || self.0.get(key))
    }

    fn each(&self, range: Range<Vec<u8>>, mut see: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        let first = range.start.clone();
        let read = || {
            self.0.range(range).try_for_each(|pair| pair.map(|(key, packed)| see(&key, &packed)))
        };
        guarded("read", self.1, || keys::describe(&first), read)
    }
}

/// What a log comes to.
impl Source for Table {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, Error> {
        Ok(self.get(key).cloned().flatten())
    }

    fn each(&self, range: Range<Vec<u8>>, mut see: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        let pairs = recent::part(self, &range);
        pairs
            .filter_map(|(key, packed)| Some((key, packed.as_ref()?)))
            .for_each(|(k, v)| see(k, v));
        Ok(())
    }
}

/// What the pairs say of themselves.
pub(super) fn stored(pairs: &impl Source) -> Result<Stored, Error> {
    let Some(bytes) = pairs.value(keys::SUMS)? else { return Ok(Stored::default()) };
    Stored::from_bytes(&bytes).ok_or_else(|| Error::Damaged {
        record: keys::describe(keys::SUMS),
        reason: "they are cut off".into(),
    })
}

/// What there is, summed up.
pub(super) fn found(pairs: &impl Source) -> Result<Digests, Error> {
    let mut digests = Digests::default();
    for range in keys::summed() {
        pairs.each(range, |key, packed| digests.add(key, packed))?;
    }
    Ok(digests)
}

/// The first record that the sums are taken over and that does not read, in words.
pub(super) fn damaged_record(pairs: &impl Source) -> Result<Option<String>, Error> {
    let is_damaged = |key: &[u8], packed: &[u8]| match packed {
        // An entry of a list is all key.
        [INLINE] => !keys::is_listed(key),
        [INLINE, value @ ..] => !record::is_whole(key, value),
        [REMOVED] => false,
        _ => BlobName::of(packed).is_none(),
    };
    let mut found = None;
    for range in keys::summed() {
        pairs.each(range, |key, packed| {
            if found.is_none() && is_damaged(key, packed) {
                found = Some(keys::describe(key));
            }
        })?;
    }
    Ok(found)
}

/// How many blobs are named.
pub(super) fn n_blobs(pairs: &impl Source) -> Result<u64, Error> {
    let mut names = HashSet::new();
    pairs.every(|_, packed| names.extend(BlobName::of(packed)))?;
    Ok(names.len() as u64)
}

/// What all pairs come to: for a store that did not keep count.
pub(super) fn whole_of(pairs: &impl Source) -> Result<Whole, Error> {
    let mut whole = Whole::default();
    pairs.every(|key, packed| {
        if key != keys::SUMS {
            whole.exchange(key, None, Some(packed));
        }
    })?;
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
