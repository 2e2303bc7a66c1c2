//! The private directory of one launch: its files, readable by this user alone, gone at its end.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hero_schema::child::LaunchOrder;
use hero_schema::{LaunchNumber, PlaySid, ResumeRequest};
use serde::Serialize;

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
        self.write("input.json", order)
    }

    /// Writes `{resume_id: outcome}` for the answered requests and returns where; None where there are
    /// none.
    pub(crate) fn write_resumes(
        &self,
        requests: &[ResumeRequest],
    ) -> Result<Option<PathBuf>, Error> {
        let answers: BTreeMap<_, _> = requests
            .iter()
            .filter_map(|request| Some((&request.id, &request.answer.as_ref()?.outcome)))
            .collect();
        if answers.is_empty() {
            return Ok(None);
        }
        self.write("resumes.json", &answers).map(Some)
    }

    /// A working directory for launches that were given none.
    pub(crate) fn work_dir(&self) -> Result<PathBuf, Error> {
        let dir = self.dir.join("work");
        create_private(&dir)?;
        Ok(dir)
    }

    fn write(&self, name: &str, content: &impl Serialize) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        let write = || {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            let mut file = BufWriter::new(file);
            serde_json::to_writer(&mut file, content)?;
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
