//! Removes plays that ended long ago, where the operator wants that: of the whole server, or of a
//! workflow.

use std::sync::Arc;
use std::time::Duration;

use hero_schema::{PlayRecord, Retention, Timestamp};
use hero_store::{PageQuery, PlayQuery, Store};
use hero_supervisor::{Error, Supervisor};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How often it is looked for such plays; more often where they are kept for less than that.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(1);

/// A step: so many plays are looked at, and then there is a pause for those that run.
const STEP_PLAYS: usize = 100;
const STEP_PAUSE: Duration = Duration::from_millis(20);

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Looks for plays that are kept no longer.
pub(crate) struct Sweeper {
    pub(crate) supervisor: Supervisor,
    pub(crate) store: Arc<dyn Store>,
}

impl Sweeper {
    /// Removes what ended longer ago than `keep`, where that is given, and what its workflow does not
    /// keep, again and again; never returns. It looks at once when it is told of a new setting.
    pub(crate) async fn run(self, keep: Option<Duration>, has_new_retention: Arc<Notify>) {
        loop {
            let mut shortest = keep.unwrap_or(LOOK_AGAIN);
            if let Some(keep) = keep {
                tell(self.sweep_all(keep).await);
            }
            tell(self.sweep_workflows(&mut shortest).await);
            let look_again = shortest.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN);
            let _ = timeout(look_again, has_new_retention.notified()).await;
        }
    }

    /// Goes through the plays that have ended, first ended first, as far as they are kept no longer; tells
    /// how many were removed.
    async fn sweep_all(&self, keep: Duration) -> Result<usize, Error> {
        let ended_before = self.ago(keep);
        let mut n_removed = 0;
        let mut cursor = None;
        loop {
            let found = self.store.ended_plays(PageQuery { cursor, limit: STEP_PLAYS }).await?;
            for play in found.items {
                if play.ended_at.is_none_or(|at| at >= ended_before) {
                    return Ok(n_removed);
                }
                n_removed += usize::from(self.remove(&play).await?);
            }
            if !found.has_more {
                return Ok(n_removed);
            }
            cursor = found.next_cursor;
            tokio::time::sleep(STEP_PAUSE).await;
        }
    }

    /// Goes through the workflows that do not keep everything; lowers `shortest` to what one keeps its
    /// plays for.
    async fn sweep_workflows(&self, shortest: &mut Duration) -> Result<usize, Error> {
        let mut n_removed = 0;
        let mut cursor = None;
        loop {
            let found = self.store.retentions(PageQuery { cursor, limit: STEP_PLAYS }).await?;
            for retention in found.items {
                let keep = retention.keep_days.map(duration_of_days);
                *shortest = keep.into_iter().fold(*shortest, Duration::min);
                n_removed += self.sweep_workflow(&retention, keep).await?;
            }
            if !found.has_more {
                return Ok(n_removed);
            }
            cursor = found.next_cursor;
        }
    }

    /// Goes through the plays of a workflow, newest first.
    async fn sweep_workflow(
        &self,
        retention: &Retention,
        keep: Option<Duration>,
    ) -> Result<usize, Error> {
        let ended_before = keep.map(|keep| self.ago(keep));
        let keep_last = retention.keep_last.map_or(usize::MAX, |last| last as usize);
        let mut query = PlayQuery {
            workflow: Some(retention.workflow_sid.clone()),
            // What began later has not ended earlier.
            until: ended_before.filter(|_| retention.keep_last.is_none()),
            ..PlayQuery::default()
        };
        query.page.limit = STEP_PLAYS;
        let (mut n_ended, mut n_removed) = (0, 0);
        loop {
            let found = self.store.plays(query.clone()).await?;
            for play in found.items {
                let Some(ended_at) = play.ended_at.filter(|_| play.status.is_ended()) else {
                    continue;
                };
                n_ended += 1;
                let is_old = ended_before.is_some_and(|before| ended_at < before);
                if is_old || n_ended > keep_last {
                    n_removed += usize::from(self.remove(&play).await?);
                }
            }
            if !found.has_more {
                return Ok(n_removed);
            }
            query.page.cursor = found.next_cursor;
            tokio::time::sleep(STEP_PAUSE).await;
        }
    }

    fn ago(&self, keep: Duration) -> Timestamp {
        let micros = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.store.now().0.saturating_sub(micros))
    }

    /// Whether it was there to be removed, and no play still waits for it.
    async fn remove(&self, play: &PlayRecord) -> Result<bool, Error> {
        if self.is_awaited(play).await? {
            return Ok(false);
        }
        match self.supervisor.delete(&play.sid).await {
            Ok(()) => Ok(true),
            // Someone else was quicker.
            Err(Error::NoSuchPlay(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the play that spawned it still runs: it stands in the tree of that one.
    async fn is_awaited(&self, play: &PlayRecord) -> Result<bool, Error> {
        let Some(parent) = &play.parent else { return Ok(false) };
        Ok(self.store.play(parent).await?.is_some_and(|parent| !parent.status.is_ended()))
    }
}

fn tell(swept: Result<usize, Error>) {
    match swept {
        Ok(0) => {}
        Ok(n_removed) => tracing::info!(n_removed, "removed plays that ended long ago"),
        Err(error) => tracing::warn!(%error, "plays that ended long ago cannot be removed"),
    }
}

/// A setting that no clock holds keeps everything.
fn duration_of_days(days: f64) -> Duration {
    Duration::try_from_secs_f64(days * SECONDS_PER_DAY).unwrap_or(Duration::MAX)
}
