//! `LogicService`: which method is served by which file.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use hero_rpc::health::Health;
use hero_rpc::server::{Caller, Dispatch, method_not_found};
use hero_schema::{ErrorKind, Json, PlayRecord, PlaySid, RpcError};
use hero_store::Store;
use hero_supervisor::Supervisor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};

use crate::news::News;
use crate::{errors, methods};

/// The version of this server.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the methods work with.
pub(crate) struct Service {
    pub(crate) supervisor: Supervisor,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) news: News,
    pub(crate) data_dir: PathBuf,
    /// Told when plays may be kept for less long than before.
    pub(crate) has_new_retention: Arc<Notify>,
    /// Closed once the server is stopping.
    is_running: watch::Receiver<()>,
}

impl Service {
    pub(crate) fn new(
        supervisor: Supervisor,
        store: Arc<dyn Store>,
        data_dir: PathBuf,
        is_running: watch::Receiver<()>,
    ) -> Self {
        let news = News::of(store.as_ref());
        let has_new_retention = Arc::new(Notify::new());
        Self { supervisor, store, news, data_dir, has_new_retention, is_running }
    }

    /// Returns once the server is stopping.
    pub(crate) async fn stopping(&self) {
        let mut is_running = self.is_running.clone();
        while is_running.changed().await.is_ok() {}
    }

    /// A play that must be there.
    pub(crate) async fn record(&self, play: &PlaySid) -> Result<PlayRecord, RpcError> {
        let found = self.store.play(play).await.map_err(errors::of_store)?;
        found.ok_or_else(|| errors::of_supervisor(hero_supervisor::Error::NoSuchPlay(play.clone())))
    }
}

/// Reads the parameters, runs the method, prints the result.
macro_rules! serve {
    ($service:ident, $params:ident, $method:ident $(, $extra:expr)?) => {
        printed(&methods::$method::run($service, read(&$params)? $(, $extra)?).await?)
    };
}

#[async_trait]
impl Dispatch for Service {
    async fn call(&self, method: &str, params: Json, caller: Caller) -> Result<Json, RpcError> {
        match method {
            "workflow_save" => serve!(self, params, workflow_save),
            "workflow_save_from_play" => serve!(self, params, workflow_save_from_play),
            "workflow_check" => serve!(self, params, workflow_check),
            "workflow_get" => serve!(self, params, workflow_get),
            "workflow_list" => serve!(self, params, workflow_list),
            "workflow_retention" => serve!(self, params, workflow_retention),
            "play_start" => serve!(self, params, play_start, caller),
            "play_run_async" => serve!(self, params, play_run_async, caller),
            "workflow_versions" => serve!(self, params, workflow_versions),
            "workflow_history" => serve!(self, params, workflow_history),
            "workflow_rollback" => serve!(self, params, workflow_rollback),
            "workflow_delete" => serve!(self, params, workflow_delete),
            "play_get" => serve!(self, params, play_get),
            "play_list" => serve!(self, params, play_list),
            "play_wait" => serve!(self, params, play_wait, caller),
            "play_resume" => serve!(self, params, play_resume, caller),
            "callback_post" => serve!(self, params, callback_post),
            "play_pending_resumes" => serve!(self, params, play_pending_resumes),
            "play_prefill" => serve!(self, params, play_prefill),
            "play_cancel" => serve!(self, params, play_cancel),
            "play_retry" => serve!(self, params, play_retry, caller),
            "play_restart" => serve!(self, params, play_restart, caller),
            "play_fork" => serve!(self, params, play_fork, caller),
            "play_move" => serve!(self, params, play_move, caller),
            "play_delete" => serve!(self, params, play_delete),
            "play_logs" => serve!(self, params, play_logs),
            "play_spans" => serve!(self, params, play_spans),
            "schedule_add" => serve!(self, params, schedule_add),
            "schedule_get" => serve!(self, params, schedule_get),
            "schedule_list" => serve!(self, params, schedule_list),
            "schedule_history" => serve!(self, params, schedule_history),
            "schedule_pause" => serve!(self, params, schedule_pause),
            "schedule_unpause" => serve!(self, params, schedule_unpause),
            "schedule_run" => serve!(self, params, schedule_run),
            "schedule_delete" => serve!(self, params, schedule_delete),
            "inbox_list" => serve!(self, params, inbox_list),
            "stats" => serve!(self, params, stats),
            _ => Err(method_not_found(method)),
        }
    }

    fn health(&self) -> Health {
        Health {
            status: "ok".into(),
            version: VERSION.into(),
            data_dir: self.data_dir.display().to_string(),
            pid: std::process::id(),
        }
    }

    fn openrpc(&self) -> &'static str {
        include_str!("../../../schema/openrpc.json")
    }
}

fn read<P: DeserializeOwned>(params: &Json) -> Result<P, RpcError> {
    params.read().map_err(|error| {
        RpcError::new(ErrorKind::InvalidParams, format!("the parameters do not fit: {error}"))
            .hint("GET /openrpc.json describes them")
    })
}

fn printed(result: &impl Serialize) -> Result<Json, RpcError> {
    Json::of(result).map_err(|error| {
        RpcError::new(ErrorKind::Internal, format!("the result has no JSON form: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use hero_schema::rpc::METHODS;

    #[test]
    fn every_method_of_the_schema_is_served() {
        let source = include_str!("service.rs");
        let source = source.split("#[cfg(test)]").next().expect("the code comes before its test");
        for method in METHODS {
            let arm = format!("\"{}\" => serve!", method.name);
            assert!(source.contains(&arm), "no arm for {}", method.name);
        }
        assert_eq!(source.matches(" => serve!(self").count(), METHODS.len());
    }
}
