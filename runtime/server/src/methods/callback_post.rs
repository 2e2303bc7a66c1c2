//! `callback_post`

use hero_schema::rpc::{CALLBACK_BYTES_MAX, CallbackBody, CallbackPost, CallbackPosted};
use hero_schema::{ErrorKind, Json, RpcError};
use hero_supervisor::Posted;

use super::play_resume::read_payload;
use crate::errors;
use crate::service::Service;

const HINT: &str = "post {\"success\": true, \"data\": …}, or {\"success\": false, \"error\": …}; \
                    a `task_id` may go with either";

pub(crate) async fn run(
    service: &Service,
    params: CallbackPost,
) -> Result<CallbackPosted, RpcError> {
    let body = read_body(params.body)?;
    let posted = service.supervisor.callback_posted(&params.token, &body).await;
    Ok(match posted.map_err(errors::of_supervisor)? {
        Posted::Taken(at) => {
            CallbackPosted { ok: true, resumed_at: Some(at), ..CallbackPosted::default() }
        }
        Posted::TooLate(reason) => {
            CallbackPosted { noop: true, reason: Some(reason), ..CallbackPosted::default() }
        }
    })
}

fn read_body(text: String) -> Result<CallbackBody, RpcError> {
    if text.len() > CALLBACK_BYTES_MAX {
        let message = format!("a callback takes {CALLBACK_BYTES_MAX} bytes at most");
        return Err(RpcError::new(ErrorKind::TooLarge, message)
            .hint("post where the data is, instead of the data"));
    }
    let misfit = |why: &str| {
        let message = format!("the body does not fit: {why}");
        RpcError::new(ErrorKind::PayloadMismatch, message).hint(HINT)
    };
    let body = read_payload(text).map_err(|error| error.hint(HINT))?;
    // A list would be read as the fields in their order.
    if !body.text().trim_start().starts_with('{') {
        return Err(misfit("it is no object"));
    }
    let body: CallbackBody = body.read().map_err(|error| misfit(&error.to_string()))?;
    if body.success && body.error.as_ref().is_some_and(|error| *error != Json::null()) {
        return Err(misfit("it tells of success and of an error"));
    }
    Ok(body)
}
