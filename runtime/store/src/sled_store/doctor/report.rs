//! What is said about a directory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use hero_schema::{PlaySid, PlayStatus};

use crate::api::Bytes;

/// How a directory is. It prints one line per finding, and then what to do.
#[derive(Clone, Debug)]
pub struct Report {
    /// The directory.
    pub dir: PathBuf,
    /// The number of its format; None where it was never completely created, or does not say.
    pub format: Option<u32>,
    /// The process that has it open; None where none has.
    pub holder: Option<String>,
    /// What the tree takes.
    pub tree_bytes: u64,
    /// How many values stand in files of their own.
    pub n_blobs: usize,
    /// What those take.
    pub blob_bytes: u64,
    /// The plays whose record reads, by their status.
    pub n_plays: BTreeMap<PlayStatus, usize>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What was done about it; None where nothing was.
    pub repaired: Option<Repaired>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The play that it is about; None where it is about all of them, or about none.
    pub play: Option<PlaySid>,
    /// Whether something is lost. What is not lost is mended when the store is opened.
    pub is_loss: bool,
    /// What it is.
    pub text: String,
}

/// What a repair has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// How many plays were carried over.
    pub n_kept: usize,
    /// The plays that were not: they stand in `quarantine`, as JSON lines, one file a play.
    pub quarantined: Vec<PlaySid>,
    /// Where those are.
    pub quarantine: PathBuf,
    /// Where the old directory is now.
    pub old: PathBuf,
}

impl Finding {
    pub(super) fn loss(text: impl Into<String>) -> Self {
        Self { play: None, is_loss: true, text: text.into() }
    }

    pub(super) fn note(text: impl Into<String>) -> Self {
        Self { play: None, is_loss: false, text: text.into() }
    }

    pub(super) fn about(play: PlaySid, text: impl Into<String>) -> Self {
        Self { play: Some(play), is_loss: true, text: text.into() }
    }
}

impl Report {
    /// Whether something is lost, so that a repair has something to do.
    pub fn needs_repair(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_loss)
    }

    fn n_suspect_plays(&self) -> usize {
        let mut plays: Vec<_> =
            self.findings.iter().filter_map(|finding| finding.play.as_ref()).collect();
        plays.dedup();
        plays.len()
    }

    fn what_to_do(&self) -> String {
        if let Some(repaired) = &self.repaired {
            return repaired.to_string();
        }
        match (&self.holder, self.needs_repair()) {
            (Some(_), true) => {
                "to do: stop that process and look again: what it was writing just now \
                                may be all that is missing"
                    .into()
            }
            (_, false) => "to do: nothing".into(),
            (None, true) => format!(
                "to do: `hero_logic doctor --repair` saves what is readable in a new store and keeps \
                 this one beside it; left out and put into quarantine: {}",
                plays(self.n_suspect_plays())
            ),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "store `{}`", self.dir.display())?;
        match self.format {
            Some(format) => write!(f, "format {format}, ")?,
            None => write!(f, "no format, ")?,
        }
        match &self.holder {
            Some(holder) => writeln!(f, "in use by {holder}")?,
            None => writeln!(f, "not in use")?,
        }
        writeln!(
            f,
            "{} in the tree, {} in {} blobs",
            Bytes(self.tree_bytes),
            Bytes(self.blob_bytes),
            self.n_blobs
        )?;
        write!(f, "{}", plays(self.n_plays.values().sum()))?;
        for (index, (status, n_plays)) in self.n_plays.iter().enumerate() {
            write!(f, "{} {n_plays} {status}", if index == 0 { ":" } else { "," })?;
        }
        writeln!(f)?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        write!(f, "{}", self.what_to_do())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_loss { "lost" } else { "note" };
        match &self.play {
            Some(play) => write!(f, "{kind}: play `{play}`: {}", self.text),
            None => write!(f, "{kind}: {}", self.text),
        }
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "repaired: {} kept; the old store is `{}`",
            plays(self.n_kept),
            self.old.display()
        )?;
        if self.quarantined.is_empty() {
            return write!(f, "to do: remove the old store once you are content");
        }
        write!(
            f,
            "to do: look into `{}` what {} did before you start any of them anew; then remove the old \
             store",
            self.quarantine.display(),
            plays(self.quarantined.len())
        )
    }
}

fn plays(n_plays: usize) -> String {
    if n_plays == 1 { "1 play".into() } else { format!("{n_plays} plays") }
}
