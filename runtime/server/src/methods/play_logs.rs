//! `play_logs`

use hero_schema::RpcError;
use hero_schema::rpc::{LogPage, PlayLogs};

use super::page;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayLogs) -> Result<LogPage, RpcError> {
    service.record(&params.play_sid).await?;
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.logs(&params.play_sid, query).await.map_err(errors::of_store)?;
    let is_loud = |level| params.level.is_none_or(|wanted| level >= wanted);
    let items = page.items.into_iter().filter(|line| is_loud(line.level)).collect();
    Ok(LogPage { items, next_cursor: page.next_cursor, has_more: page.has_more })
}
