//! The private directory of one launch: its files, readable by this user alone, gone at its end.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hero_schema::child::LaunchOrder;
use hero_schema::{LaunchNumber, Outcome, OutcomeRecord, PlaySid, ResumeRequest};
use serde::Serializer;

use crate::Error;

/// The files of a launch; the directory is removed when this is dropped.
pub(crate) struct LaunchDir {
    dir: PathBuf,
}

/// Empties the directory that holds the launches of a supervisor. Their processes died with it.
pub(crate) fn clear(run_dir: &Path) -> Result<(), Error> {
    if run_dir.exists() {
        fs::remove_dir_all(run_dir).map_err(Error::file("clear", run_dir))?;
    }
    create_private(run_dir)
}

fn create_private(dir: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::file("create", dir))
}

impl LaunchDir {
    /// Creates the directory.
    pub(crate) fn create(
        run_dir: &Path,
        play: &PlaySid,
        launch: LaunchNumber,
    ) -> Result<Self, Error> {
        let dir = run_dir.join(format!("{play}-{launch}"));
        create_private(&dir)?;
        Ok(Self { dir })
    }

    /// Writes the launch order and returns where.
    pub(crate) fn write_order(&self, order: &LaunchOrder) -> Result<PathBuf, Error> {
        self.write("input.json", |file| serde_json::to_writer(file, order).map_err(Into::into))
    }

    /// Writes `{step_key: outcome}` and returns where.
    pub(crate) fn write_steps(&self, steps: &[OutcomeRecord]) -> Result<PathBuf, Error> {
        let entries = steps.iter().map(|record| (record.key.as_str(), &record.outcome));
        self.write("steps.json", |file| write_map(file, entries))
    }

    /// Writes `{resume_id: outcome}` for the answered requests and returns where.
    pub(crate) fn write_resumes(&self, requests: &[ResumeRequest]) -> Result<PathBuf, Error> {
        let entries = requests.iter().filter_map(|request| {
            request.answer.as_ref().map(|answer| (request.id.as_str(), &answer.outcome))
        });
        self.write("resumes.json", |file| write_map(file, entries))
    }

    /// A working directory for launches that were given none.
    pub(crate) fn work_dir(&self) -> Result<PathBuf, Error> {
        let dir = self.dir.join("work");
        create_private(&dir)?;
        Ok(dir)
    }

    fn write(
        &self,
        name: &str,
        content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        let write = || {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            let mut file = BufWriter::new(file);
            content(&mut file)?;
            file.flush()
        };
        write().map_err(Error::file("write", &path))?;
        Ok(path)
    }
}

impl Drop for LaunchDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "launch directory not removed");
        }
    }
}

/// Writes one JSON object entry by entry; a history need not stand in memory twice.
fn write_map<'a>(
    file: &mut BufWriter<File>,
    entries: impl Iterator<Item = (&'a str, &'a Outcome)>,
) -> std::io::Result<()> {
    let mut json = serde_json::Serializer::new(file);
    json.collect_map(entries).map_err(Into::into)
}
