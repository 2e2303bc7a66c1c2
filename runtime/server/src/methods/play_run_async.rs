//! `play_run_async`

use hero_schema::rpc::PlayStart;
use hero_schema::{PlaySid, RpcError};

use super::play_start;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayStart) -> Result<PlaySid, RpcError> {
    play_start::start(service, params).await.map(|record| record.sid)
}
