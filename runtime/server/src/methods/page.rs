//! Pages, as callers ask for them.

use hero_schema::rpc::PAGE_LIMIT_MAX;
use hero_schema::{ErrorKind, RpcError};
use hero_store::{Page, PageQuery};

/// The page that the parameters describe.
pub(crate) fn query(cursor: Option<String>, limit: Option<u32>) -> Result<PageQuery, RpcError> {
    let limit = limit.unwrap_or(PAGE_LIMIT_MAX);
    if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
        let message = format!("`limit` is {limit}; it goes from 1 to {PAGE_LIMIT_MAX}");
        return Err(RpcError::new(ErrorKind::InvalidParams, message));
    }
    Ok(PageQuery { cursor, limit: limit as usize })
}

/// The cursor for the next page, where there is one already.
pub(crate) fn next<T>(page: &Page<T>) -> Option<String> {
    page.next_cursor.clone().filter(|_| page.has_more)
}
