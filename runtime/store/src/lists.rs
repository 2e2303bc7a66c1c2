//! Pages of a list.

use std::ops::Range;

use crate::{Engine, Error, Page, PageQuery, Pair, keys};

/// How many pairs are read at once: a page may be long, and its values large.
pub(crate) const CHUNK_PAIRS: usize = 128;

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
    keys: Range<Vec<u8>>,
    query: &PageQuery,
    mut item: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, Error>,
) -> Result<Page<T>, Error> {
    let mut pages = Pager::begin(prefix, keys, query)?;
    while let Some(chunk) = pages.next_chunk(engine)? {
        for (key, value) in chunk {
            let suffix = &key[prefix.len()..];
            let has_room = match value.and_then(|value| item(suffix, &value)) {
                Ok(Some(item)) => pages.push(suffix, Ok(item))?,
                Ok(None) => pages.pass_over(suffix),
                Err(error) => pages.push(suffix, Err(error))?,
            };
            if !has_room {
                return Ok(pages.page);
            }
        }
    }
    Ok(pages.page)
}

/// A page while it is filled.
pub(crate) struct Pager<'a, T> {
    prefix: &'a [u8],
    /// What is still to be read.
    keys: Range<Vec<u8>>,
    limit: usize,
    n_passed_over: usize,
    pub(crate) page: Page<T>,
}

impl<'a, T> Pager<'a, T> {
    pub(crate) fn begin(
        prefix: &'a [u8],
        mut keys: Range<Vec<u8>>,
        query: &PageQuery,
    ) -> Result<Self, Error> {
        let next_cursor = query.cursor.clone();
        if let Some(cursor) = &query.cursor {
            let after = keys::after(&[prefix, &read_cursor(prefix, cursor)?].concat());
            keys.start = keys.start.max(after);
        }
        let page = Page { items: Vec::new(), next_cursor, has_more: false, damaged: Vec::new() };
        Ok(Self { prefix, keys, limit: query.limit.max(1), n_passed_over: 0, page })
    }

    /// What is to be read next begins with this key, without the prefix.
    pub(crate) fn start(&self) -> &[u8] {
        &self.keys.start[self.prefix.len()..]
    }

    /// How many items are to be looked at: one more than asked for tells whether there is more.
    pub(crate) fn n_wanted(&self) -> usize {
        self.n_missing().saturating_add(1)
    }

    /// The pairs that follow; None at the end of the list.
    pub(crate) fn next_chunk<E: Engine>(&mut self, engine: &E) -> Result<Option<Vec<Pair>>, Error> {
        if self.keys.start >= self.keys.end {
            return Ok(None);
        }
        let n_pairs = CHUNK_PAIRS.min(self.n_wanted().max(self.n_passed_over));
        let chunk = engine.scan(self.keys.clone(), n_pairs)?;
        let Some((last, _)) = chunk.last() else { return Ok(None) };
        self.keys.start = keys::after(last);
        Ok(Some(chunk))
    }

    /// Adds what stands under a key, without the prefix. Returns whether the page goes on.
    pub(crate) fn push(&mut self, suffix: &[u8], item: Result<T, Error>) -> Result<bool, Error> {
        let item = match item {
            Ok(item) => Ok(item),
            Err(damaged @ Error::Damaged { .. }) => Err(damaged.to_string()),
            Err(other) => return Err(other),
        };
        if self.n_missing() == 0 {
            self.page.has_more = true;
            return Ok(false);
        }
        match item {
            Ok(item) => self.page.items.push(item),
            Err(damaged) => self.page.damaged.push(damaged),
        }
        self.page.next_cursor = Some(cursor(self.prefix, suffix));
        Ok(true)
    }

    /// Notes that what stands under a key does not belong to the list. Returns whether the page goes on.
    fn pass_over(&mut self, suffix: &[u8]) -> bool {
        self.page.next_cursor = Some(cursor(self.prefix, suffix));
        self.n_passed_over += 1;
        self.page.has_more = self.n_passed_over == PASSED_OVER_MAX;
        !self.page.has_more
    }

    fn n_missing(&self) -> usize {
        self.limit - self.page.items.len() - self.page.damaged.len()
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
