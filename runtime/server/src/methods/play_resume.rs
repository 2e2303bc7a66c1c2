//! `play_resume`

use hero_rpc::server::Caller;
use hero_schema::canonical::canonical_json;
use hero_schema::rpc::{PlayResume, Resumed};
use hero_schema::{Answerer, ErrorKind, Json, PlaySid, ResumeId, RpcError};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayResume,
    caller: Caller,
) -> Result<Resumed, RpcError> {
    let payload = read_payload(params.payload_json)?;
    let by = Answerer::Rpc { uid: caller.uid };
    let answered =
        service.supervisor.answer(&params.play_sid, &params.resume_id, payload, by).await;
    match answered {
        Ok(answered) => {
            Ok(Resumed { ok: true, resumed_at: answered.resumed_at, already: answered.already })
        }
        Err(error) => {
            let error = errors::of_supervisor(error);
            Err(with_who_answered(service, &params.play_sid, &params.resume_id, error).await)
        }
    }
}

/// Takes what every reader reads alike: a key that occurs twice is refused here as it is in a body.
pub(crate) fn read_payload(text: String) -> Result<Json, RpcError> {
    let checked = canonical_json(&text).map_err(|error| error.to_string());
    let read = checked.and_then(|_| Json::parse(text).map_err(|error| error.to_string()));
    read.map_err(|reason| {
        RpcError::new(ErrorKind::PayloadNotJson, format!("the answer is not JSON: {reason}"))
            .hint("text goes in double quotes: '\"like this\"'")
    })
}

/// Tells of a conflict whose answer it is that stands.
async fn with_who_answered(
    service: &Service,
    play: &PlaySid,
    request: &ResumeId,
    error: RpcError,
) -> RpcError {
    if error.kind != ErrorKind::ResumeConflict {
        return error;
    }
    let stored = service.store.request(play, request).await.ok().flatten();
    let Some(answer) = stored.and_then(|request| request.answer) else { return error };
    let seconds = service.store.now().micros_since(answer.resumed_at) / 1_000_000;
    let who = match answer.resumed_by {
        Answerer::Rpc { uid } => format!("user {uid}"),
        Answerer::Prefill { pattern } => format!("the prefill entry `{pattern}`"),
        Answerer::Timer => "its deadline".into(),
        Answerer::Callback { .. } => "whoever posted to its callback".into(),
        Answerer::Child => "the end of the child play".into(),
        Answerer::Fork => "whoever forked the play".into(),
    };
    error.hint(format!("the first answer stands: {who} gave it {seconds} s ago"))
}
