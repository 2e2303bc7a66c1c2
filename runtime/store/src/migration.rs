//! Brings a store of an older format up to date.
//!
//! Everything here may be done twice: a crash in the middle leaves the old format number, and the next
//! open begins anew.

use hero_schema::{PlayRecord, ResumeRequest};

use crate::keys::PlayList;
use crate::{Changes, Engine, Error, keys, plan, record};

/// How many entries are looked at before what they come to is written.
const STEP_ENTRIES: usize = 1000;

/// Makes the lists of a store of format 1 to 3 those of format 4. Format 1 listed nothing that falls
/// due but deadlines; up to format 3 there were no lists of ended plays and of plays by workflow and
/// status, and all kinds of requests were among the open ones.
///
/// # Errors
/// The engine cannot be read or written.
pub(crate) fn to_format_4<E: Engine>(engine: &E) -> Result<(), Error> {
    // A damaged record is named by whoever reads it.
    rewrite(engine, &PlayList::All.prefix(), |suffix, _, changes| {
        let Some(sid) = keys::listed_play(suffix) else { return Ok(()) };
        if let Some(play) = readable::<E, PlayRecord>(engine, &keys::play(&sid))? {
            for entry in plan::play_entries(&play) {
                if !engine.has(&entry)? {
                    changes.insert(entry, Some(Vec::new()));
                }
            }
        }
        Ok(())
    })?;
    rewrite(engine, &keys::open_questions(), |suffix, key, changes| {
        let Some((play, id)) = keys::listed_request(suffix) else { return Ok(()) };
        let request = readable::<E, ResumeRequest>(engine, &keys::request(&play, &id))?;
        if let Some(request) = request {
            changes.insert(key.to_vec(), None);
            let entries = plan::request_entries(&play, &request);
            changes.extend(entries.map(|entry| (entry, Some(Vec::new()))));
        }
        Ok(())
    })
}

/// Goes through the entries of a list, and makes the changes that `look` wants after each.
fn rewrite<E: Engine>(
    engine: &E,
    prefix: &[u8],
    mut look: impl FnMut(&[u8], &[u8], &mut Changes) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut range = keys::range(prefix);
    loop {
        let entries = engine.scan(range.clone(), STEP_ENTRIES)?;
        let Some((last, _)) = entries.last() else { return Ok(()) };
        range.start = keys::after(last);
        let mut changes = Changes::new();
        for (key, _) in &entries {
            look(&key[prefix.len()..], key, &mut changes)?;
        }
        if !changes.is_empty() {
            engine.apply(changes)?;
        }
    }
}

fn readable<E: Engine, T: serde::de::DeserializeOwned>(
    engine: &E,
    key: &[u8],
) -> Result<Option<T>, Error> {
    match engine.get(key) {
        Ok(found) => Ok(found.and_then(|bytes| record::decode(key, &bytes).ok())),
        Err(Error::Damaged { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
