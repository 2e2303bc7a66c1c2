//! Sled and its log as a crash, or a close, has left them.
//!
//! The log holds everything that is not in the pack, and sled is made anew of it whenever a store is
//! opened, while that is in use already. So nothing depends on what a power cut leaves of sled's files, which nobody syncs.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use sled::IVec;

use super::blobs::names_in;
use super::compaction::BEFORE_ALL;
use super::directory::{damaged_tree, heal, open_sled};
use super::guarded::guarded;
use super::head::Head;
use super::recent::Recent;
use super::sums::{self, Source, Sums};
use super::wal::{Change, Wal};
use super::{LOG, TREE, io_error};
use crate::{Error, keys};

/// From this format on there is a log.
const FIRST_WITH_LOG: u32 = 5;

/// How many pairs are taken over at once.
const CHUNK_PAIRS: usize = 1024;

/// What is in use from now on.
pub(super) struct Recovered {
    pub(super) tree: sled::Db,
    pub(super) log: Wal,
    /// What sled was not told.
    pub(super) recent: Recent,
    pub(super) sums: Sums,
}

/// Makes sled anew of the log; a store of an older format gets a log.
pub(super) fn recover(
    sled_dir: &Path,
    format: Option<u32>,
    head: &Head,
) -> Result<Recovered, Error> {
    let has_log = sled_dir.join(LOG).exists();
    match format {
        Some(FIRST_WITH_LOG..) if !has_log => Err(damaged_tree("its log is missing")),
        // What took the place of the old files has a log already, although the format is not yet written.
        Some(..FIRST_WITH_LOG) if has_log && !sled_dir.join("db").exists() => {
            from_log(sled_dir, head)
        }
        Some(..FIRST_WITH_LOG) => begin_log(sled_dir, true, head),
        None if !has_log => begin_log(sled_dir, false, head),
        // Without a format the store was not completely created, or something took the format away.
        None => match from_log(sled_dir, head) {
            Err(Error::Damaged { .. }) if head.is_blank() => begin_log(sled_dir, false, head),
            other => other,
        },
        Some(_) => from_log(sled_dir, head),
    }
}

fn from_log(sled_dir: &Path, head: &Head) -> Result<Recovered, Error> {
    let (log, entries) = Wal::open(&sled_dir.join(LOG))?;
    head.check(entries.last().map_or(0, |(n_writes, _)| *n_writes))?;
    let tree = new_tree(sled_dir)?;
    let changes = entries.into_iter().flat_map(|(_, changes)| changes);
    let changes = changes.map(|(key, packed)| (IVec::from(key), packed.map(IVec::from)));
    let mut latest: BTreeMap<_, _> = changes.collect();
    latest.retain(|_, packed| packed.is_some());
    let sums = checked_sums(&latest)?;
    Ok(Recovered { tree, log, recent: Recent::new(latest), sums })
}

/// An empty sled.
pub(super) fn new_tree(sled_dir: &Path) -> Result<sled::Db, Error> {
    let path = sled_dir.join(TREE);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", &path)(error)),
        _ => open_sled(&path),
    }
}

/// Writes the log of a store that has none, or none that counts yet: until now sled's files counted.
fn begin_log(sled_dir: &Path, is_created: bool, head: &Head) -> Result<Recovered, Error> {
    let has_old_tree = sled_dir.join("db").exists();
    if is_created && !has_old_tree {
        return Err(damaged_tree("`db` is missing"));
    }
    let log_file = sled_dir.join(LOG);
    if log_file.exists() {
        fs::remove_file(&log_file).map_err(io_error("remove", &log_file))?;
    }
    let tree = new_tree(sled_dir)?;
    let mut log = Wal::create(&log_file)?;
    let mut sums = Sums::default();
    if has_old_tree {
        heal(sled_dir)?;
        let old = open_sled(sled_dir)?;
        let pairs = (&old, sled_dir);
        head.check(sums::stored(&pairs)?.n_writes)?;
        sums = checked_sums(&pairs)?;
        take_over(&old, sled_dir, |chunk| {
            log.push(BEFORE_ALL, &chunk)?;
            put_all(&tree, sled_dir, chunk)
        })?;
    }
    let last = (keys::SUMS.to_vec(), Some(sums.to_bytes()));
    log.push(sums.n_writes, std::slice::from_ref(&last))?;
    log.sync()?;
    put_all(&tree, sled_dir, vec![last])?;
    Ok(Recovered { tree, log, recent: Recent::default(), sums })
}

fn put_all(tree: &sled::Db, sled_dir: &Path, changes: Vec<Change>) -> Result<(), Error> {
    let put = || {
        changes.into_iter().try_for_each(|(key, packed)| match packed {
            Some(packed) => tree.insert(key, packed).map(drop),
            None => tree.remove(key).map(drop),
        })
    };
    guarded("write", sled_dir, || "the tree".into(), put)
}

/// Removes what is left of the files of a store that had no log.
pub(super) fn remove_old_tree(sled_dir: &Path) -> Result<(), Error> {
    for path in names_in(sled_dir)? {
        let removed = match path.file_name().and_then(|name| name.to_str()) {
            Some(LOG | TREE) => continue,
            _ if path.is_dir() => fs::remove_dir_all(&path),
            _ => fs::remove_file(&path),
        };
        removed.map_err(io_error("remove", &path))?;
    }
    Ok(())
}

fn take_over(
    old: &sled::Db,
    sled_dir: &Path,
    mut take: impl FnMut(Vec<Change>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut pairs = old.iter();
    loop {
        let read = || {
            let chunk = pairs.by_ref().take(CHUNK_PAIRS);
            chunk
                .map(|pair| pair.map(|(key, packed)| (key.to_vec(), Some(packed.to_vec()))))
                .collect()
        };
        let chunk: Vec<Change> = guarded("read", sled_dir, || "the tree".into(), read)?;
        if chunk.is_empty() {
            return Ok(());
        }
        take(chunk)?;
    }
}

/// What the pairs come to, unless that is less than it should.
fn checked_sums(pairs: &impl Source) -> Result<Sums, Error> {
    let stored = sums::stored(pairs)?;
    let digests = sums::found(pairs)?;
    if stored.digests.is_some_and(|stored| stored != digests) {
        // What shows by itself when it is read must not keep everything else from being read.
        let damaged = sums::damaged_record(pairs)?;
        let reason = "it does not come to what was written: some of it is missing";
        let record = damaged.ok_or_else(|| damaged_tree(reason))?;
        tracing::error!(record, "the store is opened although one of its records is damaged");
    }
    let n_blobs = match stored.n_blobs {
        Some(n_blobs) => n_blobs,
        None => sums::n_blobs(pairs)?,
    };
    let whole = match stored.whole {
        Some(whole) => whole,
        None => sums::whole_of(pairs)?,
    };
    Ok(Sums { n_writes: stored.n_writes, n_blobs, digests, whole })
}
