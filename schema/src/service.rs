//! `service.toml`: what a program is, which sockets it binds and which variables it reads.

use serde::{Deserialize, Serialize};

/// The manifest at the crate root of each program. `--info` prints it as it stands in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceManifest {
    /// Who it is.
    pub service: ServiceIdentity,
    /// The sockets it binds.
    #[serde(default)]
    pub sockets: Vec<ServiceSocket>,
    /// The environment variables it reads.
    #[serde(default)]
    pub env: Vec<ServiceVariable>,
}

/// See [`ServiceManifest::service`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceIdentity {
    /// The program's name.
    pub name: String,
    /// What kind of program it is.
    pub kind: ServiceKind,
    /// One line for people.
    pub description: String,
}

/// The kinds of program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// Ends when its command is done.
    Cli,
    /// Serves until it is stopped.
    Server,
    /// Serves people.
    Admin,
}

/// See [`ServiceManifest::sockets`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSocket {
    /// Its file below the socket directory, or its address.
    pub path: String,
    /// What is spoken on it.
    pub protocol: String,
}

/// See [`ServiceManifest::env`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceVariable {
    /// Its name.
    pub name: String,
    /// What holds where it is not set.
    #[serde(default)]
    pub default: Option<String>,
    /// What it says.
    pub description: String,
}
