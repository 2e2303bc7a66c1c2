//! The Unix socket: private to its owner, and of one server at a time.
//!
//! What keeps strangers out is the directory, which nobody else may write to; the mode of the socket
//! and the user id of every peer are checked on top of it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hero_schema::{ErrorKind, RpcError, env};
use tokio::net::{UnixListener, UnixStream};

/// The longest path of a Unix socket, in bytes: `sun_path` less its closing NUL.
pub const PATH_BYTES_MAX: usize = 107;

/// How long to wait before accepting again after an error, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket that peers of the same user may connect to. Dropping it removes the socket.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file that was bound.
    identity: Option<(u64, u64)>,
}

/// Binds a private socket; must be called within a Tokio runtime.
///
/// The directory is created for its owner alone. A socket that a dead server left behind is replaced.
///
/// # Errors
/// [`ErrorKind::SocketPathTooLong`]; and [`ErrorKind::SocketUnusable`] where a server listens there
/// already, something else stands in the way, or others may write to the directory.
pub fn bind(path: &Path) -> Result<Listener, RpcError> {
    check_length(path)?;
    let dir = path.parent().ok_or_else(|| unusable(path, "it has no directory"))?;
    create_private(dir).map_err(|reason| unusable(path, &reason))?;
    // Of two servers that find the same dead socket, the second must see the first one's live one.
    // The lock is on the directory and gone with `_turn`.
    let _turn = lock(dir)
        .map_err(|e| unusable(path, &format!("failed to lock `{}`: {e}", dir.display())))?;
    clear_the_way(path)?;
    let bound = UnixListener::bind(path).and_then(|listener| {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    match bound {
        Ok(listener) => Ok(Listener { listener, path: path.to_owned(), identity: identity(path) }),
        Err(error) => Err(unusable(path, &error.to_string())),
    }
}

impl Listener {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next peer of our own user, with its user id. Others are hung up on.
    ///
    /// Cancel-safe: a peer is either returned or stays in the queue.
    pub async fn accept(&self) -> (UnixStream, u32) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match peer_uid(&stream) {
                    Ok(uid) if uid == own_uid() => return (stream, uid),
                    Ok(uid) => tracing::warn!(uid, "hung up on a process of another user"),
                    Err(error) => tracing::warn!(%error, "hung up on a peer without credentials"),
                },
                Err(error) => {
                    tracing::error!(%error, socket = %self.path.display(), "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    /// Removes the socket, unless that of another server has taken its place. Until it is removed it
    /// is listened on, so that nobody takes its place in between.
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Whoever comes next replaces it as the socket of a server that is gone.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Refuses a path that no Unix socket can have.
///
/// # Errors
/// [`ErrorKind::SocketPathTooLong`]
pub fn check_length(path: &Path) -> Result<(), RpcError> {
    let n_bytes = path.as_os_str().len();
    if n_bytes <= PATH_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "socket path `{}` has {n_bytes} bytes, and the system allows {PATH_BYTES_MAX}",
        path.display()
    );
    Err(RpcError::new(ErrorKind::SocketPathTooLong, message)
        .hint(format!("set {} to a short directory, such as one in /run/user", env::SOCKET_DIR)))
}

/// The user whose sockets and peers are trusted: ours.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user that the process at the other end belongs to.
pub(crate) fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    stream.peer_cred().map(|peer| peer.uid())
}

/// Creates the directory, or checks the one that is there.
fn create_private(dir: &Path) -> Result<(), String> {
    let failed =
        |what: &str, error: io::Error| format!("failed to {what} `{}`: {error}", dir.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| failed("create", error))?;
    let found = fs::symlink_metadata(dir).map_err(|error| failed("look at", error))?;
    let dir = dir.display();
    if found.is_symlink() {
        return Err(format!("`{dir}` is a symbolic link"));
    }
    if found.uid() != own_uid() {
        return Err(format!("`{dir}` belongs to user {}", found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return Err(format!("others may write to `{dir}` (mode {:o})", found.mode() & 0o7777));
    }
    Ok(())
}

fn lock(dir: &Path) -> io::Result<File> {
    let dir = File::open(dir)?;
    dir.lock()?;
    Ok(dir)
}

/// Removes a socket that nobody listens on any more, and refuses everything else.
fn clear_the_way(path: &Path) -> Result<(), RpcError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(path, &error.to_string())),
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        return Err(unusable(path, "something that is no socket stands there"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(RpcError::new(
            ErrorKind::SocketUnusable,
            format!("another server listens on `{}` already", path.display()),
        )
        .hint("use that one, stop it, or choose another data directory")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(socket = %path.display(), "replaced the socket of a server that is gone");
            fs::remove_file(path).map_err(|error| unusable(path, &error.to_string()))
        }
        Err(error) => Err(unusable(path, &error.to_string())),
    }
}

fn unusable(path: &Path, reason: &str) -> RpcError {
    let message = format!("failed to listen on `{}`: {reason}", path.display());
    RpcError::new(ErrorKind::SocketUnusable, message)
        .hint(format!("choose a directory of your own with --data-dir or {}", env::SOCKET_DIR))
}
