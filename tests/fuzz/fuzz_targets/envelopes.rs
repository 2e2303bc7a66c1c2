//! Bodies of `POST /rpc`, over a real socket: every one gets an answer that a client can read.

#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use hero_rpc::health::Health;
use hero_rpc::server::{Caller, Dispatch, method_not_found, serve};
use hero_schema::{Json, RpcError};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

fuzz_target!(|body: &[u8]| {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(Server::start);
    let (status, answer) = server.runtime.block_on(server.post(body));
    if status == 204 {
        assert!(answer.is_empty());
        return;
    }
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&answer).expect("the answer is JSON");
    let answers = answer.as_array().cloned().unwrap_or_else(|| vec![answer]);
    assert!(!answers.is_empty());
    for answer in answers {
        assert_eq!(answer["jsonrpc"], "2.0");
        assert!(answer.get("id").is_some());
        assert_ne!(answer.get("result").is_some(), answer.get("error").is_some());
    }
});

struct Server {
    runtime: Runtime,
    socket: PathBuf,
}

impl Server {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("starts");
        // It lasts as long as the process.
        let socket = tempfile::tempdir().expect("is made").keep().join("hero_logic/rpc.sock");
        let listener = {
            let _entered = runtime.enter();
            hero_rpc::socket::bind(&socket).expect("binds")
        };
        runtime.spawn(serve(listener, Arc::new(Echo), std::future::pending()));
        Self { runtime, socket }
    }

    async fn post(&self, body: &[u8]) -> (u16, String) {
        let mut stream = UnixStream::connect(&self.socket).await.expect("connects");
        let head = format!(
            "POST /rpc HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("is taken");
        stream.write_all(body).await.expect("is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("has a head");
        let status = head.split(' ').nth(1).expect("has a status");
        (status.parse().expect("is a number"), body.to_owned())
    }
}

/// Gives back what it is given.
struct Echo;

#[async_trait::async_trait]
impl Dispatch for Echo {
    async fn call(&self, method: &str, params: Json, _: Caller) -> Result<Json, RpcError> {
        match method {
            "echo" => Ok(params),
            other => Err(method_not_found(other)),
        }
    }

    fn health(&self) -> Health {
        Health {
            status: "ok".into(),
            version: "0".into(),
            data_dir: "/".into(),
            pid: std::process::id(),
        }
    }

    fn openrpc(&self) -> &'static str {
        "{}"
    }
}
