//! `hero_logic units`

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use hero_schema::{ErrorKind, RpcError, exit};

use super::Context;
use crate::output::Stopped;
use crate::services::{ADMIN, SERVER, find_program};

const UNITS: [(&str, &str); 2] = [
    (SERVER, include_str!("../../units/hero_logic_server.service")),
    (ADMIN, include_str!("../../units/hero_logic_admin.service")),
];

/// Units for the programs that are installed, the data directory, and the user that asks.
pub(crate) fn run(dir: &Path, context: &Context) -> Result<i32, Stopped> {
    let paths = &context.place.paths;
    let rpc_socket = paths.rpc_socket();
    let service_dir = rpc_socket.parent().unwrap_or(&paths.socket_dir);
    let user = rustix::process::getuid().as_raw().to_string();
    let mut units = Vec::new();
    for (program, template) in UNITS {
        let text = template
            .replace("@USER@", &user)
            .replace("@PROGRAM@", word(&find_program(program)?)?)
            .replace("@DATA_DIR@", word(&paths.data_dir)?)
            .replace("@SOCKET_DIR@", word(&paths.socket_dir)?)
            .replace("@SERVICE_DIR@", word(service_dir)?);
        units.push((dir.join(format!("{program}.service")), text));
    }
    // The web UI may write there only, and could not create it.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(service_dir)
        .map_err(|error| unusable(service_dir, &error))?;
    std::fs::create_dir_all(dir).map_err(|error| unusable(dir, &error))?;
    for (path, text) in &units {
        std::fs::write(path, text).map_err(|error| unusable(path, &error))?;
        context.output.tell(&format!("wrote {}", path.display()));
    }
    Ok(exit::SUCCESS)
}

/// The path as it stands between quotes in a unit.
fn word(path: &Path) -> Result<&str, RpcError> {
    let is_plain = |text: &&str| !text.contains(|c: char| c.is_control() || "\"\\$%".contains(c));
    path.to_str().filter(is_plain).ok_or_else(|| {
        let message = format!("`{}` cannot stand in a unit file", path.display());
        RpcError::new(ErrorKind::InvalidParams, message)
            .hint("choose a path without quotes, backslashes, `$` and `%`")
    })
}

fn unusable(path: &Path, error: &std::io::Error) -> RpcError {
    RpcError::new(
        ErrorKind::FileUnreadable,
        format!("failed to write `{}`: {error}", path.display()),
    )
    .hint("choose a directory of your own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_mean_something_else_in_a_unit_is_refused() {
        assert_eq!(word(Path::new("/a b/c")).expect("plain"), "/a b/c");
        for path in ["/a\"b", "/a\\b", "/a$HOME", "/100%", "/a\nb"] {
            assert!(word(Path::new(path)).is_err(), "{path}");
        }
    }
}
