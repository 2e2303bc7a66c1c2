//! Looks at an installation from outside: what a server would stumble over, and what one has left.
//!
//! It changes nothing, except that a repair saves what is readable of a damaged store.

mod places;
mod programs;
mod store;

use hero_rpc::Client;
use hero_rpc::health::Health;
use hero_rpc::paths::Paths;
use hero_schema::{ErrorKind, RpcError};
use serde::Serialize;

/// Everything that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Checkup {
    /// In the order in which one thing rests on another.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// How it is.
    pub status: CheckStatus,
    /// That in words.
    pub message: String,
    /// What to do; None where there is nothing to do.
    pub hint: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Plays can be carried all the same.
    Warn,
    /// Plays cannot be carried, or something was lost.
    Fail,
}

impl Checkup {
    /// The worst of all.
    pub fn status(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok)
    }
}

impl Check {
    fn new(name: &'static str, status: CheckStatus, message: impl Into<String>) -> Self {
        Self { name, status, message: message.into(), hint: None }
    }

    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Ok, message)
    }

    fn warn(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Warn, message)
    }

    fn fail(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Fail, message)
    }

    /// What an error says, and its own hint.
    fn failed(name: &'static str, error: RpcError) -> Self {
        Self { hint: error.hint, ..Self::fail(name, error.message) }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Looks at everything. With `repair`, a damaged store is replaced by what can be read of it; that is
/// refused while a process has it open.
pub async fn examine(paths: &Paths, repair: bool) -> Checkup {
    let client = Client::new(paths.rpc_socket());
    let server = client.health().await;
    let mut checks = vec![programs::server(paths, &server), programs::interpreter().await];
    if server.is_ok() {
        checks.extend(programs::forks(&client).await);
    }
    checks.extend(places::check(paths, server.is_ok()));
    checks.extend(store::check(paths, repair).await);
    Checkup { checks }
}

/// Whether nobody listens, as opposed to someone who answers otherwise.
fn is_silent(server: &Result<Health, RpcError>) -> bool {
    matches!(server, Err(error) if error.kind == ErrorKind::ServerUnreachable)
}
