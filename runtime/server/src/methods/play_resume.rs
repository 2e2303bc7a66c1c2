//! `play_resume`

use hero_rpc::server::Caller;
use hero_schema::rpc::{PlayResume, Resumed};
use hero_schema::{Answerer, ErrorKind, Json, RpcError};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayResume,
    caller: Caller,
) -> Result<Resumed, RpcError> {
    let payload = Json::parse(params.payload_json).map_err(|error| {
        RpcError::new(ErrorKind::PayloadNotJson, format!("the answer is not JSON: {error}"))
            .hint("text goes in double quotes: '\"like this\"'")
    })?;
    let by = Answerer::Rpc { uid: caller.uid };
    let answered = service
        .supervisor
        .answer(&params.play_sid, &params.resume_id, payload, by)
        .await
        .map_err(errors::of_supervisor)?;
    Ok(Resumed { ok: true, resumed_at: answered.resumed_at, already: answered.already })
}
