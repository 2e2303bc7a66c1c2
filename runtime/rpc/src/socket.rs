//! What both ends of a Unix socket hold to: how long its path may be, and who may speak.

use std::io;
use std::path::Path;

use hero_schema::{ErrorKind, RpcError, env};
use tokio::net::UnixStream;

/// The longest path of a Unix socket, in bytes: `sun_path` less its closing NUL.
pub(crate) const PATH_BYTES_MAX: usize = 107;

/// Refuses a path that no Unix socket can have.
pub(crate) fn check_length(path: &Path) -> Result<(), RpcError> {
    let n_bytes = path.as_os_str().len();
    if n_bytes <= PATH_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "socket path `{}` has {n_bytes} bytes and the system allows {PATH_BYTES_MAX}",
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
