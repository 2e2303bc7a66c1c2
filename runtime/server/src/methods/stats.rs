//! `stats`

use hero_schema::RpcError;
use hero_schema::rpc::{Nothing, Stats};

use crate::service::{Service, VERSION};

pub(crate) async fn run(service: &Service, _: Nothing) -> Result<Stats, RpcError> {
    Ok(Stats {
        version: VERSION.into(),
        build_nr: option_env!("HERO_BUILD_NR").map(Into::into),
        data_dir: service.data_dir.display().to_string(),
        pid: std::process::id(),
        n_launches: service.supervisor.n_launches(),
        fork_servers: service.supervisor.fork_servers(),
    })
}
