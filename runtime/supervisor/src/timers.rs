//! What happens by the clock: requests that expire, plays whose time is over.
//!
//! Which they are is in the store, so nothing is forgotten by a restart; one that fell due while no
//! supervisor ran is late and not lost.

use std::time::Duration;

use hero_core::Event;
use hero_schema::{PlaySid, ResumeId, Timestamp};
use hero_store::Due;

use crate::Error;
use crate::supervisor::Supervisor;

/// How long the clock is left alone at most: it may have been set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many due moments are handled at a time.
const BATCH: usize = 256;

/// Fires what falls due until the supervisor stops.
pub(crate) async fn run(supervisor: Supervisor) {
    let mut stopping = supervisor.shared.is_stopping.subscribe();
    let mut n_stuck = 0;
    loop {
        let pause = match fire(&supervisor, &mut n_stuck).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "what falls due cannot be read");
                LOOK_AGAIN
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = supervisor.shared.has_new_timers.notified() => {}
            _ = stopping.wait_for(|&is_stopping| is_stopping) => return,
        }
    }
}

/// Fires what is due now, and tells how long nothing else is. Those that cannot be fired are counted,
/// so that they do not stand in the way of the others.
async fn fire(supervisor: &Supervisor, n_stuck: &mut usize) -> Result<Duration, Error> {
    let now = supervisor.shared.store.now();
    let due = supervisor.shared.store.due(BATCH + *n_stuck).await?;
    let n_found = due.len();
    let (over, later): (Vec<_>, Vec<_>) = due.into_iter().partition(|due| due.at <= now);
    let n_over = over.len();
    *n_stuck = 0;
    for Due { at, play, request } in over {
        let fired = match request {
            Some(request) => supervisor.expire(&play, &request).await,
            None => supervisor.decide(&play, |_| Event::DeadlinePassed).await.map(drop),
        };
        match fired {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%play, due = at.0, %error, "what falls due cannot be done");
                *n_stuck += 1;
            }
        }
    }
    Ok(match later.first() {
        Some(next) => until(next.at, now).min(LOOK_AGAIN),
        None if n_over > *n_stuck && n_over == n_found => Duration::ZERO,
        None => LOOK_AGAIN,
    })
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(at.micros_since(now))
}

impl Supervisor {
    /// The time of a request is over; nothing happens where it was answered meanwhile.
    async fn expire(&self, play: &PlaySid, request: &ResumeId) -> Result<(), Error> {
        loop {
            let record = self.record(play).await?;
            let Some(request) = self.shared.store.request(play, request).await? else {
                return Ok(());
            };
            match self.try_decide(&record, Event::Expired { request }).await {
                Err(Error::Store(hero_store::Error::Conflict { .. })) => {}
                other => return other.map(drop),
            }
        }
    }
}
