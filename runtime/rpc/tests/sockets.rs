//! Where a server may listen, and where it refuses to.

#[expect(dead_code, reason = "each test program uses its part of the support")]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use hero_rpc::socket::bind;
use hero_schema::{ErrorKind, RpcError};
use support::mode;
use tempfile::TempDir;

/// A temporary directory and the path of a socket two levels below it.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("the temporary directory can be written");
    let socket = dir.path().join("sockets/hero_logic/rpc.sock");
    (dir, socket)
}

fn refusal(socket: &Path, kind: ErrorKind) -> RpcError {
    let error = bind(socket).expect_err("refused");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.hint.is_some(), "{error}");
    error
}

/// Makes the directory of a socket with those permissions.
fn dir_of(socket: &Path, mode: u32) -> &Path {
    let dir = socket.parent().expect("has a parent");
    fs::create_dir_all(dir).expect("creates");
    fs::set_permissions(dir, Permissions::from_mode(mode)).expect("is ours");
    dir
}

#[tokio::test]
async fn the_socket_and_its_directory_are_their_owners_alone() {
    let (_dir, socket) = place();
    let _listener = bind(&socket).expect("binds");
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().expect("has a parent")), 0o700);
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_replaced() {
    let (_dir, socket) = place();
    dir_of(&socket, 0o700);
    drop(UnixListener::bind(&socket).expect("binds"));
    assert!(socket.exists(), "a dead server leaves its socket behind");
    bind(&socket).expect("replaces it");
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_left_to_him() {
    let (_dir, socket) = place();
    let _first = bind(&socket).expect("binds");
    let error = refusal(&socket, ErrorKind::SocketUnusable);
    assert!(error.message.contains("another server listens on"), "{error}");
    UnixListener::bind(&socket).expect_err("the first socket is still there");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_never_removed() {
    let (_dir, socket) = place();
    dir_of(&socket, 0o700);
    fs::write(&socket, "precious").expect("writes");
    refusal(&socket, ErrorKind::SocketUnusable);
    assert_eq!(fs::read_to_string(&socket).expect("is there"), "precious");
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_refused_with_the_way_out() {
    let (dir, _) = place();
    let base = dir.path().as_os_str().len();
    let of_length = |n_bytes: usize| dir.path().join("x".repeat(n_bytes - base - 3)).join("s");
    assert_eq!(of_length(107).as_os_str().len(), 107);
    bind(&of_length(107)).expect("fits");
    let too_long = of_length(108);
    let error = refusal(&too_long, ErrorKind::SocketPathTooLong);
    assert!(error.hint.expect("a hint").contains("HERO_SOCKET_DIR"));
    assert!(!too_long.parent().expect("has a parent").exists(), "nothing is created");
}

#[tokio::test]
async fn a_directory_that_others_can_write_is_refused() {
    for unsafe_mode in [0o777, 0o770, 0o720, 0o702, 0o1777] {
        let (_dir, socket) = place();
        dir_of(&socket, unsafe_mode);
        refusal(&socket, ErrorKind::SocketUnusable);
        assert!(!socket.exists(), "{unsafe_mode:o}");
    }
}

#[tokio::test]
async fn a_directory_that_is_a_symlink_is_refused() {
    let (dir, socket) = place();
    let target = dir.path().join("elsewhere");
    fs::create_dir(&target).expect("creates");
    let service_dir = socket.parent().expect("has a parent");
    fs::create_dir_all(service_dir.parent().expect("has a parent")).expect("creates");
    symlink(&target, service_dir).expect("links");
    refusal(&socket, ErrorKind::SocketUnusable);
    assert_eq!(fs::read_dir(&target).expect("is there").count(), 0);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let (dir, _) = place();
    let file = dir.path().join("file");
    fs::write(&file, "").expect("writes");
    let error = refusal(&file.join("below/rpc.sock"), ErrorKind::SocketUnusable);
    assert!(error.message.contains("below"), "{error}");
}

#[tokio::test]
async fn a_server_that_stops_leaves_the_socket_of_its_successor() {
    let (_dir, socket) = place();
    let first = bind(&socket).expect("binds");
    fs::remove_file(&socket).expect("a stopping server takes its socket away first");
    let _second = bind(&socket).expect("binds");
    drop(first);
    assert!(socket.exists(), "the successor can still be reached");
}

#[tokio::test]
async fn of_many_that_find_a_dead_socket_one_gets_it() {
    // Many rounds, because two must meet between looking and binding.
    for _ in 0..500 {
        let (_dir, socket) = place();
        dir_of(&socket, 0o700);
        drop(UnixListener::bind(&socket).expect("binds"));
        let binders: Vec<_> = (0..4)
            .map(|_| {
                let socket = socket.clone();
                tokio::task::spawn_blocking(move || bind(&socket))
            })
            .collect();
        let mut bound = Vec::new();
        for binder in binders {
            bound.extend(binder.await.expect("no panic"));
        }
        assert_eq!(bound.len(), 1);
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_the_socket_is_never_followed() {
    for target in ["/dev/null", "nowhere", "live.sock"] {
        let (_dir, socket) = place();
        let _live = UnixListener::bind(dir_of(&socket, 0o700).join("live.sock")).expect("binds");
        symlink(target, &socket).expect("links");
        refusal(&socket, ErrorKind::SocketUnusable);
        assert!(socket.is_symlink(), "it is still there");
    }
}

#[tokio::test]
async fn a_server_that_has_stopped_leaves_nothing_behind() {
    let (_dir, socket) = place();
    drop(bind(&socket).expect("binds"));
    assert_eq!(fs::read_dir(socket.parent().expect("has a parent")).expect("is there").count(), 0);
}
