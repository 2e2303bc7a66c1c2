//! What the end of a play means for the play that spawned it and for those that it spawned.
//!
//! It is stored in one batch with the end itself: a crash leaves neither a parent that waits for a
//! child which has ended, nor children whose parent is gone.

use hero_core::{Decision, Event, Transition};
use hero_schema::{Answerer, Json, Outcome, PlayRecord, PlaySid, PlayStatus, Raised};

use crate::Error;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// The answer to the parent, and the end of every descendant that has not ended.
    pub(crate) async fn family_of(&self, ended: &PlayRecord) -> Result<Vec<Transition>, Error> {
        let mut transitions = self.cancelled_descendants(&ended.sid).await?;
        transitions.extend(self.answered_parent(ended).await?);
        Ok(transitions)
    }

    async fn answered_parent(&self, child: &PlayRecord) -> Result<Option<Transition>, Error> {
        let (Some(parent), Some(request)) = (&child.parent, &child.parent_request) else {
            return Ok(None);
        };
        let store = &self.shared.store;
        let (parent, request) = (store.play(parent).await?, store.request(parent, request).await?);
        // A parent that was removed waits for nothing.
        let (Some(parent), Some(request)) = (parent, request) else { return Ok(None) };
        let event = Event::Answered { request, outcome: outcome_of(child), by: Answerer::Child };
        match hero_core::apply(&parent, event, store.now()) {
            Ok(Decision::Change(transition)) => Ok(Some(*transition)),
            // It has ended or was answered: nobody waits.
            Ok(Decision::NoChange) | Err(_) => Ok(None),
        }
    }

    async fn cancelled_descendants(&self, play: &PlaySid) -> Result<Vec<Transition>, Error> {
        let mut transitions = Vec::new();
        let mut parents = vec![play.clone()];
        while let Some(parent) = parents.pop() {
            for child in self.children(&parent).await? {
                parents.push(child.sid.clone());
                let cancelled =
                    hero_core::apply(&child, Event::CancelRequested, self.shared.store.now());
                if let Ok(Decision::Change(transition)) = cancelled {
                    transitions.push(*transition);
                }
            }
        }
        Ok(transitions)
    }
}

/// What `flow.invoke` returns or raises for a child play that has ended.
pub(crate) fn outcome_of(child: &PlayRecord) -> Outcome {
    if let (PlayStatus::Success, Some(output)) = (child.status, &child.output) {
        return Outcome::Returned(output.clone());
    }
    let class = match child.status {
        PlayStatus::Cancelled => "FlowCancelled",
        _ => "FlowFailed",
    };
    let how = match (&child.failure, child.status) {
        (Some(failure), _) => format!("failed: {}", failure.message),
        (None, status) => format!("ended as {status}"),
    };
    let message = format!("play `{}` of `{}` {how}", child.sid, child.name);
    let sid = Json::of(&child.sid).expect("text has a JSON form");
    Outcome::Raised(Raised::by_the_runtime(class, message, &[("play_sid", sid)]))
}
