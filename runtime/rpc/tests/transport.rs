//! What passes between a client and a server, and what each does when the other goes away.

#[expect(dead_code, reason = "each test program uses its part of the support")]
mod support;

use std::time::Duration;

use hero_rpc::Client;
use hero_schema::rpc::BODY_BYTES_MAX;
use hero_schema::{ErrorKind, Json, RpcError};
use serde_json::{Value, json};
use support::{get, post, send, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Far above what anything here takes; reached only where something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_result_and_an_error_reach_the_client_whole() {
    let server = start();
    let echoed: Value = server.client.call("echo", &json!({"a": [1, "ü"]})).await.expect("echoes");
    assert_eq!(echoed, json!({"a": [1, "ü"]}));
    let nothing = server.client.call_raw("nothing", Json::empty_object()).await.expect("answers");
    assert_eq!(nothing.text(), "null");
    let refused =
        server.client.call_raw("refuse", Json::empty_object()).await.expect_err("refuses");
    assert_eq!(refused, RpcError::new(ErrorKind::PlayNotFound, "no such play").hint("look"));
}

#[tokio::test]
async fn the_server_knows_which_user_asks() {
    let server = start();
    let uid: u32 = server.client.call("who", &json!({})).await.expect("answers");
    assert_eq!(uid, rustix::process::geteuid().as_raw());
}

#[tokio::test]
async fn health_says_whose_data_is_served() {
    let health = start().client.health().await.expect("answers");
    assert_eq!((health.status.as_str(), health.data_dir.as_str()), ("ok", "/d"));
    assert_eq!(health.pid, std::process::id());
}

#[tokio::test]
async fn other_addresses_are_not_found() {
    let server = start();
    assert_eq!(get(&server.socket, "/openrpc.json").await, (200, r#"{"openrpc":"1.3.2"}"#.into()));
    for target in ["/", "/rpc/", "/rpc/x", "/health/", "/../etc/passwd"] {
        assert_eq!(get(&server.socket, target).await.0, 404, "{target}");
    }
    assert_eq!(get(&server.socket, "/rpc").await.0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_calls_are_under_way_at_once() {
    let mut server = start();
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let client = server.client.clone();
            tokio::spawn(async move { client.call::<_, ()>("hold", &json!({})).await })
        })
        .collect();
    for _ in 0..64 {
        let held = tokio::time::timeout(PATIENCE, server.held.recv()).await;
        held.expect("all 64 began before one of them ended").expect("the server runs");
    }
    server.gate.add_permits(64);
    for call in calls {
        call.await.expect("no panic").expect("answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_parallel_calls_each_get_their_own_answer() {
    let server = start();
    let calls: Vec<_> = (0..64)
        .map(|n| {
            let client = server.client.clone();
            tokio::spawn(async move { client.call::<_, Value>("echo", &json!({"n": n})).await })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.expect("no panic").expect("answers"), json!({"n": n}));
    }
}

#[tokio::test]
async fn a_method_that_panics_is_an_internal_error_and_the_server_goes_on() {
    let server = start();
    let error = server.client.call_raw("panic", Json::empty_object()).await.expect_err("fails");
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(!error.message.contains("broken"), "the log has the details: {error}");
    server.client.health().await.expect("goes on");
}

#[tokio::test]
async fn a_call_is_finished_though_its_caller_has_gone() {
    let mut server = start();
    let client = server.client.clone();
    let call = tokio::spawn(async move { client.call_raw("hold", Json::empty_object()).await });
    server.held.recv().await.expect("began");
    call.abort();
    let _ = call.await;
    server.client.health().await.expect("goes on");
    server.gate.add_permits(1);
    let done = tokio::time::timeout(PATIENCE, server.done.recv()).await;
    done.expect("a change is not cut in half").expect("the server runs");
}

#[tokio::test]
async fn a_peer_that_vanishes_at_any_byte_of_its_request_hurts_nobody() {
    let server = start();
    let request = b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                    content-length: 50\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1";
    for n_bytes in 0..=request.len() {
        let mut peer = UnixStream::connect(&server.socket).await.expect("connects");
        peer.write_all(&request[..n_bytes]).await.expect("writes");
    }
    server.client.health().await.expect("goes on");
}

#[tokio::test]
async fn bytes_that_are_no_http_hurt_nobody() {
    let server = start();
    send(&server.socket, &b"\x00\xff no http \r\n\r\n".repeat(100)).await;
    server.client.health().await.expect("goes on");
}

#[tokio::test]
async fn only_json_is_read() {
    let server = start();
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"LogicService.nothing"}"#;
    for refused in
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "*/*"]
    {
        assert_eq!(post(&server.socket, refused, body).await.0, 415, "{refused}");
    }
    for taken in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(post(&server.socket, taken, body).await.0, 200, "{taken}");
    }
}

#[tokio::test]
async fn a_web_page_is_refused_whatever_it_sends() {
    let server = start();
    for origin in ["null", "http://localhost", "https://evil.example", ""] {
        let head = "POST /rpc HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                    content-type: application/json\r\ncontent-length: 2\r\n";
        let request = format!("{head}origin: {origin}\r\n\r\n{{}}");
        let answer = send(&server.socket, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{origin}: {answer}");
    }
}

/// A request whose body has so many bytes.
fn request_of(n_bytes: usize) -> Vec<u8> {
    let mut body = br#"{"jsonrpc":"2.0","id":1,"method":"LogicService.nothing"}"#.to_vec();
    body.resize(n_bytes, b' ');
    body
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read_and_one_above_it_is_refused() {
    let server = start();
    let at_limit = post(&server.socket, "application/json", &request_of(BODY_BYTES_MAX)).await;
    assert_eq!(at_limit.0, 200);
    let above = post(&server.socket, "application/json", &request_of(BODY_BYTES_MAX + 1)).await;
    let answer: Value = serde_json::from_str(&above.1).expect("JSON");
    assert_eq!((above.0, &answer["error"]["data"]["kind"]), (413, &json!("too_large")));
}

#[tokio::test]
async fn the_client_sends_nothing_that_is_too_large() {
    let text = "x".repeat(BODY_BYTES_MAX);
    let client = Client::new("/nowhere/rpc.sock");
    let refused = client.call::<_, Value>("echo", &json!({ "text": text })).await;
    assert_eq!(refused.expect_err("refused").kind, ErrorKind::TooLarge);
}

#[tokio::test]
async fn where_nobody_listens_the_client_says_how_to_start_a_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = Client::new(dir.path().join("rpc.sock")).health().await.expect_err("nobody");
    assert_eq!(error.kind, ErrorKind::ServerUnreachable);
    assert!(error.hint.expect("a hint").contains("hero_logic"));
}

#[tokio::test]
async fn a_stopping_server_answers_what_is_under_way_and_takes_nothing_new() {
    let mut server = start();
    let client = server.client.clone();
    let call = tokio::spawn(async move { client.call_raw("hold", Json::empty_object()).await });
    server.held.recv().await.expect("began");
    server.stop.send(()).expect("the server listens for this");
    server.gate.add_permits(1);
    call.await.expect("no panic").expect("is answered");
    let served = tokio::time::timeout(PATIENCE, server.serving).await;
    served.expect("ends").expect("no panic");
    let error = server.client.health().await.expect_err("has stopped");
    assert_eq!(error.kind, ErrorKind::ServerUnreachable);
}

#[tokio::test]
async fn a_method_that_waits_hears_that_its_caller_has_gone() {
    let mut server = start();
    let client = server.client.clone();
    let call = tokio::spawn(async move { client.call_raw("linger", Json::empty_object()).await });
    server.held.recv().await.expect("began");
    call.abort();
    let done = tokio::time::timeout(PATIENCE, server.done.recv()).await;
    done.expect("nobody waits for nobody").expect("the server runs");
}

#[tokio::test]
async fn a_stopping_server_waits_for_no_half_request() {
    let server = start();
    let mut half = UnixStream::connect(&server.socket).await.expect("connects");
    half.write_all(b"POST /rpc HTTP/1.1\r\n").await.expect("writes");
    server.client.health().await.expect("both are connected");
    server.stop.send(()).expect("the server listens for this");
    let served = tokio::time::timeout(PATIENCE, server.serving).await;
    served.expect("ends").expect("no panic");
}

/// What the client makes of a server that answers with these bytes and hangs up.
async fn told_by(answer: String) -> RpcError {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).expect("binds");
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("connects");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    });
    let error = Client::new(&socket).call_raw("echo", Json::empty_object()).await;
    answering.await.expect("no panic");
    error.expect_err("no result")
}

#[tokio::test]
async fn a_server_that_hangs_up_or_talks_nonsense_is_an_error_that_says_so() {
    let with_body =
        |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let newer =
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m","data":{"kind":"new"}}}"#;
    let cases = [
        (String::new(), ErrorKind::ServerUnreachable),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into(), ErrorKind::ServerUnreachable),
        ("what?\r\n\r\n".into(), ErrorKind::ServerUnreachable),
        (with_body(""), ErrorKind::Internal),
        (with_body("{}"), ErrorKind::Internal),
        (with_body("[]"), ErrorKind::Internal),
        // A kind that a newer server has added.
        (with_body(newer), ErrorKind::Internal),
    ];
    for (answer, kind) in cases {
        let error = told_by(answer.clone()).await;
        assert_eq!(error.kind, kind, "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_told_before_connecting() {
    let path = format!("/{}", "x".repeat(107));
    let error = Client::new(path).health().await.expect_err("too long");
    assert_eq!(error.kind, ErrorKind::SocketPathTooLong);
}
