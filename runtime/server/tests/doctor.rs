//! What the doctor says of an installation. The interpreter is tried from outside, by the installed
//! programs.

#[expect(dead_code, reason = "each test program uses its part of the support")]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use hero_logic_server::doctor::{Check, CheckStatus, examine};
use hero_rpc::paths::Paths;
use support::start;

use CheckStatus::{Fail, Ok, Warn};

/// What is said under this name, without the interpreter.
async fn said(paths: &Paths, name: &str) -> Vec<Check> {
    let checkup = examine(paths, false).await;
    checkup.checks.into_iter().filter(|check| check.name == name).collect()
}

async fn said_once(paths: &Paths, name: &str) -> Check {
    let mut checks = said(paths, name).await;
    assert_eq!(checks.len(), 1, "{checks:?}");
    checks.remove(0)
}

fn in_dir(dir: &Path) -> Paths {
    Paths::new(Some(dir.join("data")), Some(dir.join("s")))
}

#[tokio::test]
async fn where_nothing_is_yet_nothing_is_wrong_and_nothing_is_created() {
    let dir = tempfile::tempdir().expect("a directory");
    let checkup = examine(&in_dir(dir.path()), false).await;
    let names: Vec<_> = checkup.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["server", "interpreter", "data", "space", "sockets", "processes", "store"]);
    for check in checkup.checks.iter().filter(|check| check.name != "interpreter") {
        assert_eq!((check.status, &check.hint), (Ok, &None), "{check:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("reads").count(), 0);
}

#[tokio::test]
async fn a_running_server_is_named_and_its_own_things_are_not_left_over() {
    let running = start().await;
    let server = said_once(&running.paths, "server").await;
    assert!(server.message.contains(&std::process::id().to_string()), "{}", server.message);
    assert_eq!(said_once(&running.paths, "sockets").await.status, Ok);
    let store = said_once(&running.paths, "store").await;
    assert_eq!(store.status, Ok, "{}", store.message);
    assert!(store.message.contains("2 plays") && store.message.contains("in use by"));
    assert!(said(&running.paths, "processes").await.is_empty());
    let repair = examine(&running.paths, true).await;
    assert_eq!(repair.status(), Fail, "there is no repair while it runs");
    running.client().health().await.expect("it goes on");
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_socket_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let paths = in_dir(dir.path());
    let sockets = paths.rpc_socket().parent().expect("a directory").to_owned();
    fs::create_dir_all(&sockets).expect("creates");
    drop(UnixListener::bind(paths.rpc_socket()).expect("binds"));
    let stale = said_once(&paths, "sockets").await;
    assert_eq!(stale.status, Warn, "{}", stale.message);
    assert!(stale.message.contains("rpc.sock") && stale.hint.is_some());
    fs::write(paths.span_socket(), "no socket").expect("writes");
    assert_eq!(said_once(&paths, "sockets").await.status, Fail);
    fs::remove_file(paths.span_socket()).expect("removes");
    fs::set_permissions(&sockets, Permissions::from_mode(0o777)).expect("changes");
    let open = said_once(&paths, "sockets").await;
    assert!(open.status == Fail && open.message.contains("mode 777"), "{}", open.message);
    let long = Paths::new(Some(dir.path().into()), Some(dir.path().join("x".repeat(100))));
    assert_eq!(said_once(&long, "sockets").await.status, Fail);
}

#[tokio::test]
async fn a_damaged_store_fails_until_it_is_repaired_and_the_old_one_is_kept() {
    let running = start().await;
    let paths = running.paths.clone();
    running.server.stop().await.expect("closes");
    assert_eq!(said_once(&paths, "store").await.status, Ok);
    fs::remove_file(paths.store_dir().join("sled/log")).expect("removes");
    let damaged = said(&paths, "store").await;
    assert!(
        damaged.iter().any(|check| check.status == Fail && check.hint.is_some()),
        "{damaged:?}"
    );
    let repaired = examine(&paths, true).await;
    let told = repaired.checks.iter().filter(|check| check.name == "store");
    assert!(told.clone().all(|check| check.status != Fail), "{repaired:?}");
    assert!(told.clone().any(|check| check.message.starts_with("repaired")), "{repaired:?}");
    assert!(paths.data_dir.join("store.damaged-1").exists());
    assert!(said(&paths, "store").await.iter().all(|check| check.status != Fail));
}

#[tokio::test]
async fn what_a_launch_of_a_killed_server_left_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let paths = in_dir(dir.path());
    fs::create_dir_all(paths.run_dir().join("01aaaaaaaaaaaaaaaaaaaaaaaa-1")).expect("creates");
    let left = said_once(&paths, "launches").await;
    assert_eq!((left.status, left.message.starts_with("1 left over")), (Warn, true));
}
