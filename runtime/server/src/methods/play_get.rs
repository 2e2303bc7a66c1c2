//! `play_get`

use hero_schema::rpc::PlayGet;
use hero_schema::{NumberedVersion, Play, PlaySid, RpcError};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayGet) -> Result<Play, RpcError> {
    play(service, &params.play_sid).await
}

/// A play with its requests, as the RPC shows it.
///
/// The two are read one after the other. A question is stored before its play waits for it, so a play
/// that says `awaiting_resume` is always shown with what it asks.
pub(crate) async fn play(service: &Service, sid: &PlaySid) -> Result<Play, RpcError> {
    let record = service.record(sid).await?;
    let requests = service.store.requests(sid).await.map_err(errors::of_store)?;
    let mut record = record;
    // What a launch that still runs, or was ended from outside, has spent in steps.
    let of_outcomes = service.store.spent(sid).await.map_err(errors::of_store)?;
    record.set_total(record.total().max(record.spent_in_steps(of_outcomes)));
    let mut play = Play::new(record, requests);
    tell_version(service, &mut play).await?;
    Ok(play)
}

/// Says which version of its workflow a play is of, and which is current where that is another one.
async fn tell_version(service: &Service, play: &mut Play) -> Result<(), RpcError> {
    let Some(workflow) = &play.workflow_sid else { return Ok(()) };
    let workflow = service.store.workflow(workflow.as_str()).await.map_err(errors::of_store)?;
    // It may have been removed, or have been saved before versions were kept.
    let Some(workflow) = workflow else { return Ok(()) };
    if workflow.current_version_sid == play.workflow_version_sid {
        play.workflow_version = Some(workflow.version);
        return Ok(());
    }
    let own =
        service.store.versions_from(&workflow.sid, play.workflow_version_sid.as_str(), 1).await;
    play.workflow_version = own.map_err(errors::of_store)?.first().map(|own| own.number);
    play.moved_to = Some(NumberedVersion {
        number: workflow.version,
        sid: workflow.current_version_sid,
        saved_at: workflow.updated_at,
    });
    Ok(())
}
