//! `play_prefill`

use hero_schema::rpc::PlayPrefill;
use hero_schema::{Play, RpcError};

use super::{play_get, play_start};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayPrefill) -> Result<Play, RpcError> {
    play_start::check_prefill(params.prefill_resumes.keys())?;
    service
        .supervisor
        .prefill(&params.play_sid, params.prefill_resumes)
        .await
        .map_err(errors::of_supervisor)?;
    play_get::play(service, &params.play_sid).await
}
