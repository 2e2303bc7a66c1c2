//! `/callbacks/…`: the URLs that other systems post to.
//!
//! Whoever holds such a URL may answer one question, once; there is no session. What a URL is worth the
//! server decides; here only what no callback looks like is turned away. Looking never acts, because mail
//! scanners and previews look too.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hero_rpc::Client;
use hero_schema::rpc::{
    CALLBACK_BYTES_MAX, CALLBACK_PATH, CallbackNoop, CallbackPost, CallbackPosted,
};
use hero_schema::{ErrorKind, RpcError};
use maud::{DOCTYPE, html};
use serde_json::json;

/// How long a peer may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// On every answer: nothing of it is kept, framed, or told to another site.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
];

/// What the routes need.
struct Callbacks {
    client: Client,
    /// The names that this service goes by, each with its port.
    hosts: Vec<String>,
}

/// The routes of callbacks. `hosts` are the names that a request may give as its host.
pub(crate) fn router(client: Client, hosts: Vec<String>) -> Router {
    Router::new()
        .route(&format!("{CALLBACK_PATH}{{token}}"), any(serve))
        .with_state(Arc::new(Callbacks { client, hosts }))
}

/// The host and port in a URL such as `HERO_PUBLIC_URL` holds.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    Some(rest.split('/').next().unwrap_or_default().to_ascii_lowercase())
}

async fn serve(
    State(callbacks): State<Arc<Callbacks>>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let mut response = match *request.method() {
        _ if !callbacks.is_named_by(request.headers()) => refusal(
            StatusCode::MISDIRECTED_REQUEST,
            ErrorKind::InvalidRequest,
            "this server goes by another name",
        ),
        Method::GET | Method::HEAD => page(),
        Method::POST => callbacks.post(token, request).await.into_response(),
        _ => {
            let message = "a callback is posted";
            let refused =
                refusal(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::InvalidRequest, message);
            ([(header::ALLOW, "GET, HEAD, POST")], refused).into_response()
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Callbacks {
    fn is_named_by(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    async fn post(&self, token: String, request: Request) -> Response {
        if !is_json(request.headers()) {
            let message = "the content type is not application/json";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return refusal(status, ErrorKind::InvalidRequest, message);
        }
        let body = match read(request.into_body()).await {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        match self.client.call("callback_post", &CallbackPost { token, body }).await {
            Ok(posted) => told(&posted),
            Err(error) => failed(&error),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = given.unwrap_or("").split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/json")
}

async fn read(body: Body) -> Result<String, Response> {
    let Ok(read) = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, CALLBACK_BYTES_MAX)).await
    else {
        let message = "the body did not come within 30 s";
        return Err(refusal(StatusCode::REQUEST_TIMEOUT, ErrorKind::InvalidRequest, message));
    };
    let Ok(bytes) = read else {
        let message = format!("a callback takes {CALLBACK_BYTES_MAX} bytes at most");
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge, &message));
    };
    String::from_utf8(bytes.into()).map_err(|_| {
        refusal(StatusCode::BAD_REQUEST, ErrorKind::PayloadNotJson, "the body is not UTF-8")
    })
}

fn told(posted: &CallbackPosted) -> Response {
    let status = match posted.reason {
        None | Some(CallbackNoop::Answered) => StatusCode::OK,
        Some(CallbackNoop::Expired | CallbackNoop::PlayEnded) => StatusCode::GONE,
    };
    (status, axum::Json(posted)).into_response()
}

fn failed(error: &RpcError) -> Response {
    let status = match error.kind {
        ErrorKind::CallbackNotFound => StatusCode::NOT_FOUND,
        ErrorKind::PayloadNotJson => StatusCode::BAD_REQUEST,
        ErrorKind::PayloadMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // Another time it may work; what is wrong here is not told to strangers.
        _ => {
            tracing::warn!(%error, "a callback was not taken");
            let message = "the service cannot take it now; post it again later";
            return refusal(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::ServerUnreachable, message);
        }
    };
    let told = json!({"kind": error.kind.word(), "message": error.message, "hint": error.hint});
    (status, axum::Json(json!({"error": told}))).into_response()
}

fn refusal(status: StatusCode, kind: ErrorKind, message: &str) -> Response {
    let told = json!({"kind": kind.word(), "message": message});
    (status, axum::Json(json!({"error": told}))).into_response()
}

/// The same for every URL: it does not tell which are worth something.
fn page() -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "A callback · Hero Logic" } }
            body {
                main {
                    h1 { "A callback" }
                    p { "A program answers here, once, with a POST of JSON. Looking at it changes nothing." }
                }
            }
        }
    };
    page.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_public_url_is_what_requests_name() {
        for (url, host) in [
            ("https://flows.example.com", "flows.example.com"),
            ("https://Example.com:8443/flows/", "example.com:8443"),
            ("http://[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(host_of(url).as_deref(), Some(host), "{url}");
        }
        assert_eq!(host_of("example.com"), None);
    }
}
