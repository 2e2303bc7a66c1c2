//! What `GET /health` tells.

use serde::{Deserialize, Serialize};

/// Who listens on a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Always `ok`: a server that is not does not answer.
    pub status: String,
    /// The version of the program.
    pub version: String,
    /// The directory that it keeps its data in, absolute.
    pub data_dir: String,
    /// Its process.
    pub pid: u32,
}

impl Health {
    /// The health of this process.
    pub fn of_this_process(version: &str, data_dir: &std::path::Path) -> Self {
        Self {
            status: "ok".into(),
            version: version.into(),
            data_dir: data_dir.display().to_string(),
            pid: std::process::id(),
        }
    }
}
