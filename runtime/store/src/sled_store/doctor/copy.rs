//! A copy of sled's files, for as long as they are looked at.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::super::io_error;
use crate::{Error, clock};

/// A directory for a while, its owner's alone.
pub(super) struct Copy(PathBuf);

impl Copy {
    /// Copies the files of a directory.
    pub(super) fn of(dir: &Path) -> Result<Self, Error> {
        let name = format!("hero_doctor.{}.{}", std::process::id(), clock::now().0);
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).map_err(io_error("create", &path))?;
        let copy = Self(path);
        for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
            let entry = entry.map_err(io_error("list", dir))?;
            let name = entry.file_name();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file {
                let (from, to) = (entry.path(), copy.0.join(&name));
                fs::copy(&from, &to).map_err(io_error("copy", &from))?;
            }
        }
        Ok(copy)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a copy is left that nothing needs");
        }
    }
}
