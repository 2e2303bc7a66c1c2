//! Posts the outcomes of plays that have ended.
//!
//! What is to be posted is part of the end of its play, so nothing is forgotten by a crash; what was under
//! way is posted again. The receiver tells repetitions by the play.

use std::collections::HashSet;
use std::time::Duration;

use hero_core::callback::sign_body;
use hero_core::final_callback;
use hero_outbound::Outbound;
use hero_schema::{FinalCallbackStatus, PlayOutcome, PlayRecord, PlaySid};
use hero_store::{Batch, Write};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::Error;
use crate::keys::KeyFile;
use crate::supervisor::{Settings, Supervisor};

/// How many are posted at a time.
const UNDER_WAY_MAX: usize = 32;

/// How long the clock is left alone at most: it may have been set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long to wait for what is to be posted at once: longer than one attempt takes.
const PATIENCE: Duration = Duration::from_secs(15);

/// What posting needs.
pub(crate) struct Outbox {
    pub(crate) outbound: Outbound,
    keys: KeyFile,
    /// Told when something may be due earlier than what was known.
    pub(crate) has_new: Notify,
    /// Counts what was tried.
    n_tried: watch::Sender<u64>,
}

impl Outbox {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            outbound: Outbound::new(settings.allowed_callbacks.clone()),
            keys: KeyFile::at(settings.final_callback_keys.clone()),
            has_new: Notify::new(),
            n_tried: watch::Sender::new(0),
        }
    }
}

/// Posts what is due until the supervisor stops.
pub(crate) async fn run(supervisor: Supervisor) {
    let mut stopping = supervisor.shared.is_stopping.subscribe();
    let mut posting = JoinSet::new();
    let mut under_way: HashSet<PlaySid> = HashSet::new();
    loop {
        let pause = match post_due(&supervisor, &mut posting, &mut under_way).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "what is to be posted cannot be read");
                LOOK_AGAIN
            }
        };
        tokio::select! {
            Some(posted) = posting.join_next() => {
                // A task that panicked leaves its play where it was: it is tried again by the next server.
                if let Ok(play) = posted {
                    under_way.remove(&play);
                }
            }
            () = tokio::time::sleep(pause) => {}
            () = supervisor.shared.outbox.has_new.notified() => {}
            _ = stopping.wait_for(|&is_stopping| is_stopping) => return,
        }
    }
}

/// Begins with what is due now, and tells how long nothing else is.
async fn post_due(
    supervisor: &Supervisor,
    posting: &mut JoinSet<PlaySid>,
    under_way: &mut HashSet<PlaySid>,
) -> Result<Duration, Error> {
    if under_way.len() >= UNDER_WAY_MAX {
        return Ok(LOOK_AGAIN);
    }
    let now = supervisor.shared.store.now();
    for due in supervisor.shared.store.outbox(UNDER_WAY_MAX + under_way.len()).await? {
        if due.at > now {
            return Ok(Duration::from_micros(due.at.micros_since(now)).min(LOOK_AGAIN));
        }
        if under_way.len() < UNDER_WAY_MAX && under_way.insert(due.play.clone()) {
            posting.spawn(post(supervisor.clone(), due.play));
        }
    }
    Ok(LOOK_AGAIN)
}

async fn post(supervisor: Supervisor, play: PlaySid) -> PlaySid {
    if let Err(error) = supervisor.post_outcome(&play).await {
        tracing::error!(%play, %error, "what was posted is not noted");
        // Whatever that is, it is not gone at once.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    supervisor.shared.outbox.n_tried.send_modify(|n| *n += 1);
    play
}

impl Supervisor {
    /// Makes one attempt and notes what came of it.
    async fn post_outcome(&self, play: &PlaySid) -> Result<(), Error> {
        let record = self.record(play).await?;
        let Some(callback) = &record.final_callback else { return Ok(()) };
        if callback.status != FinalCallbackStatus::Due {
            return Ok(());
        }
        let (before, failed) =
            (callback.n_attempts, self.attempt(&record, &callback.url).await.err());
        self.note_attempt(record, before, failed).await
    }

    async fn attempt(&self, play: &PlayRecord, url: &str) -> Result<(), String> {
        let outbox = &self.shared.outbox;
        let key = outbox.keys.current().map_err(|error| error.to_string())?;
        let body =
            serde_json::to_string(&PlayOutcome::of(play)).map_err(|error| error.to_string())?;
        let seconds = self.shared.store.now().0.div_euclid(1_000_000);
        let signature =
            format!("t={seconds},kid={},v1={}", key.id, sign_body(&key, seconds, &body));
        let headers =
            [("hero-signature", signature), ("idempotency-key", play.sid.as_str().to_owned())];
        let posted = outbox.outbound.post(url, &headers, body).await;
        posted.map_err(|error| error.to_string())
    }

    async fn note_attempt(
        &self,
        mut record: PlayRecord,
        before: u32,
        failed: Option<String>,
    ) -> Result<(), Error> {
        loop {
            let now = self.shared.store.now();
            let tried = final_callback::tried(&record, before, failed.clone(), now);
            let Some(tried) = tried else { return Ok(()) };
            let has_given_up = tried
                .final_callback
                .as_ref()
                .is_some_and(|callback| callback.status == FinalCallbackStatus::GivenUp);
            let writes = vec![Write::Play(Box::new(tried))];
            match self.shared.store.commit(Batch { fence: None, writes }).await {
                Err(hero_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(()) if has_given_up => {
                    let (play, error) = (&record.sid, failed.unwrap_or_default());
                    tracing::warn!(%play, error, "final callback given up");
                    return Ok(());
                }
                Ok(()) => return Ok(()),
            }
            match self.shared.store.play(&record.sid).await? {
                Some(newer) => record = newer,
                None => return Ok(()),
            }
        }
    }

    /// Returns once all that was to be posted by now has been tried; what is to be tried later is left to
    /// whoever carries plays then. To be called after [`Supervisor::recover`].
    pub async fn posted(&self) {
        let all_tried = async {
            let mut n_tried = self.shared.outbox.n_tried.subscribe();
            loop {
                n_tried.mark_unchanged();
                let next = self.shared.store.outbox(1).await.unwrap_or_default();
                if next.first().is_none_or(|due| due.at > self.shared.store.now()) {
                    return;
                }
                // The sender lives in `self`, so waiting cannot fail.
                let _ = n_tried.changed().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, all_tried).await;
    }

    /// Whether the outcome of a play may be posted there, as far as it can be told before.
    ///
    /// # Errors
    /// [`Error::Unreachable`]: why not.
    pub fn check_final_callback(&self, url: &str) -> Result<(), Error> {
        self.shared
            .outbox
            .outbound
            .check(url)
            .map_err(|refused| Error::Unreachable { url: url.into(), reason: refused.to_string() })
    }
}
