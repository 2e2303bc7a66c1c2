//! `inbox_list`

use hero_schema::RpcError;
use hero_schema::rpc::{InboxItem, InboxList, InboxPage};
use hero_store::Error;

use super::page;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: InboxList) -> Result<InboxPage, RpcError> {
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.open_questions(query).await.map_err(errors::of_store)?;
    let next_cursor = page::next(&page);
    let (mut items, mut damaged) = (Vec::with_capacity(page.items.len()), page.damaged);
    for (play_sid, request) in page.items {
        match service.store.play(&play_sid).await {
            Ok(Some(play)) => items.push(InboxItem { play_sid, play_name: play.name, request }),
            // It was removed meanwhile.
            Ok(None) => {}
            Err(error @ Error::Damaged { .. }) => damaged.push(error.to_string()),
            Err(error) => return Err(errors::of_store(error)),
        }
    }
    Ok(InboxPage { items, next_cursor, damaged })
}
