//! `schedule_list`

use hero_schema::RpcError;
use hero_schema::rpc::{ScheduleList, SchedulePage};

use super::{page, schedule_get};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: ScheduleList) -> Result<SchedulePage, RpcError> {
    let query = page::query(params.cursor, params.limit)?;
    let page = service.store.schedules(query).await.map_err(errors::of_store)?;
    let next_cursor = page::next(&page);
    let mut items = Vec::with_capacity(page.items.len());
    for schedule in page.items {
        items.push(schedule_get::detail(service, schedule).await?);
    }
    Ok(SchedulePage { items, next_cursor })
}
