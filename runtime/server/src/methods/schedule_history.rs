//! `schedule_history`

use hero_schema::RpcError;
use hero_schema::rpc::{FiringPage, ScheduleHistory};

use super::{page, schedule_get};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: ScheduleHistory,
) -> Result<FiringPage, RpcError> {
    let query = page::query(params.cursor, params.limit)?;
    let schedule = schedule_get::find(service, &params.schedule).await?;
    let page = service.store.firings(&schedule.sid, query).await.map_err(errors::of_store)?;
    let next_cursor = page::next(&page);
    let mut items = Vec::with_capacity(page.items.len());
    for firing in page.items {
        items.push(schedule_get::item(service, firing).await?);
    }
    Ok(FiringPage { items, next_cursor })
}
