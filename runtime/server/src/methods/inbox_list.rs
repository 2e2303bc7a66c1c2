//! `inbox_list`

use hero_schema::rpc::{InboxItem, InboxList, InboxPage};
use hero_schema::{PlaySid, ResumeRequest, RpcError};
use hero_store::PageQuery;

use super::page;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: InboxList) -> Result<InboxPage, RpcError> {
    let PageQuery { mut cursor, limit } = page::query(params.cursor, params.limit)?;
    let mut items = Vec::new();
    loop {
        // Never more than still fit, so that the cursor stands behind the last item.
        let query = PageQuery { cursor, limit: limit - items.len() };
        let page = service.store.open_requests(query).await.map_err(errors::of_store)?;
        let next_cursor = page::next(&page);
        for (play_sid, request) in page.items {
            items.extend(item(service, play_sid, request).await?);
        }
        if next_cursor.is_none() || items.len() == limit {
            return Ok(InboxPage { items, next_cursor });
        }
        cursor = next_cursor;
    }
}

/// None for what answers itself, and where the play was removed meanwhile.
async fn item(
    service: &Service,
    play_sid: PlaySid,
    request: ResumeRequest,
) -> Result<Option<InboxItem>, RpcError> {
    if !request.kind.is_question() {
        return Ok(None);
    }
    let play = service.store.play(&play_sid).await.map_err(errors::of_store)?;
    Ok(play.map(|play| InboxItem { play_sid, play_name: play.name, request }))
}
