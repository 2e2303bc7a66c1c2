//! A service on a private socket: accepting peers, and answering until told to stop.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use hero_schema::{Json, RpcError};

use crate::health::Health;
use crate::routes;
use crate::socket::Listener;

pub use crate::envelope::method_not_found;

/// How long a peer may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long calls that are under way at the stop may take to be answered.
const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

/// What carries calls out.
#[async_trait]
pub trait Dispatch: Send + Sync + 'static {
    /// Carries out a method, named without its prefix. The parameters are a JSON object.
    ///
    /// It runs to its end even where the caller hangs up; one that waits looks at
    /// [`Caller::gone`].
    ///
    /// # Errors
    /// What the caller is told; [`method_not_found`] for a method that is none.
    async fn call(&self, method: &str, params: Json, caller: Caller) -> Result<Json, RpcError>;

    /// What `GET /health` answers.
    fn health(&self) -> Health;

    /// What `GET /openrpc.json` answers.
    fn openrpc(&self) -> &'static str;
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user id of its process, from the credentials of the socket.
    pub uid: u32,
    /// Closed when the caller hangs up.
    pub(crate) connected: watch::Receiver<()>,
}

impl Caller {
    /// Returns once the caller has hung up, so that nobody waits for an answer any more.
    pub async fn gone(&mut self) {
        while self.connected.changed().await.is_ok() {}
    }
}

/// Serves `POST /rpc`, `GET /health` and `GET /openrpc.json` until `stop` is ready.
///
/// Then the socket is removed, calls that are under way are answered if they end soon, and all
/// connections are closed.
pub async fn serve(
    listener: Listener,
    dispatch: Arc<impl Dispatch>,
    stop: impl Future<Output = ()>,
) {
    let routes = routes::router(dispatch);
    let closing = watch::Sender::new(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            (stream, uid) = listener.accept() => {
                let routes = routes.clone().layer(Extension(routes::Peer { uid }));
                connections.spawn(converse(stream, routes, closing.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(closing);
    let answered = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_ANSWERS_TIMEOUT, answered).await.is_err() {
        tracing::warn!(n_connections = connections.len(), "hung up on callers at the stop");
    }
}

async fn converse(stream: UnixStream, routes: Router, mut closing: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
