//! The pages, rendered on the server; no script.

mod inbox;
mod layout;
mod play;
mod plays;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hero_rpc::Client;
use hero_schema::{ErrorKind, RpcError};

pub(crate) use layout::notice;

use crate::access::{self, Access};

/// Every route, behind the guard.
pub(crate) fn router(client: Client, access: Arc<Access>) -> Router {
    let sign_in = Router::new().route("/login", get(access::login)).with_state(access.clone());
    Router::new()
        .route("/", get(plays::show))
        .route("/inbox", get(inbox::show))
        .route("/plays/{sid}", get(play::show).post(play::answer))
        .route("/plays/{sid}/cancel", axum::routing::post(play::cancel))
        .with_state(client)
        .route("/style.css", get(style))
        .merge(sign_in)
        .fallback(|| async { (StatusCode::NOT_FOUND, notice("There is no such page.")) })
        .layer(middleware::from_fn_with_state(access, access::guard))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

/// An error of the RPC, as a page.
pub(crate) struct Failed(RpcError);

impl From<RpcError> for Failed {
    fn from(error: RpcError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.kind {
            ErrorKind::PlayNotFound | ErrorKind::RequestNotFound => StatusCode::NOT_FOUND,
            ErrorKind::ResumeConflict | ErrorKind::PlayEnded => StatusCode::CONFLICT,
            ErrorKind::PayloadNotJson | ErrorKind::PayloadMismatch | ErrorKind::InvalidParams => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            _ => StatusCode::BAD_GATEWAY,
        };
        (status, layout::failure(&self.0)).into_response()
    }
}
