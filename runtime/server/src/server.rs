//! A server from its start to its stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hero_rpc::paths::Paths;
use hero_schema::{ErrorKind, RpcError, env};
use hero_store::{SledStore, Store};
use hero_supervisor::{Allowed, Settings, Supervisor};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::errors;
use crate::retention::Sweeper;
use crate::service::Service;

/// How long a process has between SIGTERM and SIGKILL, and to its next step when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Where a server works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its data directory and its sockets.
    pub paths: Paths,
    /// The interpreter of plays that name none; None looks for one.
    pub python: Option<PathBuf>,
    /// Whether plays that have no process are relaunched at start.
    pub recover: bool,
    /// Whether schedules fire.
    pub fires: bool,
    /// For how long plays are kept after their end; None keeps them for ever.
    pub keep: Option<Duration>,
}

/// A running server.
pub struct Server {
    supervisor: Supervisor,
    store: Arc<dyn Store>,
    /// Whether it keeps plays going, and posts their outcomes.
    carries: bool,
    /// Dropped at the stop: `serve` and every call that waits look at it.
    running: watch::Sender<()>,
    serving: JoinHandle<()>,
    /// Removes old plays, where that is wanted.
    retention: JoinHandle<()>,
}

impl Server {
    /// Opens the store, binds the sockets, answers calls from now on, and relaunches what an earlier
    /// server left behind.
    ///
    /// # Errors
    /// The data directory is in use or damaged, or a socket cannot be bound. Nothing keeps running.
    pub async fn start(config: Config) -> Result<Self, RpcError> {
        let paths = config.paths;
        let (rpc_socket, span_socket) = (paths.rpc_socket(), paths.span_socket());
        let (public_url, allowed_callbacks) = (public_url()?, allowed_callbacks()?);
        // Before anything is created: a directory that cannot work stays as it was.
        hero_rpc::socket::check_length(&rpc_socket)?;
        hero_rpc::socket::check_length(&span_socket)?;
        let store = open_store(&paths.store_dir()).await?;
        let listener = hero_rpc::socket::bind(&rpc_socket)?;
        let settings = Settings {
            run_dir: paths.run_dir(),
            bundles_dir: paths.bundles_dir(),
            span_socket,
            rpc_socket,
            callback_keys: paths.keys_dir().join("callbacks"),
            public_url,
            final_callback_keys: paths.keys_dir().join("final_callbacks"),
            allowed_callbacks,
            admin_url_file: paths.admin_url_file(),
            python: config.python,
            grace: GRACE,
            spawns_launches: std::env::var_os(env::LAUNCHES).is_some_and(|how| how == "spawn"),
        };
        let supervisor =
            Supervisor::start(settings, store.clone()).await.map_err(errors::of_supervisor)?;
        if config.recover {
            supervisor.recover().await.map_err(errors::of_supervisor)?;
        }
        if config.fires {
            supervisor.fire_schedules();
        }
        let (running, is_running) = watch::channel(());
        let service = Service::new(supervisor.clone(), store.clone(), paths.data_dir, is_running);
        let service = Arc::new(service);
        let has_new_retention = Arc::clone(&service.has_new_retention);
        let stopping = Arc::clone(&service);
        let serving = tokio::spawn(async move {
            hero_rpc::server::serve(listener, service, stopping.stopping()).await;
        });
        let retention = Sweeper { supervisor: supervisor.clone(), store: store.clone() };
        let retention = tokio::spawn(retention.run(config.keep, has_new_retention));
        let carries = config.recover;
        Ok(Self { supervisor, store, carries, running, serving, retention })
    }

    /// Returns once no launch is under way: every play has ended or waits. Then the outcomes of those that
    /// have ended were posted, or that was tried once.
    pub async fn idle(&self) {
        self.supervisor.idle().await;
        if self.carries {
            self.supervisor.posted().await;
        }
    }

    /// Stops accepting, lets launches come to their next step within the grace, and closes the store.
    /// Plays that were interrupted go on with the next server.
    ///
    /// # Errors
    /// The store could not write its last batch; what was acknowledged is safe.
    pub async fn stop(self) -> Result<(), RpcError> {
        drop(self.running);
        self.retention.abort();
        self.supervisor.stop().await;
        let _ = self.serving.await;
        self.store.close().await.map_err(errors::of_store)
    }
}

/// What the URLs of callbacks begin with, where the operator says so.
fn public_url() -> Result<Option<String>, RpcError> {
    let Some(url) = std::env::var(env::PUBLIC_URL).ok().filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_plain =
        |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\"\\".contains(&b));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && is_plain(rest)) {
        return Ok(Some(url));
    }
    let message = format!("`{url}` in {} is nothing that URLs can begin with", env::PUBLIC_URL);
    Err(RpcError::new(ErrorKind::InvalidParams, message)
        .hint("such as https://flows.example.com, or https://example.com/flows"))
}

/// The hosts that final callbacks may reach wherever they lie, as the operator says.
fn allowed_callbacks() -> Result<Allowed, RpcError> {
    let list = std::env::var(env::ALLOW_CALLBACKS).unwrap_or_default();
    Allowed::read(&list).map_err(|entry| {
        let message = format!("`{entry}` in {} is no host", env::ALLOW_CALLBACKS);
        RpcError::new(ErrorKind::InvalidParams, message)
            .hint("hosts with commas between them, such as ci.internal,127.0.0.1:8080")
    })
}

/// Opening may read much; it has a thread of its own for that.
async fn open_store(dir: &Path) -> Result<Arc<dyn Store>, RpcError> {
    let dir = dir.to_owned();
    let opened = tokio::task::spawn_blocking(move || SledStore::open(&dir)).await;
    let store = opened
        .map_err(|panic| {
            let message = format!("failed to open the store: {panic}");
            RpcError::new(ErrorKind::StoreUnavailable, message)
        })?
        .map_err(errors::of_store)?;
    Ok(Arc::new(store))
}
