//! Where an installation keeps its data and its sockets: one rule for all programs.

use std::env;
use std::path::{Path, PathBuf};

use hero_schema::{ErrorKind, RpcError, env as names};

/// The places of one installation. Nothing is created or looked at before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    data_dir: PathBuf,
    socket_dir: PathBuf,
}

impl Paths {
    /// Takes what was given, else `$HERO_HOME` and `$HERO_SOCKET_DIR`, else `~/hero` and
    /// `<data dir>/var/sockets`. A variable that is empty counts as not set, and a relative path is
    /// taken from the current directory.
    ///
    /// # Errors
    /// No data directory is given and there is no home directory.
    pub fn resolve(
        data_dir: Option<PathBuf>,
        socket_dir: Option<PathBuf>,
    ) -> Result<Self, RpcError> {
        let data_dir = data_dir.or_else(|| variable(names::HOME)).or_else(default_data_dir);
        let Some(data_dir) = data_dir else {
            return Err(RpcError::new(
                ErrorKind::InvalidParams,
                "no data directory is given and `$HOME` is not set",
            )
            .hint(format!("set {}, or give --data-dir", names::HOME)));
        };
        let data_dir = absolute(data_dir)?;
        let socket_dir = match socket_dir.or_else(|| variable(names::SOCKET_DIR)) {
            Some(dir) => absolute(dir)?,
            None => data_dir.join("var/sockets"),
        };
        Ok(Self { data_dir, socket_dir })
    }

    /// What everything else lies in, unless the sockets are elsewhere. Absolute.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The store. One process at a time holds it.
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// Unpacked versions; can be made again from the store.
    pub fn bundles_dir(&self) -> PathBuf {
        self.data_dir.join("bundles")
    }

    /// The files of running launches.
    pub fn run_dir(&self) -> PathBuf {
        self.data_dir.join("run")
    }

    /// Where the JSON-RPC server listens.
    pub fn rpc_socket(&self) -> PathBuf {
        self.socket("rpc.sock")
    }

    /// Where launches report.
    pub fn span_socket(&self) -> PathBuf {
        self.socket("span.sock")
    }

    /// Where the web UI listens.
    pub fn admin_socket(&self) -> PathBuf {
        self.socket("admin.sock")
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.socket_dir.join("hero_logic").join(name)
    }
}

fn default_data_dir() -> Option<PathBuf> {
    variable("HOME").map(|home| home.join("hero"))
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn absolute(path: PathBuf) -> Result<PathBuf, RpcError> {
    std::path::absolute(&path).map_err(|error| {
        let message = format!("failed to make `{}` absolute: {error}", path.display());
        RpcError::new(ErrorKind::InvalidParams, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_lie_in_the_data_directory_unless_they_are_put_elsewhere() {
        // The environment of the test run may name a socket directory.
        if variable(names::SOCKET_DIR).is_none() {
            let paths = Paths::resolve(Some("/d".into()), None).expect("absolute");
            assert_eq!(paths.rpc_socket(), Path::new("/d/var/sockets/hero_logic/rpc.sock"));
        }
        let paths = Paths::resolve(Some("/d".into()), Some("/s".into())).expect("absolute");
        assert_eq!(paths.span_socket(), Path::new("/s/hero_logic/span.sock"));
        assert_eq!(paths.store_dir(), Path::new("/d/store"));
    }

    #[test]
    fn a_relative_directory_is_taken_from_the_current_one() {
        let paths = Paths::resolve(Some("d".into()), Some("s".into())).expect("absolute");
        assert!(paths.data_dir().is_absolute() && paths.data_dir().ends_with("d"));
        assert!(paths.admin_socket().is_absolute());
    }
}
