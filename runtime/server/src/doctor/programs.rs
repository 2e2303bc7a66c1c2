//! The programs: which server runs, and which interpreter would run the plays.

use std::path::Path;

use hero_rpc::Client;
use hero_rpc::health::Health;
use hero_rpc::paths::Paths;
use hero_schema::RpcError;
use hero_schema::rpc::{ForkServerState, Nothing, Stats};
use hero_supervisor::checkup::{self, Interpreter};

use super::{Check, is_silent};
use crate::errors;
use crate::service::VERSION;

pub(super) fn server(paths: &Paths, server: &Result<Health, RpcError>) -> Check {
    const NAME: &str = "server";
    let health = match server {
        Ok(health) => health,
        Err(_) if is_silent(server) => {
            return Check::ok(NAME, format!("none runs; this is version {VERSION}"));
        }
        Err(error) => return Check::failed(NAME, error.clone()),
    };
    let Health { version, pid, data_dir, .. } = health;
    let is_same = |one: &Path, other: &Path| {
        one == other
            || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
    };
    if !is_same(data_dir.as_ref(), &paths.data_dir) {
        return Check::fail(NAME, format!("the one on the socket (pid {pid}) serves `{data_dir}`"))
            .hint("choose its directory with --data-dir, or other sockets with HERO_SOCKET_DIR");
    }
    if version != VERSION {
        return Check::warn(NAME, format!("version {version} runs (pid {pid}); this is {VERSION}"))
            .hint("restart it: `hero_logic --stop`, then `hero_logic --start`; no play is lost");
    }
    Check::ok(NAME, format!("version {version} runs (pid {pid})"))
}

/// How the processes of launches come into being, for what was launched lately.
pub(super) async fn forks(client: &Client) -> Vec<Check> {
    const NAME: &str = "forks";
    let stats: Stats = match client.call("stats", &Nothing {}).await {
        Ok(stats) => stats,
        Err(error) => return vec![Check::failed(NAME, error)],
    };
    let told = |state: &ForkServerState| {
        let ForkServerState { python, version_sid, n_launches, .. } = state;
        match (state.pid, &state.reason) {
            (Some(pid), _) => format!(
                "launches of version {version_sid} are forked from process {pid} of `{python}`, {n_launches} so far"
            ),
            (None, reason) => format!(
                "launches of version {version_sid} each start `{python}`, which takes longer: {}",
                reason.as_deref().unwrap_or("nobody knows why")
            ),
        }
    };
    stats.fork_servers.iter().map(|state| Check::ok(NAME, told(state))).collect()
}

pub(super) async fn interpreter() -> Check {
    const NAME: &str = "interpreter";
    let Interpreter { path, pyhero_version } = match checkup::interpreter(None).await {
        Ok(interpreter) => interpreter,
        Err(error) => return Check::failed(NAME, errors::of_supervisor(error)),
    };
    let path = path.display();
    match pyhero_version {
        None => Check::warn(NAME, format!("`{path}` has a `pyhero` of no version"))
            .hint("install the package into it, as `pip install ./pyhero` does"),
        Some(version) if version == VERSION => {
            Check::ok(NAME, format!("`{path}` has `pyhero` {version}"))
        }
        Some(version) => {
            Check::fail(NAME, format!("`{path}` has `pyhero` {version}; this is {VERSION}")).hint(
                "the package and the programs belong together: install the same version of both",
            )
        }
    }
}
