//! Reads what can be read of a tree.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use hero_schema::PlaySid;

use super::super::blobs::names_in;
use super::super::compaction;
use super::super::directory::{heal, open_sled};
use super::super::guarded::guarded;
use super::super::layers::REMOVED;
use super::super::pack::{self, Salvage};
use super::super::{LOG, io_error, wal};
use super::copy::Copy;
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

/// Reads the log; of a store of an older format, which has none, sled's files.
pub(super) fn read(
    sled_dir: &Path,
    is_whole: impl Fn(&BTreeMap<Vec<u8>, Vec<u8>>) -> bool,
) -> Result<Salvaged, Error> {
    if let Some(mut salvaged) = read_log(&sled_dir.join(LOG))? {
        let is_readable = salvaged.n_gaps == 0 || is_whole(&salvaged.pairs);
        salvaged.unreadable = (!is_readable).then(|| "a part of its log does not read".into());
        return Ok(salvaged);
    }
    match read_copy(sled_dir) {
        Ok(pairs) => Ok(Salvaged { pairs, ..Salvaged::default() }),
        Err(Error::Damaged { reason, .. }) => {
            Ok(Salvaged { unreadable: Some(reason), ..Salvaged::default() })
        }
        Err(other) => Err(other),
    }
}

/// What the log comes to; None where there is none.
fn read_log(path: &Path) -> Result<Option<Salvaged>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    let wal::Salvage { entries, n_gaps } = wal::salvage(&bytes);
    let latest = entries.into_iter().flat_map(|(_, changes)| changes);
    let mut pairs = BTreeMap::new();
    for (key, packed) in latest {
        match packed {
            Some(packed) => pairs.insert(key, packed),
            None => pairs.remove(&key),
        };
    }
    Ok(Some(Salvaged { pairs, n_gaps, ..Salvaged::default() }))
}

fn read_copy(sled_dir: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
    if !sled_dir.join("db").exists() {
        let reason = "its log is missing".into();
        return Err(Error::Damaged { record: "the tree".into(), reason });
    }
    let copy = Copy::of(sled_dir)?;
    let path = copy.path();
    heal(path)?;
    let tree = open_sled(path)?;
    let read = || {
        let pairs = tree.iter().map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())));
        pairs.collect()
    };
    guarded("read", path, || "the tree".into(), read)
}
