//! Calling a server over its Unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use hero_schema::rpc::BODY_BYTES_MAX;
use hero_schema::{ErrorKind, Json, RpcError};

use crate::health::Health;
use crate::{envelope, socket};

/// How long a server may take to say that it is well.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one server. Cheap to make and to clone; any number of calls may be under way.
///
/// Each call is a connection of its own: on a Unix socket that costs microseconds, and a server that
/// was restarted in between is never mistaken for the one before. Dropping the future of a call hangs
/// up; whether the server carries it out then is not known.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Remembers where the server listens; nothing is connected before the first call.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Where the server listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Calls a method, named without its prefix: `play_get`.
    ///
    /// # Errors
    /// What the server answers; else [`ErrorKind::ServerUnreachable`] where nobody listens or the
    /// server hung up, and [`ErrorKind::Internal`] where it answers what is no such result.
    pub async fn call<P: Serialize, R: DeserializeOwned>(
        &self,
        method: &str,
        params: &P,
    ) -> Result<R, RpcError> {
        let params = Json::of(params).map_err(|error| {
            RpcError::new(ErrorKind::InvalidParams, format!("the parameters are no JSON: {error}"))
        })?;
        let result = self.call_raw(method, params).await?;
        serde_json::from_str(result.text()).map_err(|error| self.nonsense(&error.to_string()))
    }

    /// Calls a method with JSON as it is, and gives the result as it came.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_raw(&self, method: &str, params: Json) -> Result<Json, RpcError> {
        let body = envelope::request(method, params);
        if body.len() > BODY_BYTES_MAX {
            return Err(envelope::too_large());
        }
        let (status, body) = self.exchange(Method::POST, "/rpc", body).await?;
        match envelope::read_response(&body) {
            Ok(answer) => answer,
            Err(error) => Err(self.nonsense(&format!("HTTP status {status}, {error}"))),
        }
    }

    /// Asks who listens.
    ///
    /// # Errors
    /// [`ErrorKind::ServerUnreachable`]: nobody does, or does not answer within 5 seconds.
    pub async fn health(&self) -> Result<Health, RpcError> {
        let asked = self.exchange(Method::GET, "/health", Vec::new());
        let Ok(answered) = tokio::time::timeout(HEALTH_TIMEOUT, asked).await else {
            return Err(self.unreachable("it did not answer within 5 s"));
        };
        match answered? {
            (StatusCode::OK, body) => {
                serde_json::from_slice(&body).map_err(|error| self.nonsense(&error.to_string()))
            }
            (status, _) => Err(self.nonsense(&format!("HTTP status {status}"))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        target: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), RpcError> {
        let stream = self.connect().await?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .expect("the parts are constants");
        answer_of(stream, request).await.map_err(|error| self.hung_up(&error))
    }

    async fn connect(&self) -> Result<UnixStream, RpcError> {
        socket::check_length(&self.socket)?;
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| self.not_connected(&e))?;
        let uid = socket::peer_uid(&stream).map_err(|error| self.not_connected(&error))?;
        if uid == socket::own_uid() {
            return Ok(stream);
        }
        let message = format!(
            "the server on `{}` belongs to user {uid} and not to you",
            self.socket.display()
        );
        Err(RpcError::new(ErrorKind::Forbidden, message)
            .hint("use a socket directory of your own, or become that user"))
    }

    fn not_connected(&self, error: &io::Error) -> RpcError {
        match error.kind() {
            io::ErrorKind::NotFound => self.unreachable("there is no such socket"),
            io::ErrorKind::ConnectionRefused => self.unreachable("nobody listens there"),
            io::ErrorKind::PermissionDenied => {
                let message =
                    format!("failed to connect to `{}`: permission denied", self.socket.display());
                RpcError::new(ErrorKind::Forbidden, message)
                    .hint("the socket belongs to another user")
            }
            _ => self.unreachable(&error.to_string()),
        }
    }

    fn unreachable(&self, reason: &str) -> RpcError {
        let message = format!("no server answers on `{}`: {reason}", self.socket.display());
        RpcError::new(ErrorKind::ServerUnreachable, message)
            .hint("start one with `hero_logic_server`")
    }

    fn hung_up(&self, error: &hyper::Error) -> RpcError {
        let message = format!(
            "the server on `{}` hung up before it had answered: {error}",
            self.socket.display()
        );
        RpcError::new(ErrorKind::ServerUnreachable, message)
            .hint("the call may have been carried out; look before you repeat it")
    }

    fn nonsense(&self, reason: &str) -> RpcError {
        let message =
            format!("what listens on `{}` answered unexpectedly: {reason}", self.socket.display());
        RpcError::new(ErrorKind::Internal, message)
            .hint("the server may be of another version: restart it")
    }
}

/// One request and its answer. The connection is driven right here and not by a task of its own, so
/// that a call needs nothing but whoever awaits it.
async fn answer_of(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> hyper::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answered = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    let driven = async {
        // Why a connection ended, the call it carried tells better.
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answered => answer,
        () = driven => unreachable!("`driven` never ends"),
    }
}
