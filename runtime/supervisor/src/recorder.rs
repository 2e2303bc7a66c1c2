//! What a launch says, turned into records.
//!
//! Frames come in order over one connection. Spans and log lines are posted and forgotten; outcomes
//! and pauses are answered once they are durable, and many may be waiting for that at once.

use std::collections::HashMap;
use std::io;
use std::ops::Add;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use hero_core::{Decision, Event};
use hero_schema::frame::{
    FlowResult, Frame, Pause, PlayDeadline, Replayed, Reply, SpanEnd, SpanEvent, SpanLog,
    SpanStart, SpanTag, StepOutput,
};
use hero_schema::step::child_play_sid;
use hero_schema::{
    Json, LaunchNumber, LogLevel, Outcome, OutcomeRecord, PlayRecord, PlaySid, Raised,
    ReplayedSpans, RequestKind, ResumeRequest, Span, SpanId, SpanKind, SpanStatus, StepKey,
    Timestamp, Usage,
};
use hero_store::{Batch, Fence, Write};

use crate::Error;
use crate::deadlines::Deadlines;
use crate::decide::Start;
use crate::memory::Memory;
use crate::output::LogBook;
use crate::span_socket::Connection;
use crate::spawn::Child;
use crate::supervisor::Supervisor;
use crate::tagging::Tagging;

/// How many frames of one launch may wait for their acknowledgement; reading stops beyond that.
const UNACKNOWLEDGED_MAX: usize = 1024;

/// How much of a malformed line is logged, in characters.
const MALFORMED_CHARS: usize = 200;

/// What a launch is told whose play may spend no more.
const OVER_BUDGET: &str = "the play has spent more than its budget";

type Replies = FuturesOrdered<BoxFuture<'static, Handled>>;

/// How many stored steps are remembered of a launch, to tell whether one of them was new.
const STORED_STEPS_MAX: usize = 64;

/// What became of a frame that is answered.
struct Handled {
    reply: Reply,
    /// What it stored.
    stored: Stored,
}

enum Stored {
    Nothing,
    /// This outcome, perhaps not for the first time.
    Step(Box<OutcomeRecord>),
    /// A request that was not there before.
    Request,
}

/// Records one launch.
pub(crate) struct Recorder {
    supervisor: Supervisor,
    play: PlaySid,
    launch: LaunchNumber,
    log: LogBook,
    next_seq: u64,
    /// The spans that have begun and not ended, in the order they began.
    open_spans: Vec<Span>,
    deadlines: Deadlines,
    tagging: Tagging,
    result: Option<FlowResult>,
    has_asked_anew: bool,
    stored_steps: Vec<StepKey>,
    memory: Memory,
    /// Whether nothing is known to be on its way into the store.
    is_settled: bool,
    was_timed_out: bool,
    /// What is known to be spent in the open steps.
    spent_in: HashMap<SpanId, Usage>,
    spent_in_outcomes: Usage,
    spent_around: Usage,
    /// What the play had spent in steps before this launch, where it has a budget.
    bounded_after: Option<Usage>,
}

/// What a launch has said when its connection ended.
pub(crate) struct Recorded {
    /// The `result` frame.
    pub(crate) result: Option<FlowResult>,
    /// Whether it stored a request that was not there before.
    pub(crate) has_asked_anew: bool,
    /// The first steps that it stored an outcome for.
    pub(crate) stored_steps: Vec<StepKey>,
    /// What the next launch is to be handed; None where that has to be looked up.
    pub(crate) memory: Option<Memory>,
    /// Whether a step ran out of time.
    pub(crate) was_timed_out: bool,
    /// The innermost span that was open.
    pub(crate) open_span: Option<SpanId>,
    /// What it has spent in steps that it did not complete.
    pub(crate) spent_in_vain: Usage,
    /// What it has spent outside of steps.
    pub(crate) spent_around: Usage,
}

impl Recorder {
    pub(crate) fn new(
        supervisor: Supervisor,
        play: PlaySid,
        launch: LaunchNumber,
        log: LogBook,
        memory: Memory,
        bounded_after: Option<Usage>,
    ) -> Self {
        Self {
            supervisor,
            play,
            launch,
            log,
            next_seq: 1,
            open_spans: Vec::new(),
            deadlines: Deadlines::default(),
            tagging: Tagging::default(),
            result: None,
            has_asked_anew: false,
            stored_steps: Vec::new(),
            memory,
            is_settled: true,
            was_timed_out: false,
            spent_in: HashMap::new(),
            spent_in_outcomes: Usage::default(),
            spent_around: Usage::default(),
            bounded_after,
        }
    }

    /// Takes frames and sends replies until the launch closes its end or is refused.
    pub(crate) async fn converse(&mut self, mut connection: Connection) {
        self.is_settled = false;
        // A launch that has gone away hears nothing; what it said is read all the same.
        let _ = connection.replies.send(&Reply::Ack { seq: 0, answer: None }).await;
        let mut replies = Replies::new();
        loop {
            tokio::select! {
                biased;
                // What has come already goes into one commit.
                Some(handled) = replies.next(),
                    if replies.len() >= UNACKNOWLEDGED_MAX
                        || !replies.is_empty() && !connection.frames.has_next() =>
                {
                    if self.reply(&mut connection, handled).await.is_err() {
                        break;
                    }
                }
                line = connection.frames.next(), if replies.len() < UNACKNOWLEDGED_MAX => {
                    match line {
                        Ok(Some(line)) => self.take(&line, &mut replies),
                        Ok(None) => break,
                        Err(error) => {
                            self.log.note(LogLevel::Error, format!("span socket: {error}"));
                            break;
                        }
                    }
                }
                () = self.tagging.done() => {}
                late = self.deadlines.passed() => {
                    self.time_out(late).await;
                    connection.frames.discard().await;
                    break;
                }
            }
        }
        self.tagging.finish().await;
        // The launch is gone or unwanted; what it sent still counts.
        while let Some(handled) = replies.next().await {
            self.note(handled.stored);
        }
        self.is_settled = true;
    }

    async fn reply(&mut self, connection: &mut Connection, handled: Handled) -> io::Result<()> {
        let Handled { reply, stored } = handled;
        self.note(stored);
        // A launch that has gone away hears nothing; its frames are read to the end all the same.
        let _ = connection.replies.send(&reply).await;
        match reply {
            Reply::Ack { .. } => Ok(()),
            Reply::Refused { message, .. } => Err(io::Error::other(message)),
        }
    }

    fn note(&mut self, stored: Stored) {
        match stored {
            Stored::Step(outcome) => self.remember(*outcome),
            Stored::Request => self.has_asked_anew = true,
            Stored::Nothing => {}
        }
    }

    fn remember(&mut self, outcome: OutcomeRecord) {
        if self.stored_steps.len() < STORED_STEPS_MAX {
            self.stored_steps.push(outcome.key.clone());
        }
        self.memory.add(outcome);
    }

    fn take(&mut self, line: &[u8], replies: &mut Replies) {
        let frame: Frame = match serde_json::from_slice(line) {
            Ok(frame) => frame,
            Err(error) => {
                let start: String =
                    String::from_utf8_lossy(line).chars().take(MALFORMED_CHARS).collect();
                self.log.note(LogLevel::Error, format!("malformed frame ({error}): {start}"));
                return;
            }
        };
        if frame.seq != self.next_seq {
            let expected = self.next_seq;
            self.log
                .note(LogLevel::Error, format!("frame {} came in place of {expected}", frame.seq));
        }
        self.next_seq = frame.seq.max(self.next_seq).saturating_add(1);
        match frame.event {
            SpanEvent::Hello(_) => self.log.note(LogLevel::Error, "a second hello was passed over"),
            SpanEvent::SpanStart(start) => self.span_start(frame.seq, start),
            SpanEvent::Replayed(replayed) => self.replayed(frame.seq, replayed),
            SpanEvent::SpanEnd(end) => self.span_end(end),
            SpanEvent::SpanLog(SpanLog { span_id, level, text, at }) => {
                self.log.say(span_id, level, at, text);
            }
            SpanEvent::SpanTag(tag) => self.span_tag(tag),
            SpanEvent::StepOutput(step) => replies.push_back(self.step_output(frame.seq, step)),
            SpanEvent::Pause(pause) => replies.push_back(self.pause(frame.seq, pause)),
            SpanEvent::Callback(callback) => {
                replies.push_back(self.callback(frame.seq, callback));
            }
            SpanEvent::StepDeadline(deadline) => {
                self.deadlines.set(deadline.timeout_micros, deadline.output);
            }
            SpanEvent::PlayDeadline(deadline) => {
                replies.push_back(self.play_deadline(frame.seq, deadline));
            }
            SpanEvent::Result(result) => self.result = Some(result),
        }
    }

    fn span_start(&mut self, seq: u64, start: SpanStart) {
        let status = if start.replayed { SpanStatus::Replayed } else { SpanStatus::Running };
        let span = Span {
            span_id: start.span_id,
            parent_id: start.parent_id,
            launch: self.launch,
            seq,
            name: start.name,
            kind: start.kind,
            status,
            step_key: start.step_key,
            arguments: start.arguments,
            started_at: start.at,
            ended_at: start.replayed.then_some(start.at),
            tags: std::collections::BTreeMap::new(),
            error: None,
            child_play_sid: None,
            source_file: start.source_file,
            source_line: start.source_line,
        };
        self.post(span.clone());
        if !start.replayed {
            self.open_spans.push(span);
        }
    }

    fn replayed(&mut self, seq: u64, Replayed { parent_id, at, ran_as }: Replayed) {
        let spans = ReplayedSpans { launch: self.launch, seq, parent_id, at, ran_as };
        match spans.n_spans() {
            Ok(n_spans) => {
                self.next_seq = self.next_seq.max(seq + n_spans);
                self.post_write(Write::Replayed(self.play.clone(), Box::new(spans)));
            }
            Err(reason) => {
                self.log.note(LogLevel::Error, format!("malformed frame {seq} ({reason})"));
            }
        }
    }

    fn span_end(&mut self, end: SpanEnd) {
        if let Some(span) = self.close_span(&end.span_id, end.status, end.at, end.error) {
            self.post(span);
        }
    }

    fn span_tag(&mut self, SpanTag { span_id, tags }: SpanTag) {
        let Some(span) = self.open_spans.iter_mut().rfind(|span| span.span_id == span_id) else {
            return self
                .log
                .note(LogLevel::Warning, format!("tags for span `{span_id}`, which is not open"));
        };
        if span.kind == SpanKind::FlowRoot {
            self.tagging.add(&self.supervisor, &self.play, self.launch, &tags);
        }
        span.tags.extend(tags);
        let span = span.clone();
        self.post(span);
    }

    /// Stores an outcome together with the end of its span.
    fn step_output(&mut self, seq: u64, step: StepOutput) -> BoxFuture<'static, Handled> {
        let (outcome, span) = self.ended_step(seq, step);
        let batch = self.of_ended_step(&outcome, span);
        let (supervisor, bound) = (self.supervisor.clone(), self.bound());
        let shared = self.supervisor.shared.clone();
        let commit = shared.store.commit_here(batch);
        Box::pin(async move {
            let result = commit.await;
            let is_over = match bound {
                Some(bound) if result.is_ok() => supervisor.stops_at(bound).await,
                _ => false,
            };
            let stored = if result.is_ok() { Stored::Step(outcome) } else { Stored::Nothing };
            let reply = match result {
                Ok(()) if is_over => Reply::Refused { seq, message: OVER_BUDGET.into() },
                Ok(()) if *shared.is_stopping.borrow() => {
                    let message = "the supervisor is stopping; the play goes on with the next one";
                    Reply::Refused { seq, message: message.into() }
                }
                Ok(()) => Reply::Ack { seq, answer: None },
                Err(error) => Reply::Refused { seq, message: error.to_string() },
            };
            Handled { reply, stored }
        })
    }

    /// A step has run out of time: stores what that comes to, and ends the launch. What else the
    /// launch says is not heard any more; the next one goes on from what is stored.
    async fn time_out(&mut self, mut step: StepOutput) {
        step.at = self.supervisor.shared.store.now();
        self.log.note(LogLevel::Error, format!("step `{}` ran out of time", step.name));
        let seq = self.next_seq;
        let (outcome, span) = self.ended_step(seq, step);
        let span = span.map(|span| Span { status: SpanStatus::TimedOut, ..span });
        let batch = self.of_ended_step(&outcome, span);
        let shared = Arc::clone(&self.supervisor.shared);
        match shared.store.commit(batch).await {
            Ok(()) => {
                self.was_timed_out = true;
                self.remember(*outcome);
            }
            Err(error) => {
                self.log.note(LogLevel::Error, format!("that is not stored: {error}"));
            }
        }
        shared.kill(&self.play, self.launch);
    }

    fn play_deadline(&self, seq: u64, deadline: PlayDeadline) -> BoxFuture<'static, Handled> {
        let (supervisor, play, launch) = (self.supervisor.clone(), self.play.clone(), self.launch);
        let timeout_micros = deadline.timeout_micros;
        Box::pin(async move {
            let event = |_: &PlayRecord| Event::DeadlineSet { launch, timeout_micros };
            let reply = match supervisor.decide(&play, event).await {
                Ok(_) => Reply::Ack { seq, answer: None },
                Err(error) => Reply::Refused { seq, message: error.to_string() },
            };
            Handled { reply, stored: Stored::Nothing }
        })
    }

    /// The outcome of a step and the end of its span.
    fn ended_step(&mut self, seq: u64, step: StepOutput) -> (Box<OutcomeRecord>, Option<Span>) {
        let (status, error) = match &step.outcome {
            Outcome::Returned(_) => (SpanStatus::Ok, None),
            Outcome::Raised(raised) => (SpanStatus::Failed, Some(raised.clone())),
        };
        let span = self.close_span(&step.span_id, status, step.at, error);
        let usage = self.spent_in.remove(&step.span_id).unwrap_or_default();
        self.spent_in_outcomes += usage;
        let record = OutcomeRecord {
            key: step.key,
            parent_path: step.parent_path,
            name: step.name,
            arguments_hash: step.arguments_hash,
            source_hash: step.source_hash,
            span_id: step.span_id,
            launch: self.launch,
            seq,
            span_seq: span.as_ref().map(|span| span.seq),
            compensable: step.compensable,
            plan: step.plan,
            place: step.place,
            usage,
            outcome: step.outcome,
        };
        (Box::new(record), span)
    }

    fn of_ended_step(&self, outcome: &OutcomeRecord, span: Option<Span>) -> Batch {
        let outcome = Write::Outcome(self.play.clone(), Box::new(outcome.clone()));
        let span = span.map(|span| Write::Span(self.play.clone(), Box::new(span)));
        self.fenced(std::iter::once(outcome).chain(span).collect())
    }

    fn pause(&mut self, seq: u64, pause: Pause) -> BoxFuture<'static, Handled> {
        if let Some(spawn) = &pause.spawn {
            self.name_child(&pause.span_id, child_play_sid(&self.play, &spawn.step_key));
        }
        let (supervisor, play, launch) = (self.supervisor.clone(), self.play.clone(), self.launch);
        let bound = self.bound();
        Box::pin(async move {
            if let Some(bound) = bound
                && supervisor.stops_at(bound).await
            {
                let reply = Reply::Refused { seq, message: OVER_BUDGET.into() };
                return Handled { reply, stored: Stored::Nothing };
            }
            match supervisor.asked(&play, launch, pause).await {
                Ok(Asked { answer, is_new }) => {
                    let stored = if is_new { Stored::Request } else { Stored::Nothing };
                    Handled { reply: Reply::Ack { seq, answer }, stored }
                }
                Err(error) => {
                    let reply = Reply::Refused { seq, message: error.to_string() };
                    Handled { reply, stored: Stored::Nothing }
                }
            }
        })
    }

    fn callback(&mut self, seq: u64, callback: Pause) -> BoxFuture<'static, Handled> {
        let (supervisor, play, launch) = (self.supervisor.clone(), self.play.clone(), self.launch);
        Box::pin(async move {
            match supervisor.asked_ahead(&play, launch, callback).await {
                Ok((url, is_new)) => {
                    let answer = Some(Outcome::Returned(url));
                    let stored = if is_new { Stored::Request } else { Stored::Nothing };
                    Handled { reply: Reply::Ack { seq, answer }, stored }
                }
                Err(error) => {
                    let reply = Reply::Refused { seq, message: error.to_string() };
                    Handled { reply, stored: Stored::Nothing }
                }
            }
        })
    }

    fn name_child(&mut self, span_id: &SpanId, child: PlaySid) {
        if let Some(span) = self.open_spans.iter_mut().rfind(|span| span.span_id == *span_id) {
            span.child_play_sid = Some(child);
            let span = span.clone();
            self.post(span);
        }
    }

    fn close_span(
        &mut self,
        span_id: &SpanId,
        status: SpanStatus,
        at: Timestamp,
        error: Option<Raised>,
    ) -> Option<Span> {
        self.deadlines.forget(span_id);
        let index = self.open_spans.iter().rposition(|span| span.span_id == *span_id)?;
        self.add_usage(index);
        let span = self.open_spans.remove(index);
        Some(Span { status, ended_at: Some(at), error, ..span })
    }

    /// Adds what an open span was annotated with to what its step has spent, or to the rest.
    fn add_usage(&mut self, index: usize) {
        let usage = Usage::of_tags(&self.open_spans[index].tags);
        if usage.is_nothing() {
            return;
        }
        match self.step_around(index) {
            Some(step) => *self.spent_in.entry(step).or_default() += usage,
            None => self.spent_around += usage,
        }
    }

    /// The innermost step that an open span is or was called by.
    fn step_around(&self, index: usize) -> Option<SpanId> {
        let mut span = Some(&self.open_spans[index]);
        while let Some(inner) = span {
            if inner.step_key.is_some() {
                return Some(inner.span_id.clone());
            }
            let parent = inner.parent_id.as_ref();
            span = self.open_spans.iter().find(|outer| Some(&outer.span_id) == parent);
        }
        None
    }

    /// This place, where the play has a budget.
    fn bound(&self) -> Option<Bound> {
        let (play, launch) = (self.play.clone(), self.launch);
        Some(Bound { play, launch, total: self.spent_by_now()? })
    }

    /// What the play has spent by now, where that has a bound.
    fn spent_by_now(&self) -> Option<Usage> {
        let before = self.bounded_after?;
        let open = self.open_spans.iter().map(|span| Usage::of_tags(&span.tags));
        let unfinished = self.spent_in.values().copied();
        let in_this_launch = open.chain(unfinished).fold(self.spent_around, Usage::add);
        Some(before + self.spent_in_outcomes + in_this_launch)
    }

    /// Whether it has said how its flow ended.
    pub(crate) fn has_result(&self) -> bool {
        self.result.is_some()
    }

    /// Ends the spans that are still open, now that the process is gone: with what it died of, where
    /// it did.
    pub(crate) fn finish(mut self, open_status: SpanStatus, death: Option<&Raised>) -> Recorded {
        let now = self.supervisor.shared.store.now();
        let open_span = self.open_spans.last().map(|span| span.span_id.clone());
        (0..self.open_spans.len()).for_each(|index| self.add_usage(index));
        for span in std::mem::take(&mut self.open_spans) {
            let (status, error) = match (&self.result, span.kind) {
                (Some(FlowResult { outcome: Outcome::Returned(_), .. }), SpanKind::FlowRoot) => {
                    (SpanStatus::Ok, None)
                }
                (Some(FlowResult { outcome: Outcome::Raised(raised), .. }), SpanKind::FlowRoot) => {
                    (SpanStatus::Failed, Some(raised.clone()))
                }
                _ => (open_status, death.cloned()),
            };
            self.post(Span { status, error, ended_at: Some(now), ..span });
        }
        Recorded {
            result: self.result,
            has_asked_anew: self.has_asked_anew,
            stored_steps: self.stored_steps,
            memory: self.is_settled.then_some(self.memory),
            was_timed_out: self.was_timed_out,
            open_span,
            spent_in_vain: self.spent_in.into_values().fold(Usage::default(), Usage::add),
            spent_around: self.spent_around,
        }
    }

    fn post(&self, span: Span) {
        self.post_write(Write::Span(self.play.clone(), Box::new(span)));
    }

    fn post_write(&self, write: Write) {
        self.supervisor.shared.store.post(self.fenced(vec![write]));
    }

    fn fenced(&self, writes: Vec<Write>) -> Batch {
        Batch { fence: Some(Fence { play: self.play.clone(), launch: self.launch }), writes }
    }
}

/// A place at which a play with a budget goes on only within it.
pub(crate) struct Bound {
    pub(crate) play: PlaySid,
    pub(crate) launch: LaunchNumber,
    /// What it has spent by then.
    pub(crate) total: Usage,
}

impl Supervisor {
    /// Fails the play where it has spent more than its budget; tells whether it does not go on.
    pub(crate) async fn stops_at(&self, bound: Bound) -> bool {
        let Bound { play, launch, total } = bound;
        match self.decide(&play, |_| Event::Spent { launch, total }).await {
            Ok(Decision::NoChange) => false,
            Ok(Decision::Change(_)) => true,
            // Whoever ended the play meanwhile ends the launch as well.
            Err(error) => {
                tracing::debug!(%play, %error, "what was spent is not counted");
                false
            }
        }
    }
}

/// What became of a question.
struct Asked {
    answer: Option<Outcome>,
    is_new: bool,
}

impl Supervisor {
    /// A launch stands at a pause: stores the question, and returns the answer if there is one.
    async fn asked(
        &self,
        play: &PlaySid,
        launch: LaunchNumber,
        pause: Pause,
    ) -> Result<Asked, Error> {
        let asked = self.request_of(play, &pause)?;
        loop {
            let record = self.record(play).await?;
            let stored = self.shared.store.request(play, &asked.id).await?;
            let is_new = stored.is_none();
            let mut started = Start::default();
            if let Some(spawn) = pause.spawn.as_ref().filter(|_| is_new) {
                match self.child(&record, &asked.id, spawn).await? {
                    Child::Starts(starts) => started = *starts,
                    Child::Runs => {}
                    Child::Ended(outcome) => return Ok(Asked { answer: Some(outcome), is_new }),
                }
            }
            let event = Event::Asked { launch, asked: asked.clone(), stored };
            match self.try_decide_with(&record, event, started).await {
                Err(Error::Store(hero_store::Error::Conflict { .. })) => {}
                Err(error) => return Err(error),
                Ok(Decision::Change(transition)) => {
                    let answer = transition.request.and_then(|request| request.answer);
                    return Ok(Asked { answer: answer.map(|answer| answer.outcome), is_new });
                }
                Ok(Decision::NoChange) => unreachable!("standing at a pause is always noted"),
            }
        }
    }
}

impl Supervisor {
    /// A launch asks ahead: stores the question, and returns the URL that it is answered at, and whether
    /// it is new.
    async fn asked_ahead(
        &self,
        play: &PlaySid,
        launch: LaunchNumber,
        callback: Pause,
    ) -> Result<(Json, bool), Error> {
        if callback.kind != RequestKind::Callback {
            return Err(Error::NotACallback { request: callback.id });
        }
        let asked = self.request_of(play, &callback)?;
        loop {
            let record = self.record(play).await?;
            let stored = self.shared.store.request(play, &asked.id).await?;
            let (url, is_new) = (stored.as_ref().unwrap_or(&asked).url.clone(), stored.is_none());
            let event = Event::AskedAhead { launch, asked: asked.clone(), stored };
            match self.try_decide(&record, event).await {
                Err(Error::Store(hero_store::Error::Conflict { .. })) => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok((Json::of(&url).expect("text has a JSON form"), is_new)),
            }
        }
    }

    /// The question that a launch asks now.
    fn request_of(&self, play: &PlaySid, pause: &Pause) -> Result<ResumeRequest, Error> {
        let now = self.shared.store.now();
        let expires_at = pause.timeout_micros.map(|micros| now.after_micros(micros));
        let url = match pause.kind {
            RequestKind::Callback => Some(self.shared.callbacks.url(play, &pause.id, expires_at)?),
            _ => None,
        };
        Ok(ResumeRequest {
            id: pause.id.clone(),
            name: pause.name.clone(),
            kind: pause.kind,
            schema: pause.schema.clone(),
            ui: pause.ui.clone(),
            asked_at_span_id: pause.span_id.clone(),
            asked_at: now,
            expires_at,
            default: pause.default.clone(),
            url,
            is_ahead: false,
            is_carried: false,
            answer: None,
        })
    }
}

/// The steps that a launch was handed and did not ask for, as its result says.
pub(crate) fn not_asked_for(result: Option<&FlowResult>) -> &[StepKey] {
    result.map_or(&[], |result| &result.left_over)
}
