//! `play_move`

use hero_rpc::server::Caller;
use hero_schema::rpc::{MoveChoice, Moved, PlayMove, WorkflowRollback};
use hero_schema::{ErrorKind, PlayRecord, RpcError};
use hero_supervisor::Target;

use super::{play_get, workflow_rollback};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayMove,
    caller: Caller,
) -> Result<Moved, RpcError> {
    let PlayMove { play_sid, choice, version, rerun, dry_run } = params;
    check(choice, version.as_deref(), &rerun)?;
    let target = Target { choice, version, rerun };
    let (plan, sid) = match choice {
        MoveChoice::Restart | MoveChoice::CarryOver if !dry_run => {
            let moved = service.supervisor.move_play(&play_sid, &target, caller.uid).await;
            let (next, plan) = moved.map_err(errors::of_supervisor)?;
            (plan, next.sid)
        }
        _ => {
            let plan = service.supervisor.plan_move(&play_sid, &target).await;
            (plan.map_err(errors::of_supervisor)?, play_sid.clone())
        }
    };
    if choice == MoveChoice::RollBack {
        roll_back(service, &service.record(&play_sid).await?, dry_run).await?;
    }
    let play = if dry_run { None } else { Some(play_get::play(service, &sid).await?) };
    Ok(Moved {
        choice,
        dry_run,
        from_version: plan.from.map(|version| version.number),
        to_version: plan.to.map(|version| version.number),
        kept: plan.kept,
        rerun: plan.rerun,
        orphaned: plan.orphaned,
        play,
    })
}

fn check(choice: MoveChoice, version: Option<&str>, rerun: &[String]) -> Result<(), RpcError> {
    let refused = |what: &str, of: &str| {
        Err(RpcError::new(ErrorKind::InvalidParams, format!("`{what}` is only for {of}")))
    };
    match choice {
        MoveChoice::Continue | MoveChoice::RollBack if version.is_some() => {
            refused("version", "`restart` and `carry_over`")
        }
        MoveChoice::CarryOver => Ok(()),
        _ if !rerun.is_empty() => refused("rerun", "`carry_over`"),
        _ => Ok(()),
    }
}

/// Makes the version of a play the current one of its workflow.
async fn roll_back(service: &Service, record: &PlayRecord, dry_run: bool) -> Result<(), RpcError> {
    let Some(workflow) = &record.workflow_sid else {
        let error = hero_supervisor::Error::NoWorkflow { play: record.sid.clone() };
        return Err(errors::of_supervisor(error));
    };
    let version = Some(record.version_sid.to_string());
    if dry_run {
        let workflow = service.supervisor.workflow(workflow.as_str()).await;
        let workflow = workflow.map_err(errors::of_supervisor)?;
        let found = service.supervisor.version_of(&workflow, record.version_sid.as_str()).await;
        return found.map(drop).map_err(errors::of_supervisor);
    }
    let order = WorkflowRollback { workflow: workflow.to_string(), version };
    workflow_rollback::run(service, order).await.map(drop)
}
