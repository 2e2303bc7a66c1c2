//! A server of a few methods on a socket in a temporary directory, and a peer that sends raw bytes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use hero_rpc::Client;
use hero_rpc::health::Health;
use hero_rpc::server::{Caller, Dispatch, serve};
use hero_schema::{ErrorKind, Json, RpcError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Methods that show what a server carries.
pub(crate) struct Methods {
    /// Tells of every `hold` that has begun.
    held: mpsc::UnboundedSender<()>,
    /// Lets `hold` go on, one permit a call.
    pub(crate) gate: Arc<Semaphore>,
    /// Tells of every `hold` that has come to its end.
    done: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl Dispatch for Methods {
    async fn call(&self, method: &str, params: Json, mut caller: Caller) -> Result<Json, RpcError> {
        match method {
            "echo" => Ok(params),
            "nothing" => Ok(Json::null()),
            "who" => Ok(Json::of(&caller.uid).expect("a number has a JSON form")),
            "refuse" => Err(RpcError::new(ErrorKind::PlayNotFound, "no such play").hint("look")),
            "panic" => panic!("this method is broken"),
            "hold" => {
                let _ = self.held.send(());
                self.gate.acquire().await.expect("the gate is never closed").forget();
                let _ = self.done.send(());
                Ok(Json::null())
            }
            "linger" => {
                let _ = self.held.send(());
                caller.gone().await;
                let _ = self.done.send(());
                Ok(Json::null())
            }
            _ => Err(hero_rpc::server::method_not_found(method)),
        }
    }

    fn health(&self) -> Health {
        let pid = std::process::id();
        Health { status: "ok".into(), version: "1".into(), data_dir: "/d".into(), pid }
    }

    fn openrpc(&self) -> &'static str {
        r#"{"openrpc":"1.3.2"}"#
    }
}

/// A running server; stops when it is dropped with its runtime.
pub(crate) struct Running {
    pub(crate) socket: PathBuf,
    pub(crate) client: Client,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) held: mpsc::UnboundedReceiver<()>,
    pub(crate) done: mpsc::UnboundedReceiver<()>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) serving: JoinHandle<()>,
    _dir: TempDir,
}

/// Starts a server on a socket of its own.
pub(crate) fn start() -> Running {
    let dir = tempfile::tempdir().expect("the temporary directory can be written");
    let socket = dir.path().join("hero_logic/rpc.sock");
    let listener = hero_rpc::socket::bind(&socket).expect("binds");
    let (held, held_seen) = mpsc::unbounded_channel();
    let (done, done_seen) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let methods = Methods { held, gate: gate.clone(), done };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, Arc::new(methods), async {
        let _ = stopped.await;
    }));
    let client = Client::new(&socket);
    Running { socket, client, gate, held: held_seen, done: done_seen, stop, serving, _dir: dir }
}

/// Sends bytes as they are and gives all that comes back until the server hangs up.
pub(crate) async fn send(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).await.expect("connects");
    // The server may hang up before it has read everything; what it said is there all the same.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("the answer is text")
}

/// One HTTP request with a body of that content type; gives the status and the body.
pub(crate) async fn post(socket: &Path, content_type: &str, body: &[u8]) -> (u16, String) {
    let n_bytes = body.len();
    let mut request = format!(
        "POST /rpc HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {n_bytes}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    parted(&send(socket, &request).await)
}

/// The answer to a `GET`: the status and the body.
pub(crate) async fn get(socket: &Path, target: &str) -> (u16, String) {
    let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    parted(&send(socket, request.as_bytes()).await)
}

fn parted(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("the answer has a head");
    let status = head.split(' ').nth(1).expect("the head has a status");
    (status.parse().expect("the status is a number"), body.to_owned())
}

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("is there").permissions().mode() & 0o777
}
