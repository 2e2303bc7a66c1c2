//! Plays that take up an earlier one on the same version: retry, restart, fork.
//!
//! Each is a play of its own. An ended play never changes, and what was done about it can be read
//! from its successors.

use std::collections::BTreeMap;

use hero_core::answer;
use hero_core::rerun::{History, Memory, Place};
use hero_schema::{
    Answer, Answerer, Budget, FinalCallback, Json, Origin, OriginKind, Outcome, OutcomeRecord,
    PlayRecord, PlaySid, PlayStatus, ResumeRequest, SpanId, Starter,
};
use hero_store::{Batch, PageQuery, Write};

use crate::Error;
use crate::decide::{Start, writes_of};
use crate::spawn::first_launch;
use crate::supervisor::Supervisor;

/// What a fork is to do otherwise.
#[derive(Clone, Debug, Default)]
pub struct Fork {
    /// The span to begin at; None begins at the first thing that is changed, and keeps everything
    /// where nothing is.
    pub from_span: Option<SpanId>,
    /// Name or id of a request → the answer that it is to have.
    pub answers: BTreeMap<String, Json>,
    /// Span of a completed step → what it is to return.
    pub outputs: BTreeMap<SpanId, Json>,
}

impl Supervisor {
    /// Starts a play with the outcomes and answers of one that did not succeed, except the failures
    /// that it remembers. Its steps keep their idempotency keys. `uid` is who asks.
    ///
    /// # Errors
    /// The play has not ended, has succeeded, or has spent more than `budget` (None: its own) allows;
    /// nothing is started.
    pub async fn retry(
        &self,
        play: &PlaySid,
        budget: Option<Budget>,
        uid: u32,
    ) -> Result<PlayRecord, Error> {
        let record = self.ended(play).await?;
        if record.status == PlayStatus::Success {
            return Err(Error::Succeeded { play: play.clone() });
        }
        let of_outcomes = self.shared.store.spent(play).await?;
        let spent_before =
            record.spent_before + record.total().max(record.spent_in_steps(of_outcomes));
        let budget = budget.or(record.budget);
        if budget.is_some_and(|budget| budget.is_exceeded_by(&spent_before)) {
            return Err(Error::BudgetSpent { play: play.clone(), spent: spent_before });
        }
        let memory = self.memory(play).await?.without_failures();
        let idempotency_sid = record.idempotency_sid.clone().or_else(|| Some(play.clone()));
        let next = successor(self, record, OriginKind::Retry, Starter::Retry { uid });
        let next = PlayRecord { idempotency_sid, budget, spent_before, ..next };
        self.start_with(next, memory).await
    }

    /// Starts a play with the code and the inputs of one that has ended, and nothing else of it. `uid`
    /// is who asks.
    ///
    /// # Errors
    /// The play has not ended; nothing is started.
    pub async fn restart(&self, play: &PlaySid, uid: u32) -> Result<PlayRecord, Error> {
        let record = self.ended(play).await?;
        let next = successor(self, record, OriginKind::Restart, Starter::Restart { uid });
        let next = PlayRecord { launch: Default::default(), key_version_sid: None, ..next };
        self.start_with(next, Memory::default()).await
    }

    /// Starts a play with what stood before one of another's spans, and perhaps with other answers
    /// and outputs. The other play may still run; it is left as it is. `uid` is who asks.
    ///
    /// # Errors
    /// No such span or request, or an answer that does not fit; nothing is started.
    pub async fn fork(&self, play: &PlaySid, fork: Fork, uid: u32) -> Result<PlayRecord, Error> {
        let record = self.record(play).await?;
        let memory = self.memory(play).await?;
        let history = self.history(play).await?;
        let changes = Changes::find(play, &memory, &history, fork)?;
        let memory = memory.without_undone();
        let mut kept = match changes.from {
            Some(place) => memory.before(place, &history),
            None => memory,
        };
        let now = self.shared.store.now();
        for (request, payload) in changes.answers {
            let resumed_by = Answerer::Fork;
            let outcome = Outcome::Returned(payload);
            kept.answer(request, Answer { outcome, resumed_at: now, resumed_by });
        }
        for (step, output) in changes.outputs {
            kept.output(step, output);
        }
        let next = successor(self, record, OriginKind::Fork, Starter::Fork { uid });
        self.start_with(next, kept).await
    }

    /// Removes everything that is stored of a play that has ended.
    ///
    /// # Errors
    /// The play does not exist or has not ended; nothing is removed.
    pub async fn delete(&self, play: &PlaySid) -> Result<(), Error> {
        self.ended(play).await?;
        let writes = vec![Write::Remove(play.clone())];
        Ok(self.shared.store.commit(Batch { fence: None, writes }).await?)
    }

    async fn ended(&self, play: &PlaySid) -> Result<PlayRecord, Error> {
        let record = self.record(play).await?;
        match record.status.is_ended() {
            true => Ok(record),
            false => Err(Error::NotEnded { play: play.clone(), status: record.status }),
        }
    }

    pub(crate) async fn memory(&self, play: &PlaySid) -> Result<Memory, Error> {
        let store = &self.shared.store;
        let (outcomes, requests) = (store.outcomes(play).await?, store.requests(play).await?);
        Ok(Memory { outcomes, requests })
    }

    async fn history(&self, play: &PlaySid) -> Result<History, Error> {
        let mut history = History::default();
        let mut page = PageQuery::default();
        loop {
            let found = self.shared.store.spans(play, page).await?;
            found.items.iter().for_each(|span| history.add(span));
            if !found.has_more {
                return Ok(history);
            }
            page = PageQuery { cursor: found.next_cursor, ..PageQuery::default() };
        }
    }

    /// Stores a play with its memory and launches it, in one commit.
    async fn start_with(&self, accepted: PlayRecord, memory: Memory) -> Result<PlayRecord, Error> {
        self.check_takes_work().await?;
        let transition = first_launch(&accepted, accepted.created_at)?;
        let sid = &accepted.sid;
        let mut writes = writes_of(&transition);
        let answered = memory.requests.into_iter().filter(|request| !request.is_open());
        let memory = Memory { outcomes: memory.outcomes, requests: answered.collect() };
        writes.extend(writes_of_memory(sid, memory));
        self.shared.store.commit(Batch { fence: None, writes }).await?;
        self.perform(&transition);
        Ok(transition.play)
    }

    /// Stores a play that nothing else is decided with, and launches it.
    pub(crate) async fn start_beside(&self, start: Start) -> Result<(), Error> {
        let mut writes = start.writes;
        writes.extend(start.transition.iter().flat_map(writes_of));
        self.shared.store.commit(Batch { fence: None, writes }).await?;
        start.transition.iter().for_each(|transition| self.perform(transition));
        Ok(())
    }
}

/// What stores a memory as that of a play.
pub(crate) fn writes_of_memory(play: &PlaySid, memory: Memory) -> Vec<Write> {
    let outcomes = memory.outcomes.into_iter().map(OutcomeRecord::taken_over);
    let outcomes = outcomes.map(|record| Write::Outcome(play.clone(), Box::new(record)));
    let requests = memory.requests.into_iter();
    let requests = requests.map(|request| Write::Request(play.clone(), Box::new(request)));
    outcomes.chain(requests).collect()
}

/// A new play that does the same. It counts its launches on from the earlier one, so that the order
/// in which the steps of both completed can be told.
pub(crate) fn successor(
    supervisor: &Supervisor,
    earlier: PlayRecord,
    how: OriginKind,
    starter: Starter,
) -> PlayRecord {
    let now = supervisor.shared.store.now();
    let origin = Origin { play_sid: earlier.sid, how };
    PlayRecord {
        name: earlier.name,
        workflow_sid: earlier.workflow_sid,
        key_version_sid: earlier.key_version_sid,
        launch: earlier.launch,
        prefill: earlier.prefill,
        prefill_only: earlier.prefill_only,
        budget: earlier.budget,
        forbids_replan: earlier.forbids_replan,
        // Who looks what would have been otherwise is no business of the receiver.
        final_callback: earlier
            .final_callback
            .filter(|_| how != OriginKind::Fork)
            .map(|callback| FinalCallback::to(callback.url)),
        origin: Some(origin),
        started_by: Some(starter),
        python: earlier.python,
        working_dir: earlier.working_dir,
        ..PlayRecord::new(supervisor.new_sid(), earlier.version_sid, earlier.input, now)
    }
}

/// What a fork changes, found in the play.
struct Changes {
    from: Option<Place>,
    answers: Vec<(ResumeRequest, Json)>,
    outputs: Vec<(hero_schema::OutcomeRecord, Json)>,
}

impl Changes {
    fn find(play: &PlaySid, memory: &Memory, history: &History, fork: Fork) -> Result<Self, Error> {
        let no_such_span =
            |span: &SpanId| Error::NoSuchSpan { play: play.clone(), span: span.clone() };
        let began = |span: &SpanId| history.began(span).ok_or_else(|| no_such_span(span));
        let mut places = fork.from_span.iter().map(began).collect::<Result<Vec<_>, _>>()?;
        let mut answers = Vec::new();
        for (wanted, payload) in fork.answers {
            let request = find_request(play, &memory.requests, &wanted)?;
            answer::check(request.schema.as_ref(), &payload).map_err(hero_core::Refusal::from)?;
            places.extend(history.began(&request.asked_at_span_id));
            answers.push((request.clone(), payload));
        }
        let mut outputs = Vec::new();
        for (span, output) in fork.outputs {
            let step = memory.outcomes.iter().find(|record| record.span_id == span);
            let step = step.ok_or_else(|| no_such_span(&span))?;
            places.push(began(&span)?);
            outputs.push((step.clone(), output));
        }
        Ok(Self { from: places.into_iter().min(), answers, outputs })
    }
}

fn find_request<'a>(
    play: &PlaySid,
    requests: &'a [ResumeRequest],
    wanted: &str,
) -> Result<&'a ResumeRequest, Error> {
    let by_id = requests.iter().find(|request| request.id.as_str() == wanted);
    let found = by_id.or_else(|| requests.iter().find(|request| request.name == wanted));
    found.ok_or_else(|| Error::NoSuchRequest {
        play: play.clone(),
        request: hero_schema::ResumeId::new(wanted),
    })
}
