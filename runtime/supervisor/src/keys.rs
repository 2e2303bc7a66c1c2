//! Files with secrets that this installation signs with.
//!
//! One key a line, its name and its secret; the first one signs, all are believed. To change keys, put a
//! new line on top; to stop believing an old one, remove its line. A file is read each time, so no restart
//! is needed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

use hero_core::callback::{Key, hex};

use crate::Error;

const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 32;

/// Every bit of a mode that is not the owner's.
const OTHERS: u32 = 0o077;

/// A file with keys.
pub(crate) struct KeyFile {
    path: PathBuf,
    /// Held while the file is made, so that it is made once.
    making: Mutex<()>,
}

impl KeyFile {
    /// The keys in this file; it is made where there is none, once a key is asked for.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, making: Mutex::default() }
    }

    /// The key to sign with.
    ///
    /// # Errors
    /// The file cannot be read or made, holds no key, or can be read by others.
    pub(crate) fn current(&self) -> Result<Key, Error> {
        Ok(self.all()?.swap_remove(0))
    }

    /// Every key that is believed: at least one.
    ///
    /// # Errors
    /// As of [`KeyFile::current`].
    pub(crate) fn all(&self) -> Result<Vec<Key>, Error> {
        let failed = |action| Error::file(action, self.path.clone());
        let _making = self.making.lock().expect("nobody panics while holding this lock");
        if !self.path.exists() {
            self.make().map_err(failed("create"))?;
        }
        let text = self.read().map_err(failed("use"))?;
        let keys: Vec<Key> = text.lines().filter_map(key_of).collect();
        let is_readable = text.lines().all(|line| line.trim().is_empty() || key_of(line).is_some());
        if keys.is_empty() || !is_readable {
            let reason = "each line is the name of a key, of letters and digits, and its secret";
            return Err(failed("use")(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        Ok(keys)
    }

    fn read(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.mode() & OTHERS != 0 {
            let reason = "others may read it; it must be of mode 0600";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// All of it or nothing: a crash leaves no file without a key.
    fn make(&self) -> io::Result<()> {
        let dir = self.path.parent().expect("the path of a file has a directory");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let draft = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        writeln!(file, "{} {}", random(ID_BYTES)?, random(SECRET_BYTES)?)?;
        file.sync_all()?;
        std::fs::rename(&draft, &self.path)?;
        File::open(dir)?.sync_all()
    }
}

fn key_of(line: &str) -> Option<Key> {
    let (id, secret) = line.trim().split_once(' ')?;
    let (id, secret) = (id.to_owned(), secret.trim().to_owned());
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_plain(&id) && is_plain(&secret)).then_some(Key { id, secret })
}

/// So many bytes from the system's random source, in hex.
fn random(n_bytes: usize) -> io::Result<String> {
    let mut bytes = vec![0; n_bytes];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_new_line_takes_over_without_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("keys/callbacks");
        let file = KeyFile::at(path.clone());
        let first = file.current().expect("a key");
        assert!(file.current().expect("a key") == first && first.secret.len() == 64);
        assert_eq!(std::fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        let old = std::fs::read_to_string(&path).expect("it is there");
        std::fs::write(&path, format!("new 77\n{old}")).expect("it can be written");
        assert_eq!(file.current().expect("a key").id, "new");
        assert_eq!(file.all().expect("two keys").len(), 2);
    }

    #[test]
    fn what_others_may_read_and_what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("callbacks");
        for text in ["", "\n", "id", "id two words", "a.b 77", "good 77\nid\n"] {
            std::fs::write(&path, text).expect("it can be written");
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&path, private).expect("it is ours");
            assert!(KeyFile::at(path.clone()).current().is_err(), "{text:?}");
        }
        std::fs::write(&path, "good 77\n").expect("it can be written");
        assert!(KeyFile::at(path.clone()).current().is_ok());
        for mode in [0o640, 0o604, 0o660] {
            let open = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, open).expect("it is ours");
            assert!(KeyFile::at(path.clone()).current().is_err(), "{mode:o}");
        }
    }
}
