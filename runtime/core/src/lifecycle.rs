//! The life of a play as one total function.
//!
//! [`apply`] looks at the status and the event; every pair that is not an edge of the life of a play
//! is a [`Refusal`] that names both. A shell that cannot store the new play (someone else changed it
//! first) reads it again and asks again: nothing here remembers anything.

use std::collections::BTreeMap;

use hero_schema::frame::FlowResult;
use hero_schema::{
    Answer, Answerer, Failure, Json, LaunchNumber, Outcome, PlayRecord, PlayStatus, RequestKind,
    ResumeRequest, Timestamp, Usage, exit, tag,
};

use crate::launch_end::{Exit, LaunchEnd, RELAUNCHES_WITHOUT_PROGRESS_MAX};
use crate::{answer, failure, final_callback, prefill};

/// What can happen to a play.
#[derive(Clone, Debug)]
pub enum Event {
    /// A launch is due: the play is new, or is `running` and no process of it is left.
    LaunchDue,
    /// A launch stands at a pause.
    Asked {
        /// Which launch.
        launch: LaunchNumber,
        /// The question as it is asked now.
        asked: ResumeRequest,
        /// The same question as it is stored, where it was asked before.
        stored: Option<ResumeRequest>,
    },
    /// A launch asks ahead: it goes on, and may stand at the question later.
    AskedAhead {
        /// Which launch.
        launch: LaunchNumber,
        /// The question as it is asked now.
        asked: ResumeRequest,
        /// The same question as it is stored, where it was asked before.
        stored: Option<ResumeRequest>,
    },
    /// Someone answers a stored request.
    Answered {
        /// The request as it is stored.
        request: ResumeRequest,
        /// What the pause is to return or raise.
        outcome: Outcome,
        /// Who answers.
        by: Answerer,
    },
    /// The time of a stored request is over.
    Expired {
        /// The request as it is stored.
        request: ResumeRequest,
    },
    /// Answers are given ahead.
    Prefilled {
        /// Pause name or glob → payload.
        entries: BTreeMap<String, Json>,
    },
    /// The process of a launch is gone.
    LaunchEnded {
        /// Which launch.
        launch: LaunchNumber,
        /// How it ended.
        end: LaunchEnd,
    },
    /// A launch says how long the play may take.
    DeadlineSet {
        /// Which launch.
        launch: LaunchNumber,
        /// How long, from the play's first launch on, in microseconds.
        timeout_micros: u64,
    },
    /// A launch has annotated the root flow.
    Tagged {
        /// Which launch.
        launch: LaunchNumber,
        /// What it attached.
        tags: BTreeMap<String, Json>,
    },
    /// A launch has come to a step, and this is what the play has spent by then.
    Spent {
        /// Which launch.
        launch: LaunchNumber,
        /// How much.
        total: Usage,
    },
    /// The play's time is over.
    DeadlinePassed,
    /// Someone ends the play.
    CancelRequested,
}

impl Event {
    fn word(&self) -> &'static str {
        match self {
            Self::LaunchDue => "launch due",
            Self::Asked { .. } => "asked",
            Self::AskedAhead { .. } => "asked ahead",
            Self::Answered { .. } => "answered",
            Self::Expired { .. } => "expired",
            Self::Prefilled { .. } => "prefilled",
            Self::LaunchEnded { .. } => "launch ended",
            Self::DeadlineSet { .. } => "deadline set",
            Self::Tagged { .. } => "tagged",
            Self::Spent { .. } => "spent",
            Self::DeadlinePassed => "deadline passed",
            Self::CancelRequested => "cancel requested",
        }
    }
}

/// What an event does to a play.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Store this, then perform its effects.
    Change(Box<Transition>),
    /// The event is late or repeated and changes nothing.
    NoChange,
}

/// A change to store and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The play after the event.
    pub play: PlayRecord,
    /// The request that the event created or answered.
    pub request: Option<ResumeRequest>,
    /// To be performed once the play is stored. Idempotent: done twice, they do no harm.
    pub effects: Vec<Effect>,
}

impl Transition {
    /// Whether something may happen by the clock from now on: a request expires or the play does.
    pub fn falls_due(&self) -> bool {
        let request = self.request.as_ref().filter(|request| request.is_open());
        let expires_at = request.and_then(|request| request.expires_at);
        !self.play.status.is_ended() && (expires_at.is_some() || self.play.deadline.is_some())
    }
}

/// What a shell must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start the process of this launch.
    Launch(LaunchNumber),
    /// End the processes of this launch, if there are any.
    Kill(LaunchNumber),
}

/// Why an event is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The status has no such edge.
    #[error("a play that is `{status}` cannot take the event `{event}`")]
    Illegal {
        /// The status.
        status: PlayStatus,
        /// The event.
        event: &'static str,
    },
    /// The play has ended.
    #[error("the play has ended (`{status}`)")]
    Ended {
        /// How.
        status: PlayStatus,
    },
    /// A newer launch exists; this one must end.
    #[error("launch {launch} is not the current one ({current})")]
    StaleLaunch {
        /// The launch that spoke.
        launch: LaunchNumber,
        /// The launch that counts.
        current: LaunchNumber,
    },
    /// The request holds another answer.
    #[error("the request was answered otherwise before")]
    Conflict {
        /// When.
        resumed_at: Timestamp,
    },
    /// The request is answered by the end of a child play and by nothing else.
    #[error("the request is answered by the end of a child play and by nothing else")]
    ChildOnly,
    /// The answer does not fit the schema of its request.
    #[error("the answer does not fit: {0}")]
    Misfit(#[from] answer::Misfit),
}

/// Decides what an event does to a play.
///
/// # Errors
/// The event is not possible now; see [`Refusal`].
pub fn apply(play: &PlayRecord, event: Event, now: Timestamp) -> Result<Decision, Refusal> {
    use PlayStatus::{AwaitingResume, Pending, Running};
    match (play.status, event) {
        (Pending | Running, Event::LaunchDue) => Ok(relaunched(play.clone(), now)),

        (Running, Event::Asked { launch, asked, stored }) => {
            is_current(play, launch)?;
            asked_in(play.clone(), asked, stored, now)
        }
        (Running, Event::AskedAhead { launch, asked, stored }) => {
            is_current(play, launch)?;
            asked_ahead(play.clone(), asked, stored, now)
        }
        (status, event @ (Event::Asked { launch, .. } | Event::AskedAhead { launch, .. })) => {
            is_current(play, launch)?;
            Err(match status.is_ended() {
                true => Refusal::Ended { status },
                false => Refusal::Illegal { status, event: event.word() },
            })
        }

        (status, Event::Answered { request, outcome, by }) => match &request.answer {
            Some(answer) if answer.outcome == outcome => Ok(Decision::NoChange),
            Some(answer) => Err(Refusal::Conflict { resumed_at: answer.resumed_at }),
            None if status.is_ended() => Err(Refusal::Ended { status }),
            None if request.kind == RequestKind::Child && by != Answerer::Child => {
                Err(Refusal::ChildOnly)
            }
            None => {
                if let Outcome::Returned(payload) = &outcome {
                    answer::check(request.schema.as_ref(), payload)?;
                }
                Ok(answered(play.clone(), request, outcome, by, now))
            }
        },

        (Pending | Running | AwaitingResume, Event::Expired { request }) if request.is_open() => {
            let outcome = request.outcome_on_expiry();
            // The flow itself gave the default. A timer that refused it would leave the play waiting.
            Ok(answered(play.clone(), request, outcome, Answerer::Timer, now))
        }
        // Someone answered in time, or nobody waits for it any more.
        (_, Event::Expired { .. }) => Ok(Decision::NoChange),

        (Pending | Running | AwaitingResume, Event::Prefilled { entries }) => {
            let mut play = play.clone();
            play.prefill.extend(entries);
            Ok(change(play, None, []))
        }

        (Running, Event::LaunchEnded { launch, end }) if launch == play.launch => {
            Ok(launch_ended(play.clone(), end, now))
        }
        // The process of an older launch, or of a play that was ended meanwhile.
        (_, Event::LaunchEnded { .. }) => Ok(Decision::NoChange),

        (Pending | Running | AwaitingResume, Event::CancelRequested) => {
            Ok(stopped(play.clone(), PlayStatus::Cancelled, now))
        }
        (PlayStatus::Cancelled, Event::CancelRequested) => Ok(Decision::NoChange),
        (Running, Event::DeadlineSet { launch, timeout_micros }) => {
            is_current(play, launch)?;
            Ok(deadline_set(play.clone(), timeout_micros, now))
        }
        (Running, Event::Tagged { launch, tags }) => {
            is_current(play, launch)?;
            Ok(tagged(play.clone(), tags))
        }
        (Running, Event::Spent { launch, total }) => {
            is_current(play, launch)?;
            Ok(spent(play.clone(), total, now))
        }
        (Pending | Running | AwaitingResume, Event::DeadlinePassed) => {
            Ok(stopped(play.clone(), PlayStatus::TimedOut, now))
        }
        (status, Event::CancelRequested | Event::Prefilled { .. }) => {
            Err(Refusal::Ended { status })
        }
        (status, Event::DeadlineSet { .. } | Event::Tagged { .. } | Event::Spent { .. })
            if status.is_ended() =>
        {
            Err(Refusal::Ended { status })
        }

        (
            status,
            event @ (Event::LaunchDue
            | Event::DeadlinePassed
            | Event::DeadlineSet { .. }
            | Event::Tagged { .. }
            | Event::Spent { .. }),
        ) => Err(Refusal::Illegal { status, event: event.word() }),
    }
}

fn is_current(play: &PlayRecord, launch: LaunchNumber) -> Result<(), Refusal> {
    if launch == play.launch {
        Ok(())
    } else {
        Err(Refusal::StaleLaunch { launch, current: play.launch })
    }
}

fn relaunched(mut play: PlayRecord, now: Timestamp) -> Decision {
    play.status = PlayStatus::Running;
    play.launch = play.launch.next();
    play.n_fresh_answers = 0;
    play.started_at.get_or_insert(now);
    let launch = play.launch;
    change(play, None, [Effect::Launch(launch)])
}

/// A launch stands at a pause: it goes on at once where there is an answer, stored or prefilled.
fn asked_in(
    mut play: PlayRecord,
    asked: ResumeRequest,
    stored: Option<ResumeRequest>,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    if let Some(request) = stored.as_ref().filter(|request| !request.is_open()) {
        if !request.is_carried {
            return Ok(change(play, stored, []));
        }
        if is_alike(request, &asked) {
            let confirmed = ResumeRequest { is_carried: false, ..request.clone() };
            return Ok(change(play, Some(confirmed), []));
        }
    }
    // An answer to what is asked otherwise by now is no answer.
    let stored = stored.filter(ResumeRequest::is_open);
    let is_new = stored.is_none();
    let mut request = stored.unwrap_or(asked);
    request.is_ahead = false;
    if let Some(decision) = prefilled(&play, &request, is_new, now) {
        return Ok(decision);
    }
    if play.prefill_only && request.takes_prefill() {
        let failure = failure::prefill_missing(&request);
        return Ok(failed_and_killed(play, failure, now));
    }
    play.n_open_requests += u32::from(is_new);
    play.asked_in_launch = play.launch;
    Ok(change(play, Some(request), []))
}

/// A launch asks ahead, and goes on. What was asked before stays as it is.
fn asked_ahead(
    mut play: PlayRecord,
    asked: ResumeRequest,
    stored: Option<ResumeRequest>,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    if stored.is_some() {
        return Ok(Decision::NoChange);
    }
    let request = ResumeRequest { is_ahead: true, ..asked };
    if let Some(decision) = prefilled(&play, &request, true, now) {
        return Ok(decision);
    }
    play.n_open_requests += 1;
    Ok(change(play, Some(request), []))
}

/// What an entry of the prefill makes of a question; None where none matches it.
fn prefilled(
    play: &PlayRecord,
    request: &ResumeRequest,
    is_new: bool,
    now: Timestamp,
) -> Option<Decision> {
    if !request.takes_prefill() {
        return None;
    }
    let (pattern, payload) = prefill::find(&play.prefill, &request.name)?;
    let (mut play, pattern) = (play.clone(), pattern.to_owned());
    if let Err(misfit) = answer::check(request.schema.as_ref(), payload) {
        let failure = failure::prefill_mismatch(request, &pattern, &misfit);
        return Some(failed_and_killed(play, failure, now));
    }
    play.prefill_used.insert(pattern.clone());
    play.n_open_requests = play.n_open_requests.saturating_sub(u32::from(!is_new));
    let answer = Answer {
        outcome: Outcome::Returned(payload.clone()),
        resumed_at: now,
        resumed_by: Answerer::Prefill { pattern },
    };
    Some(change(play, Some(ResumeRequest { answer: Some(answer), ..request.clone() }), []))
}

/// Whether whoever answered the one was asked the same as by the other.
fn is_alike(one: &ResumeRequest, other: &ResumeRequest) -> bool {
    let asked = |request: &ResumeRequest| {
        (request.kind, request.name.clone(), request.schema.clone(), request.ui.clone())
    };
    asked(one) == asked(other)
}

fn answered(
    mut play: PlayRecord,
    mut request: ResumeRequest,
    outcome: Outcome,
    by: Answerer,
    now: Timestamp,
) -> Decision {
    if let Answerer::Prefill { pattern } = &by {
        play.prefill_used.insert(pattern.clone());
    }
    request.answer = Some(Answer { outcome, resumed_at: now, resumed_by: by });
    play.n_open_requests = play.n_open_requests.saturating_sub(1);
    play.n_fresh_answers += 1;
    if play.status != PlayStatus::AwaitingResume {
        return change(play, Some(request), []);
    }
    match relaunched(play, now) {
        Decision::Change(mut transition) => {
            transition.request = Some(request);
            Decision::Change(transition)
        }
        Decision::NoChange => Decision::NoChange,
    }
}

/// The table of launch ends: exit code or signal, against what the launch has reported.
fn launch_ended(mut play: PlayRecord, end: LaunchEnd, now: Timestamp) -> Decision {
    let has_asked = play.asked_in_launch == play.launch;
    play.spent_in_vain += end.spent.in_vain;
    match end.spent.of_outcomes {
        Some(usage) => play.set_total(play.spent_in_steps(usage) + end.spent.of_the_rest),
        None => play.set_total(play.total() + end.spent.in_vain),
    }
    play.left_over.clone_from(&end.left_over);
    if end.was_timed_out {
        // What the step's time came to is remembered, and the flow goes on from there.
        play.n_launches_without_progress = 0;
        return relaunched(play, now);
    }
    match (&end.exit, &end.result) {
        (Exit::Code(exit::PAUSED), _) if has_asked => paused(play, now),
        (Exit::Code(exit::PAUSED), _) => failed(play, failure::pause_without_request(&end), now),
        (Exit::Code(code), _) if has_asked => {
            let failure = failure::request_without_pause(*code, &end);
            failed(play, failure, now)
        }
        (Exit::Code(exit::SUCCESS), Some(result)) => match &result.outcome {
            Outcome::Returned(output) => succeeded(play, output.clone(), now),
            Outcome::Raised(_) => failed(play, failure::no_result(&end), now),
        },
        (Exit::Code(exit::SUCCESS), None) => failed(play, failure::no_result(&end), now),
        (
            Exit::Code(exit::FAILED | exit::USAGE),
            Some(FlowResult { outcome: Outcome::Raised(raised), is_definition_error, .. }),
        ) => {
            let failure = failure::reported(raised, *is_definition_error, &end);
            failed(play, failure, now)
        }
        (Exit::NotStarted(reason), _) => {
            let failure = failure::not_started(reason, &end);
            failed(play, failure, now)
        }
        (Exit::Code(_) | Exit::Signal(..) | Exit::OutOfMemory, _) => crashed(play, &end, now),
    }
}

fn paused(mut play: PlayRecord, now: Timestamp) -> Decision {
    play.n_launches_without_progress = 0;
    // An answer that came while the launch was still ending has not been seen by it.
    if play.n_open_requests == 0 || play.n_fresh_answers > 0 {
        return relaunched(play, now);
    }
    play.status = PlayStatus::AwaitingResume;
    change(play, None, [])
}

fn succeeded(mut play: PlayRecord, output: Json, now: Timestamp) -> Decision {
    play.status = PlayStatus::Success;
    play.output = Some(output);
    play.ended_at = Some(now);
    change(play, None, [])
}

fn failed(mut play: PlayRecord, failure: Failure, now: Timestamp) -> Decision {
    play.status = PlayStatus::Failed;
    play.failure = Some(failure);
    play.ended_at = Some(now);
    change(play, None, [])
}

fn failed_and_killed(play: PlayRecord, failure: Failure, now: Timestamp) -> Decision {
    let launch = play.launch;
    match failed(play, failure, now) {
        Decision::Change(mut transition) => {
            transition.effects.push(Effect::Kill(launch));
            Decision::Change(transition)
        }
        Decision::NoChange => Decision::NoChange,
    }
}

/// The first deadline counts: a later launch tells the same one, and its clock began with the first.
fn deadline_set(mut play: PlayRecord, timeout_micros: u64, now: Timestamp) -> Decision {
    if play.deadline.is_some() {
        return Decision::NoChange;
    }
    play.deadline = Some(play.started_at.unwrap_or(now).after_micros(timeout_micros));
    change(play, None, [])
}

/// Every launch annotates again: what is there already is no change.
fn tagged(mut play: PlayRecord, tags: BTreeMap<String, Json>) -> Decision {
    let mut is_changed = false;
    for (name, value) in tags.into_iter().filter(|(name, value)| tag::is_of_plays(name, value)) {
        let has_room = play.tags.len() < tag::OF_A_PLAY_MAX || play.tags.contains_key(&name);
        if has_room && play.tags.get(&name) != Some(&value) {
            play.tags.insert(name, value);
            is_changed = true;
        }
    }
    if is_changed { change(play, None, []) } else { Decision::NoChange }
}

/// Beyond its budget a play fails. What it has done is stored, and a retry goes on from there.
fn spent(mut play: PlayRecord, total: Usage, now: Timestamp) -> Decision {
    let counted = play.spent_before + total;
    match play.budget.filter(|budget| budget.is_exceeded_by(&counted)) {
        None => Decision::NoChange,
        Some(budget) => {
            play.set_total(total);
            let failure = failure::budget_exceeded(&play, budget, counted);
            failed_and_killed(play, failure, now)
        }
    }
}

fn stopped(mut play: PlayRecord, status: PlayStatus, now: Timestamp) -> Decision {
    let was_running = play.status == PlayStatus::Running;
    play.status = status;
    play.ended_at = Some(now);
    let launch = play.launch;
    change(play, None, was_running.then_some(Effect::Kill(launch)))
}

fn crashed(mut play: PlayRecord, end: &LaunchEnd, now: Timestamp) -> Decision {
    play.n_launches_without_progress =
        if end.has_progressed { 0 } else { play.n_launches_without_progress + 1 };
    if play.n_launches_without_progress > RELAUNCHES_WITHOUT_PROGRESS_MAX {
        return failed(play, failure::crashed(end), now);
    }
    relaunched(play, now)
}

fn change(
    mut play: PlayRecord,
    request: Option<ResumeRequest>,
    effects: impl IntoIterator<Item = Effect>,
) -> Decision {
    play.revision += 1;
    final_callback::begin(&mut play);
    Decision::Change(Box::new(Transition { play, request, effects: effects.into_iter().collect() }))
}

#[cfg(test)]
mod tests;
