//! `play_pending_resumes`

use hero_schema::rpc::PlayGet;
use hero_schema::{ResumeRequest, RpcError};

use super::play_get;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayGet,
) -> Result<Vec<ResumeRequest>, RpcError> {
    play_get::play(service, &params.play_sid).await.map(|play| play.pending_resumes)
}
