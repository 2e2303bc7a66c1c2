//! `schedule_pause`

use hero_schema::RpcError;
use hero_schema::rpc::{ScheduleDetail, ScheduleGet};

use super::schedule_get;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: ScheduleGet,
) -> Result<ScheduleDetail, RpcError> {
    let schedule = service.supervisor.pause_schedule(&params.schedule).await;
    schedule_get::detail(service, schedule.map_err(errors::of_supervisor)?).await
}
