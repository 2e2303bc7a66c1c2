//! The places: directories, sockets, and what processes have left in them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use hero_rpc::paths::Paths;
use hero_rpc::socket;
use hero_supervisor::checkup;

use super::Check;

/// Less than this is soon used up; a server takes no new plays below a quarter of it.
const FREE_BYTES_LOW: u64 = 256 << 20;
const FREE_BYTES_MIN: u64 = 64 << 20;

pub(super) fn check(paths: &Paths, server_runs: bool) -> Vec<Check> {
    let mut checks = vec![data_dir(paths), space(paths), sockets(paths, server_runs)];
    if !server_runs {
        checks.push(processes(paths));
        checks.extend(launch_dirs(paths));
    }
    checks
}

fn data_dir(paths: &Paths) -> Check {
    const NAME: &str = "data";
    let dir = paths.data_dir.display();
    let found = match fs::metadata(&paths.data_dir) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Check::ok(NAME, format!("`{dir}` is not there yet"));
        }
        Err(error) => {
            return Check::fail(NAME, format!("failed to look at `{dir}`: {error}"))
                .hint("choose a data directory of your own with --data-dir or HERO_HOME");
        }
    };
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return Check::fail(NAME, format!("`{dir}` belongs to user {} and not {me}", found.uid()))
            .hint("choose a data directory of your own with --data-dir or HERO_HOME");
    }
    if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o7777;
        return Check::warn(NAME, format!("others may write to `{dir}` (mode {mode:o})"))
            .hint(format!("chmod go-w '{dir}'"));
    }
    Check::ok(NAME, format!("`{dir}`"))
}

fn space(paths: &Paths) -> Check {
    const NAME: &str = "space";
    // The directory itself may not be there yet.
    let dir = paths.data_dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let disk = match rustix::fs::statvfs(dir) {
        Ok(disk) => disk,
        Err(error) => {
            return Check::warn(
                NAME,
                format!("failed to ask for it in `{}`: {error}", dir.display()),
            );
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let all = disk.f_blocks.saturating_mul(disk.f_frsize);
    let told = format!("{} MiB are free on the disk of `{}`", free >> 20, dir.display());
    // As the store counts it: so much, or a quarter of a small disk.
    if free < FREE_BYTES_MIN.min(all / 4) {
        Check::fail(NAME, told)
            .hint("free some: no new play is taken; those that were accepted still go on")
    } else if free < FREE_BYTES_LOW.min(all / 2) {
        Check::warn(NAME, told).hint("below 64 MiB no new play is taken")
    } else {
        Check::ok(NAME, told)
    }
}

fn sockets(paths: &Paths, server_runs: bool) -> Check {
    const NAME: &str = "sockets";
    let (rpc_socket, span_socket) = (paths.rpc_socket(), paths.span_socket());
    let mut stale = Vec::new();
    for path in [&rpc_socket, &span_socket] {
        if let Err(error) = socket::check_length(path) {
            return Check::failed(NAME, error);
        }
        match state(path, server_runs) {
            State::Fine => {}
            State::Stale => stale.push(format!("`{}`", path.display())),
            State::Unusable(reason) => {
                return Check::fail(NAME, format!("`{}`: {reason}", path.display()))
                    .hint("stop the server and move it out of the way, or choose other sockets with HERO_SOCKET_DIR");
            }
        }
    }
    let dir = rpc_socket.parent().expect("a socket lies in a directory");
    if let Some(mode) = fs::metadata(dir).ok().map(|found| found.mode() & 0o7777)
        && mode & 0o022 != 0
    {
        return Check::fail(
            NAME,
            format!("others may write to `{}` (mode {mode:o})", dir.display()),
        )
        .hint(format!("chmod go-w '{}'", dir.display()));
    }
    if stale.is_empty() {
        return Check::ok(NAME, format!("in `{}`", dir.display()));
    }
    Check::warn(NAME, format!("left by a server that is gone: {}", stale.join(", ")))
        .hint("nothing to do: the next server replaces them")
}

enum State {
    Fine,
    Stale,
    Unusable(String),
}

fn state(path: &Path, server_runs: bool) -> State {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return State::Fine,
        Err(error) => return State::Unusable(error.to_string()),
    };
    if !found.file_type().is_socket() {
        return State::Unusable("something that is no socket stands there".into());
    }
    // Nobody is disturbed who listens.
    match if server_runs { Ok(()) } else { UnixStream::connect(path).map(drop) } {
        Ok(()) if found.mode() & 0o077 != 0 => {
            State::Unusable(format!("others may connect (mode {:o})", found.mode() & 0o7777))
        }
        Ok(()) => State::Fine,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => State::Stale,
        Err(error) => State::Unusable(error.to_string()),
    }
}

/// Processes of launches; to be asked where no server runs.
fn processes(paths: &Paths) -> Check {
    const NAME: &str = "processes";
    let pids = checkup::launch_pids(&paths.span_socket());
    if pids.is_empty() {
        return Check::ok(NAME, "none is left over");
    }
    let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
    Check::warn(NAME, format!("left over from a server that is gone: {}", pids.join(", ")))
        .hint("nothing to do: the next server ends them; or end them with kill")
}

/// Directories of launches; to be asked where no server runs. None where there is nothing to tell.
fn launch_dirs(paths: &Paths) -> Option<Check> {
    let n_left = fs::read_dir(paths.run_dir()).ok()?.count();
    (n_left > 0).then(|| {
        let message = format!("{n_left} left over in `{}`", paths.run_dir().display());
        Check::warn("launches", message).hint("nothing to do: the next server removes them")
    })
}
