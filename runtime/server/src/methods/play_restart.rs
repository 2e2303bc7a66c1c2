//! `play_restart`

use hero_rpc::server::Caller;
use hero_schema::rpc::PlayGet;
use hero_schema::{Play, RpcError};

use super::play_get;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayGet,
    caller: Caller,
) -> Result<Play, RpcError> {
    let next = service.supervisor.restart(&params.play_sid, caller.uid).await;
    let next = next.map_err(errors::of_supervisor)?;
    play_get::play(service, &next.sid).await
}
