//! The tags of a play, as its root flow is annotated.
//!
//! They are written while the play runs, so that it is found by them; one write at a time, with all that
//! came meanwhile, so that a flow that annotates in a loop does not write its play in a loop.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use hero_core::{Event, Refusal};
use hero_schema::{Json, LaunchNumber, PlaySid, tag};

use crate::Error;
use crate::supervisor::Supervisor;

/// What a launch has annotated the root flow with, on its way into the record of the play.
#[derive(Default)]
pub(crate) struct Tagging {
    /// What is not being written yet.
    waiting: BTreeMap<String, Json>,
    of: Option<(Supervisor, PlaySid, LaunchNumber)>,
    writing: Option<BoxFuture<'static, ()>>,
}

impl Tagging {
    /// Takes tags of the root flow.
    pub(crate) fn add(
        &mut self,
        supervisor: &Supervisor,
        play: &PlaySid,
        launch: LaunchNumber,
        tags: &BTreeMap<String, Json>,
    ) {
        let of_plays = tags.iter().filter(|(name, value)| tag::is_of_plays(name, value));
        self.waiting.extend(of_plays.map(|(name, value)| (name.clone(), value.clone())));
        self.of.get_or_insert_with(|| (supervisor.clone(), play.clone(), launch));
        self.write();
    }

    fn write(&mut self) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        let Some((supervisor, play, launch)) = self.of.clone() else { return };
        let tags = std::mem::take(&mut self.waiting);
        self.writing = Some(Box::pin(async move {
            let event = |_: &_| Event::Tagged { launch, tags: tags.clone() };
            match supervisor.decide(&play, event).await {
                // What a launch says that is over counts no more.
                Ok(_)
                | Err(Error::Refused(Refusal::Ended { .. } | Refusal::StaleLaunch { .. })) => {}
                Err(error) => tracing::warn!(%play, %error, "tags not stored"),
            }
        }));
    }

    /// Returns once a write is done; never where there is none.
    pub(crate) async fn done(&mut self) {
        match &mut self.writing {
            Some(writing) => writing.await,
            None => std::future::pending().await,
        }
        self.writing = None;
        self.write();
    }

    /// Returns once all is written.
    pub(crate) async fn finish(&mut self) {
        while self.writing.is_some() {
            self.done().await;
        }
    }
}
