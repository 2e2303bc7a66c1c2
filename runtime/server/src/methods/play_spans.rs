//! `play_spans`

use hero_schema::RpcError;
use hero_schema::rpc::{PlaySpans, SpanPage};

use super::page;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlaySpans) -> Result<SpanPage, RpcError> {
    service.record(&params.play_sid).await?;
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.spans(&params.play_sid, query).await.map_err(errors::of_store)?;
    Ok(SpanPage { next_cursor: page::next(&page), items: page.items })
}
