//! `play_get`

use hero_schema::rpc::PlayGet;
use hero_schema::{Play, PlaySid, RpcError};

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
    Ok(Play::new(record, requests))
}
