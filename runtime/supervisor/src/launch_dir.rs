//! The private directory of one launch: its files, readable by this user alone, gone at its end. The
//! directory itself, where nothing else is in it then, is that of a later launch: to make and to remove one
//! takes longer than all that is written to it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hero_schema::ResumeRequest;
use hero_schema::child::LaunchOrder;
use serde::Serialize;

use crate::Error;

/// The files of a launch.
const ORDER: &str = "input.json";
const RESUMES: &str = "resumes.json";

/// The working directory of a launch that was given none.
const WORK: &str = "work";

/// What directories of launches may be entered by.
const PRIVATE: u32 = 0o700;

/// The directories of the launches of a supervisor.
pub(crate) struct LaunchDirs {
    run_dir: PathBuf,
    n_made: AtomicU64,
    /// Those that no launch has.
    free: Mutex<Vec<PathBuf>>,
}

/// The files of a launch; they are removed when this is dropped.
pub(crate) struct LaunchDir {
    dir: PathBuf,
    dirs: Arc<LaunchDirs>,
}

impl LaunchDirs {
    /// Empties the directory that holds the launches of a supervisor. Their processes died with it.
    pub(crate) fn clear(run_dir: &Path) -> Result<Arc<Self>, Error> {
        if run_dir.exists() {
            fs::remove_dir_all(run_dir).map_err(Error::file("clear", run_dir))?;
        }
        create_private(run_dir)?;
        let run_dir = run_dir.to_owned();
        Ok(Arc::new(Self { run_dir, n_made: AtomicU64::new(0), free: Mutex::default() }))
    }

    /// A directory for a launch.
    pub(crate) fn take(self: &Arc<Self>) -> Result<LaunchDir, Error> {
        let free = self.free().pop();
        let dir = match free {
            // Whoever cleans up may have taken it away.
            Some(dir) if is_unused(&dir) => dir,
            _ => self.make()?,
        };
        Ok(LaunchDir { dir, dirs: Arc::clone(self) })
    }

    /// Removes those that no launch has: none is to come.
    pub(crate) fn remove_free(&self) {
        for dir in std::mem::take(&mut *self.free()) {
            remove(&dir);
        }
    }

    fn make(&self) -> Result<PathBuf, Error> {
        let number = self.n_made.fetch_add(1, Ordering::Relaxed);
        let dir = self.run_dir.join(format!("launch-{number}"));
        create_private(&dir.join(WORK))?;
        Ok(dir)
    }

    fn free(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.free.lock().expect("nobody panics while holding this lock")
    }
}

fn create_private(dir: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(dir).map_err(Error::file("create", dir))
}

fn remove(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        tracing::warn!(dir = %dir.display(), %error, "launch directory not removed");
    }
}

/// Whether a directory is as it was made.
fn is_unused(dir: &Path) -> bool {
    let names = |dir: &Path| {
        let entries = fs::read_dir(dir).ok()?;
        entries.map(|entry| entry.ok().map(|entry| entry.file_name())).collect::<Option<Vec<_>>>()
    };
    let is_private = |dir: &Path| {
        let found = fs::symlink_metadata(dir);
        found.is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o7777 == PRIVATE)
    };
    let work = dir.join(WORK);
    is_private(dir)
        && is_private(&work)
        && names(dir).is_some_and(|names| names == [WORK])
        && names(&work).is_some_and(|names| names.is_empty())
}

impl LaunchDir {
    /// Writes the launch order and returns where.
    pub(crate) fn write_order(&self, order: &LaunchOrder) -> Result<PathBuf, Error> {
        self.write(ORDER, order)
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
        self.write(RESUMES, &answers).map(Some)
    }

    /// A working directory for launches that were given none.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.dir.join(WORK)
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
        for name in [ORDER, RESUMES] {
            // Not every launch has both.
            let _ = fs::remove_file(self.dir.join(name));
        }
        if is_unused(&self.dir) {
            return self.dirs.free().push(std::mem::take(&mut self.dir));
        }
        remove(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_used_again_unless_something_was_left_in_it() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let run_dir = root.path().join("run");
        let dirs = LaunchDirs::clear(&run_dir).expect("clears");
        let n_there = || fs::read_dir(&run_dir).expect("it is there").count();
        let first = dirs.take().expect("makes one");
        let (work, file) = (first.work_dir(), first.dir.join(ORDER));
        fs::write(&file, "{}").expect("writes");
        let second = dirs.take().expect("makes another");
        assert_ne!(second.work_dir(), work);
        drop(first);
        assert!(!file.exists());
        let third = dirs.take().expect("takes the first");
        assert_eq!(third.work_dir(), work);
        fs::write(work.join("left"), "behind").expect("writes");
        fs::set_permissions(second.work_dir(), PermissionsExt::from_mode(0o755)).expect("sets");
        drop((second, third));
        assert_eq!(n_there(), 0);
        drop(dirs.take().expect("makes one"));
        assert_eq!(n_there(), 1);
        dirs.remove_free();
        assert_eq!(n_there(), 0);
        drop(dirs.take().expect("makes one"));
        fs::remove_dir_all(&run_dir).expect("someone cleans up");
        assert!(dirs.take().expect("makes one").work_dir().exists());
    }
}
