//! Plays: the record that is stored and the object that is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::present;
use crate::{
    Budget, FinalCallback, Json, LaunchNumber, NumberedVersion, PlaySid, Raised, ResumeId,
    ResumeRequest, SpanId, Starter, Timestamp, Usage, VersionSid, WorkflowSid,
};

/// Where a play is in its life.
///
/// `pending → running → awaiting_resume → running → … → success | failed | cancelled | timed_out`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlayStatus {
    /// Accepted; no launch yet.
    Pending,
    /// A launch is under way or about to be.
    Running,
    /// No process; at least one resume request is open.
    AwaitingResume,
    /// The flow returned.
    Success,
    /// The flow raised, or could not be run.
    Failed,
    /// Ended by `play_cancel`.
    Cancelled,
    /// Ended by its deadline.
    TimedOut,
}

impl PlayStatus {
    /// Every status, in the order of a play's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::AwaitingResume,
        Self::Success,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// Whether nothing will change it any more.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled | Self::TimedOut)
    }

    /// Whether it has no process and is about to get none: ended, or waiting.
    pub fn is_at_rest(self) -> bool {
        self.is_ended() || self == Self::AwaitingResume
    }

    /// The one word for it, the same on the wire, in the command line and in the UI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::AwaitingResume => "awaiting_resume",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for PlayStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a play did not succeed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Failure {
    /// What a program can branch on.
    pub kind: FailureKind,
    /// One line for people: what happened, on what, why.
    pub message: String,
    /// One line that says what to do; None where the message says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exception that was reported, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Raised>,
    /// The innermost span that was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The flow raised an exception (exit 1).
    Exception,
    /// The bundle holds no such flow, or defines it wrongly (exit 2).
    Definition,
    /// The process ended as if paused (exit 75) and had asked nothing.
    PauseWithoutRequest,
    /// The process asked something and ended otherwise than by exit 75.
    RequestWithoutPause,
    /// The process ended with success (exit 0) and reported no result.
    NoResult,
    /// Too many launches in a row died without progress.
    Crashed,
    /// The process could not be started.
    NotStarted,
    /// A play with `prefill_only` asked something that its prefill does not cover.
    PrefillMissing,
    /// A prefilled payload does not fit the schema of the pause it matches.
    PrefillMismatch,
    /// The play has spent more than its budget.
    BudgetExceeded,
}

/// A play as it is stored: small, rewritten whole at every change of status, and never holding a
/// list that grows. Steps, requests, spans and log lines are records of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlayRecord {
    /// Its id.
    pub sid: PlaySid,
    /// Counts the changes of this record: a write names the revision it was decided on, and a store
    /// refuses it when another came first.
    pub revision: u64,
    /// What people call it.
    pub name: String,
    /// The saved workflow it came from; None for a file that was run directly.
    pub workflow_sid: Option<WorkflowSid>,
    /// The version it is pinned to.
    pub version_sid: VersionSid,
    /// The first part of its step keys and resume ids, where that is not the version it is pinned to:
    /// what was carried over keeps its keys, and so does what joins it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_version_sid: Option<VersionSid>,
    /// Where it is in its life.
    pub status: PlayStatus,
    /// The arguments of the flow, a JSON object.
    pub input: Json,
    /// What the flow returned; present exactly for `success`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The latest launch.
    pub launch: LaunchNumber,
    /// The latest launch that stood at an unanswered pause.
    pub asked_in_launch: LaunchNumber,
    /// How many requests are open.
    pub n_open_requests: u32,
    /// How many answers came since the latest launch was handed its memory.
    pub n_fresh_answers: u32,
    /// How many launches in a row died without a new outcome or request.
    pub n_launches_without_progress: u32,
    /// Answers given ahead: pause name or glob → payload.
    pub prefill: BTreeMap<String, Json>,
    /// The entries of `prefill` that have answered something.
    pub prefill_used: BTreeSet<String>,
    /// Whether a pause that `prefill` does not cover fails the play.
    pub prefill_only: bool,
    /// Outputs that the last launch did not ask for.
    pub left_over: Vec<LeftOver>,
    /// By what its start is recognised when it is asked for again; None where it was given nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_key: Option<StartKey>,
    /// The play that spawned this one.
    pub parent: Option<PlaySid>,
    /// Whether a plan that its version has no frozen output of fails instead of running.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forbids_replan: bool,
    /// How much it may spend; None sets no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What the plays spent that this one goes on from; counts towards the budget and not to the total.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub spent_before: Usage,
    /// What launches spent in steps that did not complete: nothing else tells of it any more.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub spent_in_vain: Usage,
    /// The request of the parent that the end of this play answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_request: Option<ResumeId>,
    /// The play that this one was made of by a retry, a restart or a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Whose idempotency keys its steps use: the play that was retried, so that an effect which an
    /// earlier try left half done is recognised. None uses its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_sid: Option<PlaySid>,
    /// Who started it; None for plays of a time when that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Starter>,
    /// What its root flow was annotated with, as far as plays are looked for by it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Json>,
    /// When it is ended as `timed_out`; None lets it take any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Where its outcome is posted once it has ended, and what became of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_callback: Option<FinalCallback>,
    /// The interpreter; None takes the supervisor's own choice.
    pub python: Option<String>,
    /// The working directory of its launches; None gives each a private one.
    pub working_dir: Option<String>,
    /// Money spent in steps of a time when their outcomes did not tell it.
    #[serde(default)]
    pub cost_of_steps_usd: f64,
    /// Money spent: in steps, and what the latest launch spent outside of them.
    pub total_cost_usd: f64,
    /// Tokens read, likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total_input_tokens: u64,
    /// Tokens written, likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total_output_tokens: u64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first launch began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl PlayRecord {
    /// The first part of its step keys and resume ids.
    pub fn key_version(&self) -> &VersionSid {
        self.key_version_sid.as_ref().unwrap_or(&self.version_sid)
    }

    /// A play as it is accepted: no launch yet, nothing asked, nothing spent.
    pub fn new(sid: PlaySid, version_sid: VersionSid, input: Json, created_at: Timestamp) -> Self {
        Self {
            sid,
            revision: 0,
            name: String::new(),
            workflow_sid: None,
            version_sid,
            key_version_sid: None,
            status: PlayStatus::Pending,
            input,
            output: None,
            failure: None,
            launch: LaunchNumber::default(),
            asked_in_launch: LaunchNumber::default(),
            n_open_requests: 0,
            n_fresh_answers: 0,
            n_launches_without_progress: 0,
            prefill: BTreeMap::new(),
            prefill_used: BTreeSet::new(),
            prefill_only: false,
            left_over: Vec::new(),
            start_key: None,
            parent: None,
            forbids_replan: false,
            budget: None,
            spent_before: Usage::default(),
            spent_in_vain: Usage::default(),
            parent_request: None,
            origin: None,
            idempotency_sid: None,
            started_by: None,
            tags: BTreeMap::new(),
            deadline: None,
            final_callback: None,
            python: None,
            working_dir: None,
            cost_of_steps_usd: 0.0,
            total_cost_usd: 0.0,
            total_input_tokens: 0,
            total_output_tokens: 0,
            created_at,
            started_at: None,
            ended_at: None,
        }
    }
}

/// What makes a start happen once, however often it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartKey {
    /// Chosen by the caller. No two plays have the same.
    pub key: String,
    /// What was asked for: [`crate::rpc::PlayStart::fingerprint`].
    pub fingerprint: String,
}

impl PlayRecord {
    /// What it has spent.
    pub fn total(&self) -> Usage {
        Usage {
            cost_usd: self.total_cost_usd,
            input_tokens: self.total_input_tokens,
            output_tokens: self.total_output_tokens,
        }
    }

    /// Tells what it has spent.
    pub fn set_total(&mut self, total: Usage) {
        self.total_cost_usd = total.cost_usd;
        self.total_input_tokens = total.input_tokens;
        self.total_output_tokens = total.output_tokens;
    }

    /// What it has spent in steps: `of_outcomes` is what its outcomes tell.
    pub fn spent_in_steps(&self, of_outcomes: Usage) -> Usage {
        let earlier = Usage { cost_usd: self.cost_of_steps_usd, ..Usage::default() };
        earlier + self.spent_in_vain + of_outcomes
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The play that another was made of, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Origin {
    /// The earlier play.
    pub play_sid: PlaySid,
    /// What was done with it.
    pub how: OriginKind,
}

/// How a play is made of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// With its outcomes and answers, except the remembered failures.
    Retry,
    /// With its inputs only.
    Restart,
    /// With what stood before one of its spans.
    Fork,
    /// On another version, with what is unchanged there.
    CarryOver,
}

/// A remembered step that a launch did not ask for: its code took another path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct LeftOver {
    /// The flow whose outcome was not asked for.
    pub name: String,
    /// The path of its caller.
    pub parent_path: String,
}

/// A play as the RPC shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Play {
    /// Its id.
    pub sid: PlaySid,
    /// What people call it.
    pub name: String,
    /// The saved workflow it came from; None for a file that was run directly.
    pub workflow_sid: Option<WorkflowSid>,
    /// The version it is pinned to.
    pub workflow_version_sid: VersionSid,
    /// The number of that version in its workflow; only from methods that give one play, and None
    /// where the workflow does not have it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_version: Option<u32>,
    /// The version that is current in its workflow where that is another one: the workflow has moved
    /// on, and `play_move` says what can be done. Only from methods that give one play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<NumberedVersion>,
    /// Where it is in its life.
    pub status: PlayStatus,
    /// The arguments of the flow, a JSON object.
    pub input_data: Json,
    /// What the flow returned; present exactly for `success`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output_data: Option<Json>,
    /// Why it did not succeed; None unless it ended otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The open requests, oldest first.
    pub pending_resumes: Vec<ResumeRequest>,
    /// The answered requests, oldest first.
    pub received_resumes: Vec<ResumeRequest>,
    /// Prefill entries that have answered nothing so far.
    pub prefill_unused: Vec<String>,
    /// Remembered steps that the last launch did not ask for.
    pub left_over: Vec<LeftOver>,
    /// How much it may spend; None sets no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Money spent, in US dollars, summed over its spans; nothing again for what was replayed.
    pub total_cost_usd: f64,
    /// Tokens read, summed likewise.
    #[serde(default)]
    pub total_input_tokens: u64,
    /// Tokens written, summed likewise.
    #[serde(default)]
    pub total_output_tokens: u64,
    /// Whether the `play_start` that this answers has made it; there only in that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<bool>,
    /// The key that its start is known by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The play that spawned this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_play_sid: Option<PlaySid>,
    /// The play that this one was made of by a retry, a restart or a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Who started it; None for plays of a time when that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Starter>,
    /// What `flow.annotate` attached to its root flow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Json>,
    /// When it is ended as `timed_out`; None lets it take any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Where its outcome is posted once it has ended, and what became of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_callback: Option<FinalCallback>,
    /// The number of its latest launch.
    pub launch: LaunchNumber,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first launch began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Play {
    /// The wire form of a stored play and its requests.
    pub fn new(record: PlayRecord, requests: Vec<ResumeRequest>) -> Self {
        let (pending_resumes, received_resumes) =
            requests.into_iter().partition(ResumeRequest::is_open);
        let prefill_unused = record
            .prefill
            .into_keys()
            .filter(|pattern| !record.prefill_used.contains(pattern))
            .collect();
        Self {
            sid: record.sid,
            name: record.name,
            workflow_sid: record.workflow_sid,
            workflow_version_sid: record.version_sid,
            workflow_version: None,
            moved_to: None,
            status: record.status,
            input_data: record.input,
            output_data: record.output,
            error: record.failure,
            pending_resumes,
            received_resumes,
            prefill_unused,
            left_over: record.left_over,
            budget: record.budget,
            total_cost_usd: record.total_cost_usd,
            total_input_tokens: record.total_input_tokens,
            total_output_tokens: record.total_output_tokens,
            created: None,
            idempotency_key: record.start_key.map(|start| start.key),
            parent_play_sid: record.parent,
            origin: record.origin,
            started_by: record.started_by,
            tags: record.tags,
            deadline: record.deadline,
            final_callback: record.final_callback,
            launch: record.launch,
            created_at: record.created_at,
            started_at: record.started_at,
            ended_at: record.ended_at,
        }
    }

    /// The open requests that someone outside is to answer, oldest first.
    pub fn questions(&self) -> impl Iterator<Item = &ResumeRequest> {
        self.pending_resumes.iter().filter(|request| request.kind.is_question())
    }
}
