//! Reads what can be read of a tree.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use hero_schema::PlaySid;

use super::super::blobs::names_in;
use super::super::compaction;
use super::super::directory::{heal, open_sled};
use super::super::guarded::guarded;
use super::super::layers::REMOVED;
use super::super::pack::{self, Salvage};
use super::copy::Copy;
use super::log;
use crate::{Error, keys};

/// The pairs of a store, as sled holds them.
#[derive(Default)]
pub(super) struct Salvaged {
    pub(super) pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Why sled does not read all of it; None where it does.
    pub(super) unreadable: Option<String>,
    /// In how many places the log is damaged.
    pub(super) n_gaps: usize,
    /// Keys that may have stood in the pack and are lost.
    pub(super) lost: Vec<Range<Vec<u8>>>,
}

impl Salvaged {
    /// Puts the pairs of the tree over those of the pack below it. `number` is what the tree says of
    /// that; None where it does not read.
    pub(super) fn lay_over_pack(&mut self, dir: &Path, number: Option<u64>) -> Result<(), Error> {
        let packs_dir = compaction::packs_dir(dir);
        let found = names_in(&packs_dir)?;
        let latest = || found.iter().filter_map(|path| pack::number_of(path)).max().unwrap_or(0);
        let named = number.unwrap_or_else(latest);
        if named == 0 {
            return Ok(());
        }
        let Salvage { pairs, lost } = pack::salvage(&packs_dir, named)?;
        let fresh = std::mem::replace(&mut self.pairs, pairs.into_iter().collect());
        for (key, packed) in fresh {
            match packed[..] {
                [REMOVED] => self.pairs.remove(&key),
                _ => self.pairs.insert(key, packed),
            };
        }
        // Without the tree nobody knows what was changed since.
        self.lost = if number.is_some() { lost } else { vec![Vec::new()..vec![u8::MAX]] };
        Ok(())
    }

    /// Whether something is lost of what a play's next launch would build on.
    pub(super) fn has_lost_of(&self, play: &PlaySid) -> bool {
        let parts =
            [keys::play(play), keys::tally(play), keys::requests(play), keys::outcomes(play)];
        parts
            .iter()
            .map(|part| keys::range(part))
            .any(|part| self.lost.iter().any(|lost| lost.start < part.end && part.start < lost.end))
    }
}

/// Reads sled's files: as sled does where it can and `is_whole` likes what it reads, else message by
/// message.
pub(super) fn read(
    sled_dir: &Path,
    is_whole: impl Fn(&BTreeMap<Vec<u8>, Vec<u8>>) -> bool,
) -> Result<Salvaged, Error> {
    let db_file = sled_dir.join("db");
    if !db_file.exists() {
        let unreadable = Some("`sled/db` is missing".into());
        return Ok(Salvaged { unreadable, ..Salvaged::default() });
    }
    let log = log::read(&db_file)?;
    let (pairs, unreadable) = match read_copy(&Copy::of(sled_dir)?) {
        Ok(pairs) if is_whole(&pairs) => (pairs, None),
        Ok(_) => (log.pairs, Some("sled skips a part of it".into())),
        Err(Error::Damaged { reason, .. }) => (log.pairs, Some(reason)),
        Err(other) => return Err(other),
    };
    Ok(Salvaged { pairs, unreadable, n_gaps: log.n_gaps, lost: Vec::new() })
}

fn read_copy(copy: &Copy) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
    let path = copy.path();
    heal(path)?;
    let tree = open_sled(path)?;
    let read = || {
        let pairs = tree.iter().map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
        pairs.collect()
    };
    guarded("read", path, || "the tree".into(), read)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Copy, log, read_copy};
    use crate::sled_store::directory;
    use crate::{Changes, Engine, SledEngine};

    /// Holds the log against the tree.
    fn assert_log_tells_all(dir: &Path) {
        let log = log::read(&dir.join("sled/db")).expect("readable");
        let tree = read_copy(&Copy::of(&dir.join("sled")).expect("copied")).expect("readable");
        assert_eq!(log.pairs.len(), tree.len());
        assert!(log.pairs == tree, "the log comes to something else than the tree");
    }

    fn change(engine: &SledEngine, number: u32) {
        let mut changes = Changes::new();
        // Growing, replacing and removing, in places near each other and far apart.
        for step in 0..7u32 {
            let mixed =
                number.wrapping_mul(0x9E37_79B9).wrapping_add(step.wrapping_mul(0x85EB_CA6B)) >> 8;
            let key = format!("{}{:05}", ["o", "s", "pa"][mixed as usize % 3], mixed % 4000);
            let value =
                (!mixed.is_multiple_of(5)).then(|| vec![mixed as u8 | 2; mixed as usize % 3000]);
            changes.insert(key.into_bytes(), value);
        }
        engine.apply(changes).expect("writable");
    }

    #[test]
    fn the_log_comes_to_what_the_tree_holds() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        for round in 0..2 {
            let engine = directory::open(dir.path()).expect("it opens");
            for number in 0..700 {
                change(&engine, round * 700 + number);
            }
            engine.sync().expect("writable");
            assert_log_tells_all(dir.path());
            drop(engine);
            assert_log_tells_all(dir.path());
        }
    }
}
