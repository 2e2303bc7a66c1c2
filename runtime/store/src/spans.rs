//! Pages of the spans of a play.
//!
//! A launch that comes back to where the one before it stood replays thousands of steps, which show
//! what they showed before. So one record says of many of them which spans those were, and each is put
//! together when it is read.

use hero_schema::{LaunchNumber, PlaySid, ReplayedSpans, Span};

use crate::lists::{CHUNK_PAIRS, Pager};
use crate::{Engine, Error, Page, PageQuery, keys, record};

/// Up to which stride the spans of a range are read in one go with what lies between them.
const DENSE_STRIDE_MAX: u64 = 8;

/// The next spans of a play, by launch and then by `seq`.
pub(crate) fn page<E: Engine>(
    engine: &E,
    play: &PlaySid,
    query: &PageQuery,
) -> Result<Page<Span>, Error> {
    let prefix = keys::spans(play);
    let mut pages = Pager::begin(&prefix, keys::range(&prefix), query)?;
    let begins_after = keys::listed_span(pages.start());
    while let Some(chunk) = pages.next_chunk(engine)? {
        for (key, value) in chunk {
            let suffix = &key[prefix.len()..];
            let has_room = if keys::is_of_replayed(suffix) {
                match value.and_then(|value| decode_replayed(&key, &value)) {
                    Ok(replayed) => {
                        push_replayed(engine, play, &mut pages, begins_after, &replayed)?
                    }
                    Err(error) => pages.push(suffix, Err(error))?,
                }
            } else {
                pages.push(suffix, value.and_then(|value| record::decode(&key, &value)))?
            };
            if !has_room {
                return Ok(pages.page);
            }
        }
    }
    Ok(pages.page)
}

fn decode_replayed(key: &[u8], value: &[u8]) -> Result<ReplayedSpans, Error> {
    let replayed: ReplayedSpans = record::decode(key, value)?;
    let damaged =
        |reason: &str| Error::Damaged { record: keys::describe(key), reason: reason.into() };
    replayed.n_spans().map_err(damaged)?;
    Ok(replayed)
}

/// Adds the spans of a record that stand after where the page begins. Returns whether there may be room
/// for more.
fn push_replayed<E: Engine>(
    engine: &E,
    play: &PlaySid,
    pages: &mut Pager<'_, Span>,
    begins_after: Option<(LaunchNumber, u64)>,
    replayed: &ReplayedSpans,
) -> Result<bool, Error> {
    let n_shown_before = match begins_after {
        Some((launch, seq)) if launch == replayed.launch && seq >= replayed.seq => {
            seq - replayed.seq + 1
        }
        _ => 0,
    };
    let mut index = 0;
    for range in &replayed.ran_as {
        let first = n_shown_before.saturating_sub(index).min(range.n);
        index += first;
        let seqs: Vec<u64> = range.seqs(first).take(pages.n_wanted()).collect();
        let is_dense = range.stride <= DENSE_STRIDE_MAX;
        let mut found = Ran { engine, play, launch: range.launch, is_dense, ahead: Vec::new() };
        for (n, &seq) in seqs.iter().enumerate() {
            let span = found.span(seq, seqs.len() - n).map(|ran_as| replayed.shown(index, ran_as));
            let suffix = keys::span_suffix(replayed.launch, replayed.seq + index);
            if !pages.push(&suffix, span)? {
                return Ok(false);
            }
            index += 1;
        }
    }
    Ok(true)
}

/// The spans in which steps ran, read one after the other.
struct Ran<'a, E> {
    engine: &'a E,
    play: &'a PlaySid,
    launch: LaunchNumber,
    is_dense: bool,
    /// What was read already, the last first.
    ahead: Vec<crate::Pair>,
}

impl<E: Engine> Ran<'_, E> {
    /// The span of this place; `n_wanted` are to be asked for from it on.
    fn span(&mut self, seq: u64, n_wanted: usize) -> Result<Span, Error> {
        let key = keys::span(self.play, self.launch, seq);
        while self.ahead.pop_if(|(earlier, _)| *earlier < key).is_some() {}
        if self.ahead.is_empty() {
            let n_pairs = if self.is_dense { n_wanted.min(CHUNK_PAIRS) } else { 1 };
            let end = keys::range(&keys::spans(self.play)).end;
            self.ahead = self.engine.scan(key.clone()..end, n_pairs)?;
            self.ahead.reverse();
        }
        match self.ahead.pop_if(|(found, _)| *found == key) {
            Some((_, value)) => value.and_then(|value| record::decode(&key, &value)),
            None => {
                Err(Error::Damaged { record: keys::describe(&key), reason: "it is missing".into() })
            }
        }
    }
}
