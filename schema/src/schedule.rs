//! Schedules: when plays of a workflow start by themselves, and what became of each due time.

use serde::{Deserialize, Serialize};

use crate::{FiringId, Json, PlaySid, ScheduleSid, Timestamp, WorkflowSid};

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Whenever the clock of a time zone shows what the expression says.
    Cron {
        /// Minute, hour, day of the month, month, day of the week.
        expression: String,
        /// The IANA name of the zone.
        time_zone: String,
    },
    /// Again and again after so many microseconds, counted from when the schedule was made.
    Every {
        /// The distance.
        micros: u64,
    },
    /// Once.
    At(Timestamp),
}

/// What happens at a due time while the play of an earlier one has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing: the due time is recorded as skipped.
    #[default]
    Skip,
    /// It waits for the end of that play, in its turn.
    Queue,
    /// Another play starts beside it.
    Allow,
    /// That play is cancelled, and another one starts.
    CancelPrevious,
}

impl Overlap {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Skip, Self::Queue, Self::Allow, Self::CancelPrevious];

    /// The one word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
            Self::CancelPrevious => "cancel_previous",
        }
    }
}

/// Whether a schedule fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScheduleState {
    /// It does.
    #[default]
    Active,
    /// Not until it is unpaused.
    Paused,
    /// Never again: its one time, or the last of its times, is over.
    Retired,
}

impl ScheduleState {
    /// The one word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Retired => "retired",
        }
    }
}

/// What starts plays of a workflow by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Schedule {
    /// Its id.
    pub sid: ScheduleSid,
    /// Counts the changes of this record: a store refuses a write that was decided on an older one.
    pub revision: u64,
    /// Its unique name.
    pub name: String,
    /// The workflow; the version that is current when it fires is started.
    pub workflow_sid: WorkflowSid,
    /// What the workflow was called when the schedule was made.
    pub workflow_name: String,
    /// When it is due.
    pub when: When,
    /// The arguments of the plays, a JSON object.
    pub input_data: Json,
    /// What happens while an earlier play has not ended.
    pub overlap: Overlap,
    /// How late a due time still fires, in microseconds; None however late.
    pub catch_up_micros: Option<u64>,
    /// Each due time is put off by up to so many microseconds, always the same for the same one.
    pub jitter_micros: u64,
    /// Whether plays may plan anew where the version has not frozen all plans.
    pub allow_replan: bool,
    /// Whether it fires.
    pub state: ScheduleState,
    /// The earliest due time that nothing is decided about. None where there is none any more.
    pub due: Option<Timestamp>,
    /// When that fires: `due` and its jitter. None where nothing fires.
    pub next_at: Option<Timestamp>,
    /// The latest firing that was to start a play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<FiringPlace>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a firing stands in the history of its schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FiringPlace {
    /// Its due time.
    pub due_at: Timestamp,
    /// The firing.
    pub id: FiringId,
}

/// What became of a due time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Firing {
    /// Its id: derived from the schedule and the due time, and the idempotency key of its play.
    pub id: FiringId,
    /// The schedule.
    pub schedule_sid: ScheduleSid,
    /// The due time, without jitter.
    pub due_at: Timestamp,
    /// Whether somebody asked for it, beside the due times.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_asked_for: bool,
    /// When that was decided.
    pub decided_at: Timestamp,
    /// What was decided.
    pub outcome: FiringOutcome,
}

/// What is decided about a due time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FiringOutcome {
    /// It waits for the end of an earlier play.
    Queued,
    /// Its play is about to start.
    Claimed,
    /// Its play was started.
    Started {
        /// The play.
        play_sid: PlaySid,
    },
    /// Its play cannot be started.
    Refused {
        /// Why.
        message: String,
    },
    /// It starts no play.
    Skipped {
        /// Why.
        reason: SkipReason,
        /// The play that was in the way, where one was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        play_sid: Option<PlaySid>,
        /// How many due times this stands for, from `due_at` on.
        n_due: u64,
        /// The last of them.
        last_due_at: Timestamp,
    },
}

impl FiringOutcome {
    /// Whether something is still to be done.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Queued | Self::Claimed)
    }
}

/// Why a due time starts no play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// No server ran at that time, and now it is later than the catch-up window allows.
    Missed,
    /// The play of an earlier due time had not ended.
    Overlap,
    /// Too many due times wait for that already.
    QueueFull,
    /// The schedule was paused.
    Paused,
}

impl SkipReason {
    /// The one word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Overlap => "overlap",
            Self::QueueFull => "queue_full",
            Self::Paused => "paused",
        }
    }
}
