//! `schedule_get`

use hero_schema::rpc::{FiringItem, ScheduleDetail, ScheduleGet};
use hero_schema::{Firing, FiringOutcome, RpcError, Schedule, ScheduleState};
use hero_supervisor::calendar;

use crate::errors;
use crate::service::Service;

/// How many due times are told ahead.
const UPCOMING: usize = 5;

pub(crate) async fn run(
    service: &Service,
    params: ScheduleGet,
) -> Result<ScheduleDetail, RpcError> {
    detail(service, find(service, &params.schedule).await?).await
}

/// A schedule that must be there, by sid or name.
pub(crate) async fn find(service: &Service, sid_or_name: &str) -> Result<Schedule, RpcError> {
    service.supervisor.schedule(sid_or_name).await.map_err(errors::of_supervisor)
}

/// A schedule, and when it is due.
pub(crate) async fn detail(
    service: &Service,
    schedule: Schedule,
) -> Result<ScheduleDetail, RpcError> {
    let upcoming = match (schedule.state, schedule.due) {
        (ScheduleState::Active, Some(due)) => {
            let calendar = calendar(&schedule).map_err(errors::of_supervisor)?;
            let later = calendar.upcoming(due, UPCOMING - 1);
            [due].into_iter().chain(later).collect()
        }
        _ => Vec::new(),
    };
    let latest = match &schedule.latest {
        Some(place) => {
            service.store.firing(&schedule.sid, place).await.map_err(errors::of_store)?
        }
        None => None,
    };
    let latest = match latest {
        Some(firing) => Some(item(service, firing).await?),
        None => None,
    };
    Ok(ScheduleDetail { schedule, upcoming, latest })
}

/// A firing, and how its play fares.
pub(crate) async fn item(service: &Service, firing: Firing) -> Result<FiringItem, RpcError> {
    let play = match &firing.outcome {
        FiringOutcome::Started { play_sid } => {
            service.store.play(play_sid).await.map_err(errors::of_store)?
        }
        _ => None,
    };
    Ok(FiringItem { firing, play_status: play.map(|play| play.status) })
}
