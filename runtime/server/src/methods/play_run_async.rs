//! `play_run_async`

use hero_schema::rpc::PlayStart;
use hero_schema::{PlaySid, RpcError};

use super::play_start::{self, Started};
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayStart) -> Result<PlaySid, RpcError> {
    match play_start::start(service, params).await? {
        Started::Now(record) | Started::Before(record) => Ok(record.sid),
    }
}
