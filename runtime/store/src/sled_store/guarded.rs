//! Calls into sled, of which damage makes panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::Error;

/// Calls sled. A panic, and whatever sled says about its files, is damage to what `record` names.
///
/// Nothing of ours is half changed by a panic in there: the call owns or only reads what it is given.
pub(super) fn guarded<T>(
    action: &'static str,
    path: &Path,
    record: impl FnOnce() -> String,
    call: impl FnOnce() -> sled::Result<T>,
) -> Result<T, Error> {
    let reason = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(sled::Error::Io(source))) if !is_about_content(&source) => {
            return Err(io_error(action, path)(source));
        }
        Ok(Err(sled::Error::Corruption { .. })) => "sled finds its file corrupted".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("sled gave up: {}", words_of(panic.as_ref())),
    };
    Err(Error::Damaged { record: record(), reason })
}

/// Whether the system did as it was told, and sled does not like what it got.
fn is_about_content(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::UnexpectedEof | K::InvalidData | K::InvalidInput)
}

/// Says what was tried on what, for `map_err`.
pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}
