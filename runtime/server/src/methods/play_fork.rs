//! `play_fork`

use hero_rpc::server::Caller;
use hero_schema::rpc::PlayFork;
use hero_schema::{Play, RpcError};
use hero_supervisor::Fork;

use super::play_get;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayFork,
    caller: Caller,
) -> Result<Play, RpcError> {
    let PlayFork { play_sid, from_span, answers, outputs } = params;
    let fork = Fork { from_span, answers, outputs };
    let next = service.supervisor.fork(&play_sid, fork, caller.uid).await;
    let next = next.map_err(errors::of_supervisor)?;
    play_get::play(service, &next.sid).await
}
