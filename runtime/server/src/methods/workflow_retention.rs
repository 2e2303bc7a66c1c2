//! `workflow_retention`

use hero_schema::rpc::{Keep, WorkflowRetention};
use hero_schema::{ErrorKind, Retention, RpcError};
use hero_store::{Batch, Write};

use super::workflow_get;
use crate::errors;
use crate::service::Service;

/// A thousand years: more is a mistake, and does not fit into every clock.
const DAYS_MAX: f64 = 365_250.0;

pub(crate) async fn run(
    service: &Service,
    params: WorkflowRetention,
) -> Result<Retention, RpcError> {
    let workflow_sid = workflow_get::find(service, &params.workflow).await?.sid;
    let Some(Keep { days, last }) = params.set else {
        let stored = service.store.retention(&workflow_sid).await.map_err(errors::of_store)?;
        return Ok(stored.unwrap_or_else(|| Retention::unlimited(workflow_sid)));
    };
    if let Some(days) = days.filter(|days| !(*days > 0.0 && *days <= DAYS_MAX)) {
        let message = format!("plays cannot be kept for {days} days");
        return Err(RpcError::new(ErrorKind::InvalidParams, message)
            .hint("a number of days above 0, such as 30 or 0.5; none keeps them for ever"));
    }
    let retention = Retention { workflow_sid, keep_days: days, keep_last: last };
    let writes = vec![Write::Retention(retention.clone())];
    service.store.commit(Batch { fence: None, writes }).await.map_err(errors::of_store)?;
    service.has_new_retention.notify_one();
    Ok(retention)
}
