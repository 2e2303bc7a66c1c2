//! The HTTP routes, and the way of a body to its answer.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http_body_util::LengthLimitError;
use hyper::body::{Body as _, Bytes};
use tokio::sync::watch;

use hero_schema::rpc::BODY_BYTES_MAX;
use hero_schema::{ErrorKind, Json, RpcError};

use crate::envelope::{self, Call, Request};
use crate::server::{Caller, Dispatch};

/// How long a peer may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Its user id.
    pub(crate) uid: u32,
}

pub(crate) fn router<D: Dispatch>(dispatch: Arc<D>) -> Router {
    Router::new()
        .route("/rpc", post(rpc::<D>))
        .route("/health", get(health::<D>))
        .route("/openrpc.json", get(openrpc::<D>))
        .with_state(dispatch)
}

async fn health<D: Dispatch>(State(dispatch): State<Arc<D>>) -> Response {
    let health = Json::of(&dispatch.health()).expect("text and numbers have a JSON form");
    json(StatusCode::OK, health.text().to_owned())
}

async fn openrpc<D: Dispatch>(State(dispatch): State<Arc<D>>) -> Response {
    json(StatusCode::OK, dispatch.openrpc())
}

async fn rpc<D: Dispatch>(
    State(dispatch): State<Arc<D>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // A web page could send any other type to a proxy of this socket without asking first.
    if !is_json(&headers) {
        let error = RpcError::new(ErrorKind::InvalidRequest, "the content type is no JSON")
            .hint("send `Content-Type: application/json`");
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    // A page that has had its own name point to such a proxy would be asked for JSON like anyone.
    if headers.contains_key(ORIGIN) {
        let error = RpcError::new(ErrorKind::InvalidRequest, "the request comes from a web page")
            .hint("call the service from a program; for browsers there is `hero_logic_admin`");
        return refused(StatusCode::FORBIDDEN, error);
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err((status, error)) => return refused(status, error),
    };
    let answer = match envelope::read_body(&body) {
        Err(error) => Some(envelope::response(&Json::null(), Err(error))),
        Ok(envelope::Body::Single(request)) => answer(&dispatch, request, peer).await,
        Ok(envelope::Body::Batch(requests)) => answer_all(&dispatch, requests, peer).await,
    };
    match answer {
        Some(answer) => json(StatusCode::OK, answer.text().to_owned()),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = given.split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/json")
}

async fn read(body: Body) -> Result<Bytes, (StatusCode, RpcError)> {
    let unreadable = |reason: &str| {
        RpcError::new(ErrorKind::InvalidRequest, format!("failed to read the request: {reason}"))
    };
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, envelope::too_large()));
    }
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.source().is_some_and(|e| e.is::<LengthLimitError>()) => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, envelope::too_large()))
        }
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, unreadable(&error.to_string()))),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, unreadable("it did not come within 30 s"))),
    }
}

/// The answers to a batch, one call after the other; None where all are notifications.
async fn answer_all<D: Dispatch>(
    dispatch: &Arc<D>,
    requests: Vec<Request>,
    peer: Peer,
) -> Option<Json> {
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.extend(answer(dispatch, request, peer).await);
    }
    (!answers.is_empty()).then(|| Json::of(&answers).expect("JSON has a JSON form"))
}

/// The answer to a request; None for a notification, which gets none even where it fails.
async fn answer<D: Dispatch>(dispatch: &Arc<D>, request: Request, peer: Peer) -> Option<Json> {
    match request {
        Request::Malformed(id, error) => Some(envelope::response(&id, Err(error))),
        Request::Call(call) => {
            let outcome = carry_out(dispatch, &call, peer).await;
            call.id.map(|id| envelope::response(&id, outcome))
        }
    }
}

/// Runs the call in a task of its own: when the peer hangs up, hyper drops this future at whatever
/// point it stands, and a method must not stop between what it has stored and what follows from it.
async fn carry_out<D: Dispatch>(
    dispatch: &Arc<D>,
    call: &Call,
    peer: Peer,
) -> Result<Json, RpcError> {
    let method = call.bare_method()?.to_owned();
    let params = call.params()?;
    let (_connection, connected) = watch::channel(());
    let caller = Caller { uid: peer.uid, connected };
    let dispatch = Arc::clone(dispatch);
    let task = tokio::spawn(async move { dispatch.call(&method, params, caller).await });
    task.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, method = call.method, "a method panicked");
        let message = format!("the server failed to carry out `{}`", call.method);
        Err(RpcError::new(ErrorKind::Internal, message).hint("the log of the server says why"))
    })
}

fn refused(status: StatusCode, error: RpcError) -> Response {
    json(status, envelope::response(&Json::null(), Err(error)).text().to_owned())
}

fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

const JSON: axum::http::HeaderValue = axum::http::HeaderValue::from_static("application/json");
