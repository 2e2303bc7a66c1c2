//! `play_retry`

use hero_rpc::server::Caller;
use hero_schema::rpc::PlayRetry;
use hero_schema::{Play, RpcError};

use super::{play_get, play_start};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayRetry,
    caller: Caller,
) -> Result<Play, RpcError> {
    let PlayRetry { play_sid, budget } = params;
    play_start::check_budget(budget)?;
    let next = service.supervisor.retry(&play_sid, budget, caller.uid).await;
    let next = next.map_err(errors::of_supervisor)?;
    play_get::play(service, &next.sid).await
}
