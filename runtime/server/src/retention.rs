//! Removes plays that ended long ago, where the operator wants that.

use std::sync::Arc;
use std::time::Duration;

use hero_schema::{PlayRecord, Timestamp};
use hero_store::{PageQuery, Store};
use hero_supervisor::{Error, Supervisor};

/// How often it is looked for such plays; more often where they are kept for less than that.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(1);

/// A step: so many plays are looked at, and then there is a pause for those that run.
const STEP_PLAYS: usize = 100;
const STEP_PAUSE: Duration = Duration::from_millis(20);

/// Removes what ended longer ago than `keep`, again and again; never returns.
pub(crate) async fn run(supervisor: Supervisor, store: Arc<dyn Store>, keep: Duration) {
    loop {
        match sweep(&supervisor, &store, keep).await {
            Ok(0) => {}
            Ok(n_removed) => tracing::info!(n_removed, "removed plays that ended long ago"),
            Err(error) => tracing::warn!(%error, "plays that ended long ago cannot be removed"),
        }
        tokio::time::sleep(keep.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN)).await;
    }
}

/// Goes through the plays that have ended, first ended first, as far as they are kept no longer; tells
/// how many were removed.
async fn sweep(
    supervisor: &Supervisor,
    store: &Arc<dyn Store>,
    keep: Duration,
) -> Result<usize, Error> {
    let keep_micros = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
    let ended_before = Timestamp(store.now().0.saturating_sub(keep_micros));
    let mut n_removed = 0;
    let mut cursor = None;
    loop {
        let found = store.ended_plays(PageQuery { cursor, limit: STEP_PLAYS }).await?;
        for play in found.items {
            if play.ended_at.is_none_or(|at| at >= ended_before) {
                return Ok(n_removed);
            }
            if !is_awaited(store, &play).await? {
                n_removed += usize::from(remove(supervisor, &play).await?);
            }
        }
        if !found.has_more {
            return Ok(n_removed);
        }
        cursor = found.next_cursor;
        tokio::time::sleep(STEP_PAUSE).await;
    }
}

/// Whether the play that spawned it still runs: it stands in the tree of that one.
async fn is_awaited(store: &Arc<dyn Store>, play: &PlayRecord) -> Result<bool, Error> {
    let Some(parent) = &play.parent else { return Ok(false) };
    Ok(store.play(parent).await?.is_some_and(|parent| !parent.status.is_ended()))
}

/// Whether it was there to be removed.
async fn remove(supervisor: &Supervisor, play: &PlayRecord) -> Result<bool, Error> {
    match supervisor.delete(&play.sid).await {
        Ok(()) => Ok(true),
        // Someone else was quicker.
        Err(Error::NoSuchPlay(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
