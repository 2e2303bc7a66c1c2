//! `play_run_async`

use hero_rpc::server::Caller;
use hero_schema::rpc::PlayStart;
use hero_schema::{PlaySid, RpcError, Starter};

use super::play_start::{self, Started};
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayStart,
    caller: Caller,
) -> Result<PlaySid, RpcError> {
    let by = Starter::Rpc { uid: caller.uid };
    match play_start::start(service, params, by).await? {
        Started::Now(record) | Started::Before(record) => Ok(record.sid),
    }
}
