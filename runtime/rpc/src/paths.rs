//! Where a server keeps its data and its sockets. Names paths only; creates nothing.

use std::path::{Path, PathBuf};

use hero_schema::env;

/// The folder of this service in a directory of sockets.
const SERVICE_DIR: &str = "hero_logic";

/// The directories of one server; both absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The directory that holds `hero_logic/*.sock`; services may share it.
    pub socket_dir: PathBuf,
}

impl Paths {
    /// The directories as given. None takes `$HERO_HOME`, else `~/hero`, for the data, and
    /// `$HERO_SOCKET_DIR`, else `var/sockets` in the data directory, for the sockets.
    pub fn new(data_dir: Option<PathBuf>, socket_dir: Option<PathBuf>) -> Self {
        let data_dir = data_dir.or_else(|| from_env(env::HOME)).unwrap_or_else(home);
        let socket_dir = socket_dir
            .or_else(|| from_env(env::SOCKET_DIR))
            .unwrap_or_else(|| data_dir.join("var/sockets"));
        Self { data_dir: absolute(&data_dir), socket_dir: absolute(&socket_dir) }
    }

    /// The socket of the JSON-RPC server.
    pub fn rpc_socket(&self) -> PathBuf {
        self.service_dir().join("rpc.sock")
    }

    /// The socket on which launches report.
    pub fn span_socket(&self) -> PathBuf {
        self.service_dir().join("span.sock")
    }

    /// The socket of the web UI.
    pub fn admin_socket(&self) -> PathBuf {
        self.service_dir().join("admin.sock")
    }

    /// The file that holds the address of the web UI.
    pub fn admin_url_file(&self) -> PathBuf {
        self.service_dir().join("admin.url")
    }

    /// The plays.
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// The secrets that are signed with.
    pub fn keys_dir(&self) -> PathBuf {
        self.data_dir.join("keys")
    }

    /// What launches need while they run.
    pub fn run_dir(&self) -> PathBuf {
        self.data_dir.join("run")
    }

    /// The code of every version.
    pub fn bundles_dir(&self) -> PathBuf {
        self.data_dir.join("bundles")
    }

    /// What the programs log when no terminal shows it.
    pub fn log_dir(&self) -> PathBuf {
        self.data_dir.join("var/log")
    }

    fn service_dir(&self) -> PathBuf {
        self.socket_dir.join(SERVICE_DIR)
    }
}

/// A variable that is set to nothing counts as not set.
fn from_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_default().join("hero")
}

/// Fails only for an empty path or a working directory that is gone; then the path stays as it is
/// and the first use of it says what is wrong.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_live_in_the_data_directory_unless_told_otherwise() {
        let paths = Paths::new(Some("/d".into()), Some("/s".into()));
        assert_eq!(paths.rpc_socket(), Path::new("/s/hero_logic/rpc.sock"));
        assert_eq!(paths.store_dir(), Path::new("/d/store"));
        if std::env::var_os(env::SOCKET_DIR).is_none() {
            let paths = Paths::new(Some("/d".into()), None);
            assert_eq!(paths.span_socket(), Path::new("/d/var/sockets/hero_logic/span.sock"));
        }
    }

    #[test]
    fn relative_directories_are_made_absolute() {
        let here = std::env::current_dir().expect("there is a working directory");
        let paths = Paths::new(Some("d".into()), Some("s".into()));
        assert_eq!((paths.data_dir, paths.socket_dir), (here.join("d"), here.join("s")));
    }
}
