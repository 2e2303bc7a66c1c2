//! Pages of a list.

use std::ops::Range;

use crate::{Engine, Error, Page, PageQuery, Pair, keys};

/// How many pairs are read at once: a page may be long, and its values large.
const CHUNK_PAIRS: usize = 128;

/// How many pairs are passed over for one page. Where nearly nothing belongs to a list, a page of it may
/// be short, and tells where to go on.
const PASSED_OVER_MAX: usize = 5_000;

/// The next pairs of a range whose keys begin with `prefix`, as what `item` makes of them; `item` gives
/// None for what does not belong to the list. It gets the key without the prefix.
///
/// What is damaged is named on the page; the rest of the list does not suffer.
pub(crate) fn page<E: Engine, T>(
    engine: &E,
    prefix: &[u8],
    mut keys: Range<Vec<u8>>,
    query: &PageQuery,
    mut item: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, Error>,
) -> Result<Page<T>, Error> {
    let limit = query.limit.max(1);
    let next_cursor = query.cursor.clone();
    let mut page = Page { items: Vec::new(), next_cursor, has_more: false, damaged: Vec::new() };
    if let Some(cursor) = &query.cursor {
        let after = keys::after(&[prefix, &read_cursor(prefix, cursor)?].concat());
        keys.start = keys.start.max(after);
    }
    let mut n_passed_over = 0;
    loop {
        if keys.start >= keys.end {
            return Ok(page);
        }
        // One more than asked for tells whether there is more.
        let n_missing = limit - page.items.len() - page.damaged.len();
        let n_wanted = n_missing.saturating_add(1).max(n_passed_over);
        let chunk = engine.scan(keys.clone(), CHUNK_PAIRS.min(n_wanted))?;
        let Some((last, _)) = chunk.last() else { return Ok(page) };
        keys.start = keys::after(last);
        for (key, value) in chunk {
            let suffix = &key[prefix.len()..];
            let item = match value.and_then(|value| item(suffix, &value)) {
                Ok(Some(item)) => Ok(item),
                Ok(None) => {
                    page.next_cursor = Some(cursor(prefix, suffix));
                    n_passed_over += 1;
                    if n_passed_over == PASSED_OVER_MAX {
                        page.has_more = true;
                        return Ok(page);
                    }
                    continue;
                }
                Err(damaged @ Error::Damaged { .. }) => Err(damaged.to_string()),
                Err(other) => return Err(other),
            };
            if page.items.len() + page.damaged.len() == limit {
                page.has_more = true;
                return Ok(page);
            }
            match item {
                Ok(item) => page.items.push(item),
                Err(damaged) => page.damaged.push(damaged),
            }
            page.next_cursor = Some(cursor(prefix, suffix));
        }
    }
}

/// All pairs whose key begins with `prefix`.
pub(crate) fn all<E: Engine>(engine: &E, prefix: &[u8]) -> Result<Vec<Pair>, Error> {
    engine.scan(keys::range(prefix), usize::MAX)
}

/// Where a page ended: the rest of the key, and a checksum that ties it to its list.
fn cursor(prefix: &[u8], suffix: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = format!("{:08x}", checksum(prefix, suffix));
    for byte in suffix {
        write!(text, "{byte:02x}").expect("text takes all");
    }
    text
}

fn read_cursor(prefix: &[u8], text: &str) -> Result<Vec<u8>, Error> {
    let suffix = text.get(8..).and_then(unhex);
    suffix
        .filter(|suffix| cursor(prefix, suffix) == text)
        .ok_or_else(|| Error::BadCursor(text.to_owned()))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let starts = (0..text.len()).step_by(2);
    starts.map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn checksum(prefix: &[u8], suffix: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(prefix);
    hasher.update(suffix);
    hasher.finalize()
}
