//! `schedule_run`

use hero_schema::RpcError;
use hero_schema::rpc::{FiringItem, ScheduleGet};

use super::schedule_get;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: ScheduleGet) -> Result<FiringItem, RpcError> {
    let firing = service.supervisor.run_schedule(&params.schedule).await;
    schedule_get::item(service, firing.map_err(errors::of_supervisor)?).await
}
