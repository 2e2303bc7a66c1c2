//! `inbox_list`

use hero_schema::RpcError;
use hero_schema::rpc::{InboxItem, InboxList, InboxPage};

use super::page;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: InboxList) -> Result<InboxPage, RpcError> {
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.open_requests(query).await.map_err(errors::of_store)?;
    let next_cursor = page::next(&page);
    let mut items = Vec::with_capacity(page.items.len());
    for (play_sid, request) in page.items {
        let play_name = service.record(&play_sid).await?.name;
        items.push(InboxItem { play_sid, play_name, request });
    }
    Ok(InboxPage { items, next_cursor })
}
