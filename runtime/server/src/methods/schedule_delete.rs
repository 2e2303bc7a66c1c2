//! `schedule_delete`

use hero_schema::rpc::{Deleted, ScheduleGet};
use hero_schema::{ErrorKind, RpcError, Workflow};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: ScheduleGet) -> Result<Deleted, RpcError> {
    service
        .supervisor
        .delete_schedule(&params.schedule)
        .await
        .map(|()| Deleted { ok: true })
        .map_err(errors::of_supervisor)
}

/// Refuses what would take the workflow from under a schedule that fires.
pub(crate) async fn check_not_scheduled(
    service: &Service,
    workflow: &Workflow,
) -> Result<(), RpcError> {
    let active = service.store.active_schedules(&workflow.sid).await.map_err(errors::of_store)?;
    let Some(first) = active.first() else { return Ok(()) };
    let name = match service.store.schedule(first.as_str()).await.map_err(errors::of_store)? {
        Some(schedule) => schedule.name,
        None => first.to_string(),
    };
    let message = match active.len() {
        1 => format!("schedule `{name}` starts plays of workflow `{}`", workflow.name),
        n => format!("{n} schedules start plays of workflow `{}`", workflow.name),
    };
    Err(RpcError::new(ErrorKind::WorkflowInUse, message)
        .hint(format!("pause or delete it first: `hero_logic schedule pause {name}`")))
}
