//! What is there, what is lost, and of which play.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hero_schema::{OutcomeRecord, PlayRecord, PlaySid, ResumeRequest};
use serde::de::DeserializeOwned;

use super::super::blobs::{self, BlobName, Blobs};
use super::super::head::Head;
use super::super::sums::{Digests, Stored};
use super::super::{INLINE, LOG, compaction, directory};
use super::report::{Finding, Report};
use super::salvage::{self, Salvaged};
use crate::record::{self, Tally};
use crate::{Error, keys};

/// A directory, looked at.
pub(super) struct Diagnosis {
    pub(super) dir: PathBuf,
    salvaged: Salvaged,
    blobs: Blobs,
    blob_files: Vec<PathBuf>,
    evidence: Evidence,
    findings: Vec<Finding>,
    /// Every play of which there is anything, and why it cannot be carried over.
    pub(super) plays: BTreeMap<PlaySid, Vec<String>>,
}

/// What the tree says of itself, and what is found.
struct Evidence {
    stored: Option<Stored>,
    found: Digests,
    /// Whether the tree is as new as the note beside it.
    is_latest: bool,
}

impl Evidence {
    fn of(pairs: &BTreeMap<Vec<u8>, Vec<u8>>, n_noted: Option<u64>) -> Self {
        let mut found = Digests::default();
        for (key, packed) in pairs.iter().filter(|(key, _)| keys::is_summed(key)) {
            found.add(key, packed);
        }
        let stored = pairs.get(keys::SUMS).and_then(|bytes| Stored::from_bytes(bytes));
        let n_found = stored.map_or(0, |stored| stored.n_writes);
        Self { stored, found, is_latest: n_noted.is_none_or(|noted| noted <= n_found) }
    }

    /// Whether everything that the sums are taken over is as it was written last.
    fn is_whole(&self) -> bool {
        let digests = self.stored.and_then(|stored| stored.digests);
        self.is_latest && digests.is_none_or(|digests| digests == self.found)
    }

    /// Whether the play and its tally are as they were when the tree was as old as it is.
    fn agrees_about(&self, salvaged: &Salvaged, play: &PlaySid) -> bool {
        if salvaged.has_lost_of(play) {
            return false;
        }
        let stored = self.stored.and_then(|stored| stored.digests);
        let key = keys::play(play);
        match (stored, keys::play_part(&key)) {
            (Some(stored), Some(play)) => stored.agree_about(&self.found, play),
            // Format 1 has no sums.
            _ => salvaged.unreadable.is_none() && salvaged.n_gaps == 0,
        }
    }
}

/// Looks at a directory.
pub(super) fn of(dir: &Path) -> Result<Diagnosis, Error> {
    let (n_noted, head_reason) = match Head::noted(dir) {
        Ok(n_noted) => (n_noted, None),
        Err(Error::Damaged { record, reason }) => (None, Some(format!("{record}: {reason}"))),
        Err(other) => return Err(other),
    };
    let blobs = Blobs::in_dir(dir.join("blobs"));
    let blob_files = blobs.files()?;
    let mut salvaged =
        salvage::read(&dir.join("sled"), |pairs| Evidence::of(pairs, n_noted).is_whole())?;
    let evidence = Evidence::of(&salvaged.pairs, n_noted);
    let whole = evidence.stored.map(|stored| stored.whole.unwrap_or_default());
    salvaged.lay_over_pack(dir, whole.map(|whole| whole.pack))?;
    let dir = dir.to_owned();
    let (findings, plays) = (Vec::new(), BTreeMap::new());
    let mut diagnosis = Diagnosis { dir, salvaged, blobs, blob_files, evidence, findings, plays };
    diagnosis.findings.extend(head_reason.map(Finding::loss));
    diagnosis.look_at_files();
    diagnosis.look_at_tree(n_noted);
    diagnosis.look_at_plays();
    diagnosis.look_at_others();
    Ok(diagnosis)
}

impl Diagnosis {
    pub(super) fn report(&self, dir: &Path) -> Report {
        let mut n_plays = BTreeMap::new();
        for play in self.plays.keys() {
            if let Ok(Some(record)) = self.record::<PlayRecord>(&keys::play(play)) {
                *n_plays.entry(record.status).or_default() += 1;
            }
        }
        let bytes_of = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let packs = blobs::names_in(&compaction::packs_dir(dir)).unwrap_or_default();
        Report {
            dir: dir.to_owned(),
            format: directory::read_format(dir).ok().flatten(),
            holder: None,
            tree_bytes: bytes_of(&dir.join("sled").join(LOG))
                + packs.iter().map(|pack| bytes_of(pack)).sum::<u64>(),
            n_blobs: self.blob_files.len(),
            blob_bytes: self.blob_files.iter().map(|file| bytes_of(file)).sum(),
            n_plays,
            findings: self.findings.clone(),
            repaired: None,
        }
    }

    /// The plays that cannot be carried over.
    pub(super) fn lost_plays(&self) -> impl Iterator<Item = &PlaySid> {
        self.plays.iter().filter(|(_, reasons)| !reasons.is_empty()).map(|(play, _)| play)
    }

    /// The record under a key.
    pub(super) fn record<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        let Some(packed) = self.salvaged.pairs.get(key) else { return Ok(None) };
        record::decode(key, &self.unpacked(key, packed)?).map(Some)
    }

    /// All records whose key begins with `prefix`, with their keys.
    pub(super) fn records<'a, T: DeserializeOwned>(
        &'a self,
        prefix: &[u8],
    ) -> impl Iterator<Item = (&'a [u8], Result<T, Error>)> + use<'a, T> {
        self.salvaged.pairs.range(keys::range(prefix)).map(|(key, packed)| {
            let value = self.unpacked(key, packed);
            (key.as_slice(), value.and_then(|value| record::decode(key, &value)))
        })
    }

    fn unpacked(&self, key: &[u8], packed: &[u8]) -> Result<Vec<u8>, Error> {
        match (packed, BlobName::of(packed)) {
            ([INLINE, value @ ..], _) => Ok(value.to_vec()),
            (_, Some(name)) => self.blobs.read(key, &name),
            _ => Err(Error::Damaged {
                record: keys::describe(key),
                reason: "it does not read".into(),
            }),
        }
    }

    fn is_created(&self) -> bool {
        !matches!(directory::read_format(&self.dir), Ok(None))
    }

    fn look_at_files(&mut self) {
        if let Err(error) = directory::read_format(&self.dir) {
            self.findings.push(Finding::loss(error.to_string()));
        }
    }

    fn look_at_tree(&mut self, n_noted: Option<u64>) {
        let n_gaps = self.salvaged.n_gaps;
        match &self.salvaged.unreadable {
            Some(reason) if self.is_created() => {
                let text = format!("the tree cannot be read ({reason}); gaps in its log: {n_gaps}");
                self.findings.push(Finding::loss(text));
            }
            None if n_gaps > 0 => {
                let text = format!("the log of the tree has {n_gaps} gaps where nothing is lost");
                self.findings.push(Finding::note(text));
            }
            _ => {}
        }
        if !self.salvaged.lost.is_empty() {
            let n_parts = self.salvaged.lost.len();
            let text = format!("{n_parts} of the parts of the pack below the tree do not read");
            self.findings.push(Finding::loss(text));
        }
        if self.is_created() && !self.salvaged.pairs.contains_key(keys::FORMAT) {
            let text = "the tree lacks its format record: it was emptied or cut";
            self.findings.push(Finding::loss(text));
        }
        let Evidence { stored, is_latest, .. } = &self.evidence;
        if let (false, Some(noted)) = (*is_latest, n_noted) {
            let n_found = stored.map_or(0, |stored| stored.n_writes);
            let text = format!("of {noted} acknowledged writes the tree holds the first {n_found}");
            self.findings.push(Finding::loss(text));
        } else if !self.evidence.is_whole() {
            let text = "the tree does not come to what was written: some of it is missing";
            self.findings.push(Finding::loss(text));
        }
        let names =
            self.salvaged.pairs.values().filter_map(|packed| BlobName::of(packed)).collect();
        let n_unneeded = blobs::unnamed(self.blob_files.clone(), &names).len();
        if n_unneeded > 0 && self.evidence.is_whole() {
            let text =
                format!("{n_unneeded} blobs are there that nothing names; opening removes them");
            self.findings.push(Finding::note(text));
        }
    }

    fn look_at_plays(&mut self) {
        let named: BTreeSet<_> =
            self.salvaged.pairs.keys().filter_map(|key| keys::play_of(key)).collect();
        for play in named {
            let reasons = self.reasons_against(&play);
            if let Some(reasons) = reasons {
                for reason in &reasons {
                    self.findings.push(Finding::about(play.clone(), reason.clone()));
                }
                self.plays.insert(play, reasons);
            }
        }
    }

    /// Why a play cannot be carried over; None where there is no such play, and never was.
    fn reasons_against(&self, play: &PlaySid) -> Option<Vec<String>> {
        let mut reasons = Vec::new();
        let is_consistent = self.evidence.agrees_about(&self.salvaged, play);
        let mut status = None;
        match self.record::<PlayRecord>(&keys::play(play)) {
            Ok(Some(record)) => status = Some(record.status),
            // Only a list names it, and rightly no record does.
            Ok(None) if is_consistent && !self.has_memory(play) => return None,
            Ok(None) => reasons.push("its record is missing".into()),
            Err(error) => reasons.push(error.to_string()),
        }
        if !is_consistent {
            reasons.push("not all that was written of it may be there".into());
        } else if !self.evidence.is_latest && status.is_none_or(|status| !status.is_ended()) {
            // What had ended by then does nothing any more.
            reasons.push("what it did last may be missing".into());
        }
        match self.record::<Tally>(&keys::tally(play)) {
            Ok(tally) => self.hold_against(play, tally.unwrap_or_default(), &mut reasons),
            Err(error) => reasons.push(error.to_string()),
        }
        Some(reasons)
    }

    fn has_memory(&self, play: &PlaySid) -> bool {
        [keys::outcomes(play), keys::requests(play)]
            .iter()
            .any(|prefix| self.salvaged.pairs.range(keys::range(prefix)).next().is_some())
    }

    fn hold_against(&self, play: &PlaySid, tally: Tally, reasons: &mut Vec<String>) {
        let (mut n_outcomes, mut n_requests, mut sum) = (0, 0, 0u32);
        for (_, outcome) in self.records::<OutcomeRecord>(&keys::outcomes(play)) {
            n_outcomes += 1;
            reasons.extend(outcome.err().map(|error| error.to_string()));
        }
        for (key, request) in self.records::<ResumeRequest>(&keys::requests(play)) {
            n_requests += 1;
            reasons.extend(request.err().map(|error| error.to_string()));
            let packed = &self.salvaged.pairs[key];
            sum = sum.wrapping_add(
                self.unpacked(key, packed).map_or(0, |value| record::checksum_of(&value)),
            );
        }
        if n_outcomes != tally.n_outcomes {
            reasons.push(format!("{n_outcomes} of {} outcomes are there", tally.n_outcomes));
        }
        if n_requests != tally.n_requests {
            reasons.push(format!("{n_requests} of {} requests are there", tally.n_requests));
        } else if tally.requests_sum.is_some_and(|expected| expected != sum) {
            reasons.push("one of its requests is not the one that was written last".into());
        }
    }

    /// What belongs to no play, and what a play can do without.
    fn look_at_others(&mut self) {
        let mut damaged = Vec::new();
        for prefix in keys::DISPENSABLE {
            let records = self.records::<serde::de::IgnoredAny>(prefix);
            damaged.extend(records.filter_map(|(_, read)| read.err()));
        }
        self.findings.extend(damaged.into_iter().map(|error| Finding::loss(error.to_string())));
    }
}
