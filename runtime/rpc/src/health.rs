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
