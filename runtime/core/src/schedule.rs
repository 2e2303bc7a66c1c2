//! When a schedule is due, and what happens then.
//!
//! Every due time comes to exactly one decision: it is claimed, and its play starts under the id of the
//! firing as idempotency key; or it waits for its turn; or it is skipped, with the reason. The decision is
//! stored before anything follows from it, so a crash at any point is repaired by going on from there.

use hero_schema::step::sha1_hex;
use hero_schema::{
    Firing, FiringId, FiringOutcome, FiringPlace, Overlap, PlaySid, Schedule, ScheduleState,
    SkipReason, Timestamp,
};

pub use calendar::{Calendar, Unfit};

mod calendar;

#[cfg(test)]
mod tests;

/// How many due times of one schedule may wait for the end of a play.
pub const QUEUE_MAX: usize = 100;

/// A schedule as it stands.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// Its due times.
    pub calendar: &'a Calendar,
    /// Its firings that something is still to be done about, earliest due time first.
    pub open: &'a [Firing],
    /// The play of its latest firing, where that has not ended.
    pub runs: Option<&'a PlaySid>,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done about a schedule next.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// Nothing, until something else changes or it fires next.
    Wait,
    /// Start the play of a claimed firing: under its id, so that it is no other than the one that an
    /// earlier attempt may have started.
    Start(Firing),
    /// Cancel a play, and look again.
    Cancel(PlaySid),
    /// Store a decision, and look again.
    Decide(Box<Decided>),
}

/// A decision, to be stored as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The next revision of the schedule.
    pub schedule: Schedule,
    /// What became of a due time.
    pub firing: Firing,
}

/// Why a schedule cannot fire again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its time is over")]
pub struct Over;

/// A new schedule, with its first due time after `now`.
///
/// # Errors
/// It is never due after that.
pub fn begin(schedule: Schedule, calendar: &Calendar, now: Timestamp) -> Result<Schedule, Over> {
    let due = calendar.next_after(now).ok_or(Over)?;
    Ok(due_at(schedule, Some(due)))
}

/// What is to be done about a schedule.
pub fn turn(view: View<'_>) -> Turn {
    let View { schedule, open, now, .. } = view;
    if let Some(claimed) = open.iter().find(|firing| firing.outcome == FiringOutcome::Claimed) {
        return Turn::Start(claimed.clone());
    }
    let is_paused = schedule.state == ScheduleState::Paused;
    if let Some(queued) = open.first().filter(|_| view.runs.is_none() && !is_paused) {
        return decide(schedule.clone(), queued.clone(), FiringOutcome::Claimed, now);
    }
    let fires = schedule.next_at.is_some_and(|at| at <= now);
    let Some(due) = schedule.due.filter(|_| fires && schedule.state == ScheduleState::Active)
    else {
        return Turn::Wait;
    };
    if let Some(late) = schedule.catch_up_micros {
        // From the end of the jitter on, so that all due times are as late as they are old.
        let late = i64::try_from(late.saturating_add(schedule.jitter_micros)).unwrap_or(i64::MAX);
        let in_time = Timestamp(now.0.saturating_sub(late));
        if due < in_time {
            return skip_until(view, due, in_time, SkipReason::Missed);
        }
    }
    let outcome = match outcome(view) {
        Ok(outcome) => outcome,
        Err(play) => return Turn::Cancel(play),
    };
    let next = view.calendar.next_after(due);
    decide(due_at(schedule.clone(), next), firing(schedule, due, false, now), outcome, now)
}

/// What is to be done where somebody wants a schedule to fire now, beside its due times.
pub fn run_now(view: View<'_>) -> Turn {
    let claimed = view.open.iter().find(|firing| firing.outcome == FiringOutcome::Claimed);
    match (claimed, outcome(view)) {
        (Some(claimed), _) => Turn::Start(claimed.clone()),
        (None, Err(play)) => Turn::Cancel(play),
        (None, Ok(outcome)) => {
            let firing = firing(view.schedule, view.now, true, view.now);
            let outcome = match outcome {
                FiringOutcome::Skipped { reason, play_sid, .. } => {
                    FiringOutcome::Skipped { reason, play_sid, n_due: 1, last_due_at: view.now }
                }
                other => other,
            };
            decide(view.schedule.clone(), firing, outcome, view.now)
        }
    }
}

/// The schedule, paused; None where it does not fire as it is.
pub fn pause(schedule: &Schedule) -> Option<Schedule> {
    let paused = || Schedule {
        state: ScheduleState::Paused,
        next_at: None,
        revision: schedule.revision + 1,
        ..schedule.clone()
    };
    (schedule.state == ScheduleState::Active).then(paused)
}

/// What lets a schedule fire again: what was due meanwhile is skipped.
///
/// # Errors
/// It is never due again.
pub fn unpause(
    schedule: &Schedule,
    calendar: &Calendar,
    now: Timestamp,
) -> Result<(Schedule, Option<Firing>), Over> {
    let next = calendar.next_after(now).ok_or(Over)?;
    if schedule.state == ScheduleState::Retired {
        return Err(Over);
    }
    let active = Schedule { state: ScheduleState::Active, ..schedule.clone() };
    let active = Schedule { revision: schedule.revision + 1, ..due_at(active, Some(next)) };
    let missed = schedule.due.filter(|due| *due <= now).map(|due| {
        let (n_due, last_due_at) = calendar.count(due, now.after_micros(1));
        let reason = SkipReason::Paused;
        let outcome = FiringOutcome::Skipped { reason, play_sid: None, n_due, last_due_at };
        Firing { outcome, ..firing(schedule, due, false, now) }
    });
    Ok((active, missed))
}

/// What the overlap policy makes of a due time; the play to cancel before it is looked at again.
fn outcome(view: View<'_>) -> Result<FiringOutcome, PlaySid> {
    let View { schedule, open, runs, .. } = view;
    let skipped = |reason| {
        let at = schedule.due.unwrap_or_default();
        FiringOutcome::Skipped { reason, play_sid: runs.cloned(), n_due: 1, last_due_at: at }
    };
    Ok(match (schedule.overlap, runs) {
        (Overlap::Queue, _) if open.len() >= QUEUE_MAX => skipped(SkipReason::QueueFull),
        // What waits already goes first.
        (Overlap::Queue, Some(_)) => FiringOutcome::Queued,
        (Overlap::Queue, None) if !open.is_empty() => FiringOutcome::Queued,
        (Overlap::Skip, Some(_)) => skipped(SkipReason::Overlap),
        (Overlap::CancelPrevious, Some(play)) => return Err(play.clone()),
        (Overlap::Allow, Some(_)) | (_, None) => FiringOutcome::Claimed,
    })
}

/// Skips all due times from `first` on that are before `until`, in one record.
fn skip_until(view: View<'_>, first: Timestamp, until: Timestamp, reason: SkipReason) -> Turn {
    let (n_due, last_due_at) = view.calendar.count(first, until);
    let next = view.calendar.next_after(last_due_at);
    let outcome = FiringOutcome::Skipped { reason, play_sid: None, n_due, last_due_at };
    let firing = firing(view.schedule, first, false, view.now);
    decide(due_at(view.schedule.clone(), next), firing, outcome, view.now)
}

fn decide(
    mut schedule: Schedule,
    firing: Firing,
    outcome: FiringOutcome,
    decided_at: Timestamp,
) -> Turn {
    schedule.revision += 1;
    if outcome == FiringOutcome::Claimed {
        schedule.latest = Some(FiringPlace { due_at: firing.due_at, id: firing.id.clone() });
    }
    let firing = Firing { outcome, decided_at, ..firing };
    Turn::Decide(Box::new(Decided { schedule, firing }))
}

/// The schedule with another due time; retired where there is none.
fn due_at(mut schedule: Schedule, due: Option<Timestamp>) -> Schedule {
    schedule.due = due;
    schedule.next_at = due
        .filter(|_| schedule.state == ScheduleState::Active)
        .map(|due| due.after_micros(jitter(&schedule, due)));
    if due.is_none() {
        schedule.state = ScheduleState::Retired;
    }
    schedule
}

fn firing(schedule: &Schedule, due_at: Timestamp, is_asked_for: bool, now: Timestamp) -> Firing {
    let id = match is_asked_for {
        false => firing_id(schedule, due_at),
        true => FiringId::new(format!("{}-{}-now", schedule.sid, due_at.0)),
    };
    let schedule_sid = schedule.sid.clone();
    let outcome = FiringOutcome::Claimed;
    Firing { id, schedule_sid, due_at, is_asked_for, decided_at: now, outcome }
}

fn firing_id(schedule: &Schedule, due_at: Timestamp) -> FiringId {
    FiringId::new(format!("{}-{}", schedule.sid, due_at.0))
}

/// By how many microseconds a due time is put off: spread over the schedules, and the same whoever asks.
fn jitter(schedule: &Schedule, due_at: Timestamp) -> u64 {
    let hash = sha1_hex(firing_id(schedule, due_at).as_str().as_bytes());
    let number = u64::from_str_radix(&hash[..16], 16).expect("it is hex");
    number.checked_rem(schedule.jitter_micros.saturating_add(1)).unwrap_or(number)
}
