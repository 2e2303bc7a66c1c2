//! `schedule_add`

use hero_schema::name::is_name;
use hero_schema::rpc::{ScheduleAdd, ScheduleDetail};
use hero_schema::{
    ErrorKind, Json, RpcError, Schedule, ScheduleSid, ScheduleState, Timestamp, When, Workflow,
};

use super::play_start::check_input;
use super::{schedule_get, workflow_get};
use crate::errors;
use crate::service::Service;

/// How late a due time still fires where nothing else is said, in microseconds.
const CATCH_UP_MICROS: u64 = 3600 * 1_000_000;

/// The shortest window: a server with much to do is late as well.
const CATCH_UP_MILLIS_MIN: u64 = 1000;

/// Checks everything first, so that a refused schedule is not stored.
pub(crate) async fn run(
    service: &Service,
    params: ScheduleAdd,
) -> Result<ScheduleDetail, RpcError> {
    let when = when(&params)?;
    check_catch_up(params.catch_up_ms)?;
    let workflow = workflow_get::find(service, &params.workflow).await?;
    let name = params.name.clone().unwrap_or_else(|| workflow.name.clone());
    if !is_name(&name) {
        let message = format!("{name:?} is no name for a schedule");
        return Err(RpcError::new(ErrorKind::InvalidName, message).hint(
            "a name is 1 to 128 letters, digits, `_`, `.` and `-`, and begins with a letter or `_`",
        ));
    }
    let input = params.input_data.clone().unwrap_or_else(Json::empty_object);
    check_inputs(service, &workflow, &input, params.allow_replan).await?;
    let new = schedule(params, workflow, when, name, input);
    let stored = service.supervisor.add_schedule(new).await.map_err(errors::of_supervisor)?;
    schedule_get::detail(service, stored).await
}

fn when(params: &ScheduleAdd) -> Result<When, RpcError> {
    if params.time_zone.is_some() && params.cron.is_none() {
        let error = RpcError::new(ErrorKind::InvalidParams, "`time_zone` belongs to `cron`");
        return Err(error.hint("leave it out: a moment is in UTC, and a distance is in no zone"));
    }
    match (&params.cron, params.every_ms, params.at) {
        (Some(expression), None, None) => Ok(When::Cron {
            expression: expression.clone(),
            time_zone: params.time_zone.clone().unwrap_or_else(|| "UTC".into()),
        }),
        (None, Some(millis), None) => Ok(When::Every { micros: micros(millis) }),
        (None, None, Some(at)) => Ok(When::At(at)),
        _ => {
            let message = "give exactly one of `cron`, `every_ms` and `at`";
            let error = RpcError::new(ErrorKind::InvalidParams, message);
            Err(error.hint("`cron` is by a clock, `every_ms` a distance, `at` a moment"))
        }
    }
}

fn check_catch_up(millis: Option<u64>) -> Result<(), RpcError> {
    match millis {
        Some(millis @ ..CATCH_UP_MILLIS_MIN) => {
            let message = format!("a catch-up window of {millis} ms would let nothing fire");
            Err(RpcError::new(ErrorKind::ScheduleInvalid, message)
                .hint("nothing starts at its very microsecond; give it a second at least"))
        }
        _ => Ok(()),
    }
}

async fn check_inputs(
    service: &Service,
    workflow: &Workflow,
    input: &Json,
    allow_replan: bool,
) -> Result<(), RpcError> {
    let version = service.supervisor.version(&workflow.current_version_sid).await;
    let version = version.map_err(errors::of_supervisor)?;
    let flow = &version.bundle.flow;
    if !version.is_fully_frozen() && !allow_replan {
        let message = format!("workflow `{}` has not frozen all of its plans", workflow.name);
        return Err(RpcError::new(ErrorKind::ScheduleInvalid, message)
            .hint("give `allow_replan` where its plays may plan anew"));
    }
    check_input(flow, &version.signature, input)?;
    let Some(saved) = &version.saved else { return Ok(()) };
    let arguments = hero_core::template::arguments(saved, &version.signature.inputs, input);
    arguments.map(drop).map_err(|misfit| {
        let message = format!("the inputs do not fit `{flow}`: {misfit}");
        RpcError::new(ErrorKind::InputMismatch, message)
    })
}

/// What is not said here is filled in by the supervisor.
fn schedule(
    params: ScheduleAdd,
    workflow: Workflow,
    when: When,
    name: String,
    input_data: Json,
) -> Schedule {
    let default_catch_up = match &when {
        // What is to happen once is better late than never.
        When::At(_) => None,
        When::Cron { .. } | When::Every { .. } => Some(CATCH_UP_MICROS),
    };
    let state = if params.paused { ScheduleState::Paused } else { ScheduleState::Active };
    Schedule {
        sid: ScheduleSid::new(""),
        revision: 0,
        name,
        workflow_sid: workflow.sid,
        workflow_name: workflow.name,
        when,
        input_data,
        overlap: params.overlap,
        catch_up_micros: params.catch_up_ms.map(micros).or(default_catch_up),
        jitter_micros: micros(params.jitter_ms),
        allow_replan: params.allow_replan,
        state,
        due: None,
        next_at: None,
        latest: None,
        created_at: Timestamp::default(),
    }
}

fn micros(millis: u64) -> u64 {
    millis.saturating_mul(1000)
}
