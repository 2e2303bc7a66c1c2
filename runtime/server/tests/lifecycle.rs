//! A server from its start to its stop.

#[expect(dead_code, reason = "each test program uses its part of the support")]
mod support;

use std::pin::pin;
use std::time::{Duration, Instant};

use hero_logic_server::{Config, Server};
use hero_rpc::Client;
use hero_rpc::paths::Paths;
use hero_schema::rpc::PlayPage;
use hero_schema::{ErrorKind, Json, PlayStatus, RequestKind, RpcError, Timestamp};
use hero_store::Write;
use serde_json::{Value, json};
use support::{ASKING, DONE, config, open, start, start_with, waiting};

async fn refused(paths: Paths) -> RpcError {
    match Server::start(config(paths)).await {
        Ok(_) => panic!("a second server started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_directory_that_another_server_holds_is_refused_and_that_server_goes_on() {
    let first = start().await;
    let elsewhere = first.data_dir().join("elsewhere");
    let paths = Paths::new(Some(first.data_dir().into()), Some(elsewhere));
    let error = refused(paths.clone()).await;
    assert_eq!(error.kind, ErrorKind::StoreInUse);
    assert!(
        error.message.contains(&std::process::id().to_string()),
        "it names the holder: {error}"
    );
    assert!(!paths.rpc_socket().exists(), "nothing is left behind");
    first.client().health().await.expect("the first goes on");
}

#[tokio::test]
async fn a_socket_that_another_server_listens_on_is_refused() {
    let first = start().await;
    let other = tempfile::tempdir().expect("a directory");
    let paths = Paths::new(Some(other.path().into()), Some(first.paths.socket_dir.clone()));
    assert_eq!(refused(paths).await.kind, ErrorKind::SocketUnusable);
    first.client().health().await.expect("the first goes on");
}

#[tokio::test]
async fn where_a_socket_path_is_too_long_nothing_is_created() {
    let dir = tempfile::tempdir().expect("a directory");
    let data_dir = dir.path().join("data");
    let paths = Paths::new(Some(data_dir.clone()), Some(dir.path().join("x".repeat(100))));
    assert_eq!(refused(paths).await.kind, ErrorKind::SocketPathTooLong);
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn a_stop_tells_those_who_wait_and_gives_everything_free() {
    let running = start().await;
    let paths = running.paths.clone();
    let client = running.client();
    let other = running.client();
    let params = json!({"play_sid": ASKING});
    let mut wait = pin!(client.call::<_, Value>("play_wait", &params));
    // The wait connects first and is accepted first: it is under way once the others are answered.
    for _ in 0..3 {
        tokio::select! {
            biased;
            ended = &mut wait => panic!("it asks and has not ended: {ended:?}"),
            health = other.health() => drop(health.expect("well")),
        }
    }
    running.server.idle().await;
    let stop = tokio::spawn(running.server.stop());
    let told = wait.await.expect_err("it has not ended");
    assert_eq!(told.kind, ErrorKind::ShuttingDown);
    let stopped = tokio::time::timeout(Duration::from_secs(1), stop).await;
    stopped.expect("nobody is waited for").expect("no panic").expect("closes");
    assert!(!paths.rpc_socket().exists());
    let next = Server::start(config(paths)).await.expect("the directory is free");
    next.stop().await.expect("closes");
}

#[tokio::test]
async fn plays_that_ended_long_ago_are_removed_and_the_others_stay() {
    const CHILD: &str = "01ffffffffffffffffffffffff";
    let mut writes = waiting(CHILD, Some(ASKING), open(RequestKind::Pause, 1));
    let Write::Play(child) = &mut writes[0] else { panic!("the play comes first") };
    (child.status, child.output) = (PlayStatus::Success, Some(Json::null()));
    // Newer than the one that is removed, so looked at before it.
    (child.created_at, child.ended_at) = (Timestamp(9), Some(Timestamp(9)));
    let running = start_with(writes).await;
    let paths = running.paths.clone();
    running.server.stop().await.expect("closes");
    let keep = Some(Duration::from_secs(86_400));
    let server = Server::start(Config { keep, ..config(paths.clone()) }).await.expect("starts");
    let client = Client::new(paths.rpc_socket());
    let deadline = Instant::now() + Duration::from_secs(30);
    let sids = async || -> Vec<String> {
        let page: PlayPage = client.call("play_list", &json!({})).await.expect("a list");
        page.items.into_iter().map(|play| play.sid.to_string()).collect()
    };
    while sids().await.contains(&DONE.to_owned()) {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // One has not ended; the other has, and belongs to it.
    assert_eq!(sids().await, [CHILD, ASKING]);
    server.stop().await.expect("closes");
}
