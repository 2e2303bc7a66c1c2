//! One turn: read the play, let the core decide, store the decision, perform what follows.
//!
//! Deciders race freely. Each names the revision it decided on, the store lets one of them win, and
//! the others read again and decide again.

use std::sync::Arc;

use hero_core::{Decision, Effect, Event, Transition};
use hero_schema::{LaunchNumber, PlayRecord, PlaySid, VersionSid, WorkflowVersion};
use hero_store::{Batch, Write};
use tokio::sync::oneshot;

use crate::supervisor::Supervisor;
use crate::{Error, launch};

impl Supervisor {
    /// Reads a play that must be there.
    pub(crate) async fn record(&self, play: &PlaySid) -> Result<PlayRecord, Error> {
        let found = self.shared.store.play(play).await?;
        found.ok_or_else(|| Error::NoSuchPlay(play.clone()))
    }

    /// A version that must be there.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub async fn version(&self, sid: &VersionSid) -> Result<Arc<WorkflowVersion>, Error> {
        if let Some(version) = self.shared.versions.find(sid) {
            return Ok(version);
        }
        let version = self.shared.store.version(sid).await?.ok_or_else(|| {
            let record = format!("version `{sid}`");
            hero_store::Error::Damaged { record, reason: "it is missing".into() }
        })?;
        let version = Arc::new(version);
        self.shared.versions.keep(&version);
        Ok(version)
    }

    /// Takes a turn with an event that does not depend on what is stored beside the play, as often
    /// as another decider comes first.
    pub(crate) async fn decide(
        &self,
        play: &PlaySid,
        event: impl Fn(&PlayRecord) -> Event,
    ) -> Result<Decision, Error> {
        loop {
            let record = self.record(play).await?;
            match self.try_decide(&record, event(&record)).await {
                Err(Error::Store(hero_store::Error::Conflict { .. })) => {}
                other => return other,
            }
        }
    }

    /// Takes one turn on a play as it was read.
    ///
    /// # Errors
    /// `Conflict` from the store: the play was changed since, decide again.
    pub(crate) async fn try_decide(
        &self,
        record: &PlayRecord,
        event: Event,
    ) -> Result<Decision, Error> {
        self.try_decide_with(record, event, Start::default()).await
    }

    /// As [`Supervisor::try_decide`], and stores a play that starts with it in the same batch.
    pub(crate) async fn try_decide_with(
        &self,
        record: &PlayRecord,
        event: Event,
        started: Start,
    ) -> Result<Decision, Error> {
        let decision = hero_core::apply(record, event, self.shared.store.now())?;
        if let Decision::Change(transition) = &decision {
            let mut transitions = vec![transition.as_ref().clone()];
            if transition.play.status.is_ended() {
                transitions.extend(self.family_of(&transition.play).await?);
            }
            transitions.extend(started.transition);
            let mut writes = started.writes;
            writes.extend(transitions.iter().flat_map(writes_of));
            self.shared.store.commit(Batch { fence: None, writes }).await?;
            transitions.iter().for_each(|transition| self.perform(transition));
        }
        Ok(decision)
    }

    /// Stores what starts a play, and performs it. While that becomes durable its process begins, which
    /// runs nothing of the flow before it has been let in.
    pub(crate) async fn commit_start(
        &self,
        batch: Batch,
        transition: &Transition,
    ) -> Result<(), Error> {
        // Dropped where this fails: whoever was let go ahead turns back.
        let (stored, is_stored) = oneshot::channel();
        let [Effect::Launch(launch)] = transition.effects[..] else {
            unreachable!("a play starts with its first launch");
        };
        self.launch(&transition.play, launch, Some(is_stored));
        self.shared.store.commit(batch).await?;
        let _ = stored.send(());
        self.tell(transition);
        Ok(())
    }

    /// As [`Supervisor::commit_start`], for a start that others may ask for at the same time: nothing
    /// begins before it has won.
    pub(crate) async fn commit_start_once(
        &self,
        batch: Batch,
        transition: &Transition,
        key: &str,
    ) -> Result<(), Error> {
        match self.shared.store.commit(batch).await {
            // Of what a start writes, only its key can be there already.
            Err(hero_store::Error::Conflict { .. }) => Err(Error::KeyTaken { key: key.to_owned() }),
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.perform(transition);
                Ok(())
            }
        }
    }

    /// Performs the effects of a stored transition.
    pub(crate) fn perform(&self, transition: &Transition) {
        self.tell(transition);
        for effect in &transition.effects {
            match effect {
                // Left for the next supervisor, which finds the play `running` without a process.
                Effect::Launch(_) if *self.shared.is_stopping.borrow() => {}
                Effect::Launch(launch) => self.launch(&transition.play, *launch, None),
                Effect::Kill(launch) => self.shared.kill(&transition.play.sid, *launch),
            }
        }
    }

    fn tell(&self, transition: &Transition) {
        tracing::info!(
            play = %transition.play.sid,
            launch = %transition.play.launch,
            status = %transition.play.status,
            "play decided",
        );
        if transition.falls_due() {
            self.shared.has_new_timers.notify_one();
        }
        if transition.play.status.is_ended() && transition.play.final_callback.is_some() {
            self.shared.outbox.has_new.notify_one();
        }
    }

    /// Carries a launch to its end in a task of its own.
    fn launch(&self, play: &PlayRecord, launch: LaunchNumber, is_stored: Option<IsStored>) {
        let underway = Arc::clone(&self.shared).enter(&play.sid, launch);
        let launching = launch::run(self.clone(), play.clone(), underway, is_stored);
        tokio::spawn(self.clone().watch(launching, play.sid.clone(), launch));
    }
}

impl Supervisor {
    /// Sees to it that a play does not stay `running` where carrying its launch has failed in a way
    /// that nobody thought of.
    async fn watch(
        self,
        launching: impl Future<Output = ()> + Send + 'static,
        play: PlaySid,
        launch: LaunchNumber,
    ) {
        let Err(panic) = tokio::spawn(launching).await else { return };
        tracing::error!(%play, %launch, %panic, "launch not carried to its end");
        let end =
            launch::not_started(format!("the supervisor failed while it carried it: {panic}"));
        let event = |_: &PlayRecord| Event::LaunchEnded { launch, end: end.clone() };
        if let Err(error) = self.decide(&play, event).await {
            tracing::error!(%play, %launch, %error, "end of launch not stored");
        }
    }
}

/// Told once what a launch follows from is durable; its sender is dropped where it is not stored.
pub(crate) type IsStored = oneshot::Receiver<()>;

/// A play that starts together with a decision on another one.
#[derive(Default)]
pub(crate) struct Start {
    /// What must be there first, such as its version.
    pub(crate) writes: Vec<Write>,
    /// Its first launch.
    pub(crate) transition: Option<Transition>,
}

pub(crate) fn writes_of(transition: &Transition) -> Vec<Write> {
    let mut writes = vec![Write::Play(Box::new(transition.play.clone()))];
    if let Some(request) = &transition.request {
        writes.push(Write::Request(transition.play.sid.clone(), Box::new(request.clone())));
    }
    writes
}
