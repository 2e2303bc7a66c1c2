//! What lies below a [`crate::KeyedStore`]: an ordered set of pairs of bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Error;

/// A key and its value; [`Error::Damaged`] where only the key can be read.
pub type Pair = (Vec<u8>, Result<Vec<u8>, Error>);

/// What is to happen to each key: a new value, or None to remove it.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An ordered set of pairs. Only one thread writes; any number read meanwhile.
pub trait Engine: Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Whether a key has a value, without reading it.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`].
    fn has(&self, key: &[u8]) -> Result<bool, Error>;

    /// The first pairs of a range of keys, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`].
    fn scan(&self, keys: Range<Vec<u8>>, limit: usize) -> Result<Vec<Pair>, Error>;

    /// All keys of a range, in order, without their values.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`].
    fn keys(&self, keys: Range<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error>;

    /// Makes all changes at once. A crash leaves all of them or none, and none without those that
    /// were made before.
    ///
    /// # Errors
    /// [`Error::Damaged`] where what is to be replaced cannot be read: nothing was changed. After any
    /// other error it is unknown whether the changes are there.
    fn apply(&self, changes: Changes) -> Result<(), Error>;

    /// Makes all changes at once, durably where `is_awaited`, and then calls `tell`: from that moment on
    /// nobody reads what was there before.
    ///
    /// # Errors
    /// As [`Engine::apply`] and [`Engine::sync`]. Where `tell` was called all the same, the changes are
    /// durable, and no further ones can be made.
    fn commit(
        &self,
        changes: Changes,
        is_awaited: bool,
        tell: &mut dyn FnMut(),
    ) -> Result<(), Error> {
        if !changes.is_empty() {
            self.apply(changes)?;
        }
        if is_awaited {
            self.sync()?;
        }
        tell();
        Ok(())
    }

    /// Whether there is room for a new play.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    fn has_room(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Makes everything applied so far survive a power cut.
    ///
    /// # Errors
    /// What is durable is unknown.
    fn sync(&self) -> Result<(), Error>;
}
