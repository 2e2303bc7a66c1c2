//! The methods of `LogicService`: parameters and results, one pair a method.
//!
//! [`METHODS`] is the one list of them; the server's dispatch and `openrpc.json` are held to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canonical::canonical_json;
use crate::step::sha1_hex;
use crate::{
    Budget, Json, LogLevel, LogLine, NumberedVersion, PlaySid, PlayStatus, ResumeId, ResumeRequest,
    Span, SpanId, Timestamp, VersionSid, Workflow, WorkflowChange, WorkflowVersion,
};
#[cfg(feature = "describe")]
use crate::{Play, Retention};

/// Every method starts with this on the wire: `LogicService.play_start`.
pub const PREFIX: &str = "LogicService.";

/// The largest request body, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most items a page holds, and how many it holds when the caller does not say.
pub const PAGE_LIMIT_MAX: u32 = 1000;

/// The largest body that is posted to a callback, in bytes.
pub const CALLBACK_BYTES_MAX: usize = 1024 * 1024;

/// Where callbacks are served: the signed token follows.
pub const CALLBACK_PATH: &str = "/callbacks/";

/// A method in one line.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name, without [`PREFIX`].
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
}

macro_rules! methods {
    ($($name:ident($params:ident) -> $result:ty, $summary:literal;)+) => {
        /// Every method, in the order of the documents.
        pub const METHODS: &[Method] =
            &[$(Method { name: stringify!($name), summary: $summary }),+];

        /// Calls back with every method's name, summary, parameter type and result type.
        #[cfg(feature = "describe")]
        pub fn visit_methods(visitor: &mut impl crate::describe::MethodVisitor) {
            $(visitor.method::<$params, $result>(stringify!($name), $summary);)+
        }
    };
}

methods! {
    workflow_save(WorkflowSave) -> Workflow,
        "Bundles a file and stores it as the current version of a workflow; the same content is a no-op.";
    workflow_save_from_play(WorkflowSaveFromPlay) -> SavedWorkflow, "Stores what a successful play has run as the current version of a workflow, with its plans frozen.";
    workflow_check(WorkflowCheck) -> Checked, "What in a file will not be the same, or will happen again, in every launch; stores nothing.";
    workflow_get(WorkflowGet) -> WorkflowDetail, "A workflow with its current version, or another one, its source, and how that differs from another version.";
    workflow_list(WorkflowList) -> WorkflowPage, "The workflows by name.";
    workflow_retention(WorkflowRetention) -> Retention, "Sets for how long the plays of a workflow are kept, or tells it.";
    workflow_versions(WorkflowVersions) -> VersionPage, "The versions of a workflow, newest first.";
    workflow_history(WorkflowVersions) -> WorkflowHistory, "Which version of a workflow became current when and how, latest first.";
    workflow_rollback(WorkflowRollback) -> Workflow, "Makes an older version of a workflow the current one.";
    workflow_delete(WorkflowDelete) -> Deleted, "Removes a workflow; its plays stay, and go on.";
    play_start(PlayStart) -> Play, "Starts a play of a workflow or a file; it is stored before this returns.";
    play_run_async(PlayStart) -> PlaySid, "As play_start, and returns only the sid.";
    play_get(PlayGet) -> Play, "A play with its requests.";
    play_list(PlayList) -> PlayPage, "The plays, newest first.";
    play_wait(PlayWait) -> Play, "Waits until a play has ended or settled, or the timeout has passed.";
    play_resume(PlayResume) -> Resumed, "Answers a request; the only way in for people, webhooks and services.";
    callback_post(CallbackPost) -> CallbackPosted, "Answers a request by what was posted to its signed URL.";
    play_pending_resumes(PlayGet) -> Vec<ResumeRequest>, "The open requests of a play, oldest first.";
    play_prefill(PlayPrefill) -> Play, "Gives answers ahead to a play that has not ended.";
    play_cancel(PlayGet) -> Play, "Ends a play from outside, and the plays that it spawned.";
    play_retry(PlayRetry) -> Play, "Starts a play anew that did not succeed: with its outcomes and answers, without the failures it remembers.";
    play_restart(PlayGet) -> Play, "Starts a play anew with its inputs and nothing else.";
    play_move(PlayMove) -> Moved, "What becomes of a play whose workflow has another version, or, in a dry run, what would.";
    play_fork(PlayFork) -> Play, "Starts a play anew with what stood before one of its spans, and perhaps other answers and outputs.";
    play_delete(PlayGet) -> Deleted, "Removes all that is stored of a play that has ended.";
    play_logs(PlayLogs) -> LogPage, "The log lines of a play, oldest first.";
    play_spans(PlaySpans) -> SpanPage, "The spans of a play, launch by launch.";
    schedule_add(ScheduleAdd) -> ScheduleDetail, "Makes a schedule, which starts plays of a workflow by the clock.";
    schedule_get(ScheduleGet) -> ScheduleDetail, "A schedule with the next times at which it is due.";
    schedule_list(ScheduleList) -> SchedulePage, "The schedules by name.";
    schedule_history(ScheduleHistory) -> FiringPage, "What became of the due times of a schedule, latest first, and of the plays.";
    schedule_pause(ScheduleGet) -> ScheduleDetail, "Lets a schedule fire no more.";
    schedule_unpause(ScheduleGet) -> ScheduleDetail, "Lets it fire again, from its next due time on.";
    schedule_run(ScheduleGet) -> FiringItem, "Fires a schedule now, beside its due times and by its overlap policy.";
    schedule_delete(ScheduleGet) -> Deleted, "Removes a schedule with its history; its plays stay.";
    inbox_list(InboxList) -> InboxPage, "The open requests of all plays, oldest first.";
    stats(Nothing) -> Stats, "Counts for an overview.";
}

/// No parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Parameters of `workflow_save`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowSave {
    /// What the workflow is called.
    pub name: String,
    /// The absolute path of the file with the flow, on the server's machine.
    pub file: String,
    /// Which flow of the file; None where there is one root flow.
    #[serde(default)]
    pub flow: Option<String>,
    /// The interpreter that reads it; None takes the server's.
    #[serde(default)]
    pub python: Option<String>,
}

/// Parameters of `workflow_save_from_play`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowSaveFromPlay {
    /// The play; it must have succeeded.
    pub play_sid: PlaySid,
    /// What the workflow is called.
    pub name: String,
    /// What plays of the version are to be given. None takes what the flow takes; otherwise the other
    /// parameters of the flow keep what the play had.
    #[serde(default)]
    pub inputs: Option<Vec<InputDeclaration>>,
    /// Arguments in place of those of the play, in whose texts `{{inputs.name}}` stands for an input.
    #[serde(default)]
    pub input_data: BTreeMap<String, Json>,
}

/// An input that a version saved from a play declares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InputDeclaration {
    /// Its name: letters, digits, `_` and `-`. That of a parameter stands for it unless `input_data`
    /// says otherwise.
    pub name: String,
    /// Its JSON type; None takes that of the parameter of this name, if there is one.
    #[serde(default)]
    pub field_type: Option<crate::FieldType>,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What is taken where a play does not give it; None where a play must.
    #[serde(
        default,
        deserialize_with = "crate::json::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub default: Option<Json>,
}

/// Result of `workflow_save_from_play`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SavedWorkflow {
    /// The workflow.
    pub workflow: Workflow,
    /// Whether every step marked `plan=True` has a frozen output.
    pub fully_frozen: bool,
    /// The places of the frozen outputs.
    pub frozen: Vec<String>,
    /// The steps marked `plan=True` that have none.
    pub missing_plans: Vec<String>,
}

/// Parameters of `workflow_check`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowCheck {
    /// The absolute path of the file with the flow, on the server's machine.
    pub file: String,
    /// Which flow of the file; None where there is one root flow.
    #[serde(default)]
    pub flow: Option<String>,
    /// The interpreter that reads it; None takes the server's.
    #[serde(default)]
    pub python: Option<String>,
}

/// Result of `workflow_check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Checked {
    /// What was found, by file and line. It is read off the text: a finding may be mistaken, and none is
    /// no proof.
    pub findings: Vec<Finding>,
}

/// A place in a file with flows that may not do what its author expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The file, relative to the directory of the file that was named.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1 in bytes.
    pub column: u32,
    /// `time`, `sleep`, `random`, `mutable_default` or `side_effect`; there may be further ones.
    pub kind: String,
    /// What it is.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Parameters of `workflow_get`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowGet {
    /// Its sid or its name, with a version behind an `@` where it is not to be the current one: its
    /// number, its sid, or the beginning of that, of 7 digits at least.
    pub workflow: String,
    /// A version of it, written likewise: the result says how to come from that one to the one shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_from: Option<String>,
}

/// Result of `workflow_get`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct WorkflowDetail {
    /// The workflow.
    pub workflow: Workflow,
    /// The number of the version that is shown.
    #[serde(default)]
    pub number: u32,
    /// The version, with the source.
    pub version: WorkflowVersion,
    /// Whether every step marked `plan=True` has a frozen output.
    #[serde(default)]
    pub fully_frozen: bool,
    /// A unified diff of all files that differ; None where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// Parameters of `workflow_versions` and `workflow_history`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowVersions {
    /// Its sid or its name.
    pub workflow: String,
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `workflow_versions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct VersionPage {
    /// The number of the version that new plays take.
    pub current: u32,
    /// The versions.
    pub items: Vec<NumberedVersion>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
}

/// Result of `workflow_history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct WorkflowHistory {
    /// The changes.
    pub items: Vec<WorkflowChange>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
}

/// Parameters of `workflow_rollback`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowRollback {
    /// Its sid or its name.
    pub workflow: String,
    /// The version that is to be current: its number, its sid, or the beginning of that. None takes
    /// the one that was current before the one that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Parameters of `workflow_delete`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowDelete {
    /// Its sid or its name.
    pub workflow: String,
}

/// Parameters of `workflow_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowList {
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `workflow_list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct WorkflowPage {
    /// The workflows.
    pub items: Vec<Workflow>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
}

/// Parameters of `workflow_retention`: what is to hold from now on. Without `set`, it is only told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowRetention {
    /// Its sid or its name.
    pub workflow: String,
    /// What is to hold from now on; None changes nothing.
    #[serde(default)]
    pub set: Option<Keep>,
}

/// Which plays of a workflow are kept. An empty one keeps all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// For so many days after their end, parts of days included; None: however old.
    #[serde(default)]
    pub days: Option<f64>,
    /// The newest so many that have ended; None: any number.
    #[serde(default)]
    pub last: Option<u32>,
}

/// Parameters of `play_start` and `play_run_async`: exactly one of `workflow_sid` and `file`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayStart {
    /// A saved workflow, by its sid or its name, as it is current or with a version behind an `@`, as
    /// in `workflow_get`; exactly one of this and `file`.
    #[serde(default)]
    pub workflow_sid: Option<String>,
    /// A file to run directly, by its absolute path on the server's machine.
    #[serde(default)]
    pub file: Option<String>,
    /// Which flow of the file; None where there is one root flow.
    #[serde(default)]
    pub flow: Option<String>,
    /// The arguments, a JSON object; None takes `{}`.
    #[serde(default)]
    pub input_data: Option<Json>,
    /// What people call the play; None takes the flow's name.
    #[serde(default)]
    pub name: Option<String>,
    /// Answers given ahead: pause name or glob → payload.
    #[serde(default)]
    pub prefill_resumes: BTreeMap<String, Json>,
    /// Whether a pause that the prefill does not cover fails the play by name.
    #[serde(default)]
    pub prefill_only: bool,
    /// The interpreter; None takes the server's.
    #[serde(default)]
    pub python: Option<String>,
    /// The working directory of the launches, absolute; None gives each a private one.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// How long the play may take in all, waiting included, in milliseconds, before it is ended as
    /// `timed_out`; None leaves that to the flow.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How much it may spend; None sets no bound.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Where the outcome of the play is posted once it has ended; None posts it nowhere.
    #[serde(default)]
    pub final_callback_url: Option<String>,
    /// Chosen by the caller: the play that was started with it is returned instead of a second one.
    /// None starts a play in any case.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

impl PlayStart {
    /// What is asked for, as SHA-1 in lower-case hex: what runs, and on what. How it is called, where it
    /// runs and for how long are left out, so that they may differ when a start is repeated.
    pub fn fingerprint(&self) -> String {
        // Taken apart, so that a further field is decided about here.
        let Self {
            workflow_sid,
            file,
            flow,
            input_data,
            prefill_resumes,
            prefill_only,
            name: _,
            python: _,
            working_dir: _,
            timeout_ms: _,
            budget: _,
            final_callback_url: _,
            idempotency_key: _,
        } = self;
        let no_input = Json::empty_object();
        // What came later is left out where it is not given: a key outlives an update of the server.
        let asked = (
            (workflow_sid, file, flow),
            input_data.as_ref().unwrap_or(&no_input),
            prefill_resumes,
            prefill_only,
        );
        let text = serde_json::to_string(&asked).expect("JSON under texts has a JSON form");
        // What has no canonical form is compared as it was written.
        sha1_hex(canonical_json(&text).unwrap_or(text).as_bytes())
    }
}

/// Parameters of the methods that need only a play.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayGet {
    /// The play.
    pub play_sid: PlaySid,
}

/// Parameters of `play_retry`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayRetry {
    /// The play.
    pub play_sid: PlaySid,
    /// How much the new play may spend, what the earlier one spent included; None takes its budget.
    #[serde(default)]
    pub budget: Option<Budget>,
}

/// Parameters of `play_move`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayMove {
    /// The play.
    pub play_sid: PlaySid,
    /// What is to become of it.
    pub choice: MoveChoice,
    /// For `restart` and `carry_over`: the version of its workflow to go to, as a number, a sid or the
    /// beginning of that. None takes the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// For `carry_over`: the names of steps that run again although they are unchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rerun: Vec<String>,
    /// Whether nothing is to be done, and only said what would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// What may become of a play whose workflow has another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MoveChoice {
    /// It goes on on its own version, which it does if nothing is done.
    Continue,
    /// A play of the other version starts with its inputs, and nothing else of it.
    Restart,
    /// Its own version becomes the current one of the workflow again; the play goes on.
    RollBack,
    /// A play of the other version starts with what of this one is unchanged.
    CarryOver,
}

/// Result of `play_move`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Moved {
    /// What was chosen.
    pub choice: MoveChoice,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The number of the version that the play is of; None where its workflow does not have it.
    pub from_version: Option<u32>,
    /// The number of the version that it goes to, or stays on.
    pub to_version: Option<u32>,
    /// What is not run again.
    pub kept: Vec<MovedStep>,
    /// What runs again should the flow come to it.
    pub rerun: Vec<MovedStep>,
    /// What no code of the other version stands for any more.
    pub orphaned: Vec<MovedStep>,
    /// The play that goes on: a new one for `restart` and `carry_over`. None in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub play: Option<crate::Play>,
}

/// A step or an answer of a play that may move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct MovedStep {
    /// The name of the step, or of the question.
    pub name: String,
    /// The path of the call in which it stands; None for a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_path: Option<String>,
    /// The span that ran it, or in which it was asked.
    pub span_id: SpanId,
    /// Why it is on this list, for people.
    pub why: String,
}

/// Parameters of `play_fork`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayFork {
    /// The play.
    pub play_sid: PlaySid,
    /// The span to begin at: what completed before it first began is kept, it and all after it run
    /// anew. None keeps everything.
    #[serde(default)]
    pub from_span: Option<SpanId>,
    /// Other answers than those given: name or id of an answered request → payload.
    #[serde(default)]
    pub answers: BTreeMap<String, Json>,
    /// Other outputs than those remembered: span of a completed step → what it is to return.
    #[serde(default)]
    pub outputs: BTreeMap<SpanId, Json>,
}

/// Result of `play_delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Deleted {
    /// Always true; a refusal is an error.
    pub ok: bool,
}

/// Parameters of `play_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayList {
    /// Only plays in this status.
    #[serde(default)]
    pub status: Option<PlayStatus>,
    /// Only plays of this workflow: its sid or its name.
    #[serde(default)]
    pub workflow: Option<String>,
    /// Only plays with all of these tags. A text is compared by its content, anything else by its
    /// canonical JSON.
    #[serde(default)]
    pub tags: BTreeMap<String, Json>,
    /// Only plays whose name holds this text, in upper or lower case.
    #[serde(default)]
    pub text: Option<String>,
    /// Only plays that were accepted at this time or later.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Only plays that were accepted before this time.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Only plays that this one spawned.
    #[serde(default)]
    pub parent: Option<PlaySid>,
    /// Only plays that were started so: `rpc`, `schedule`, `parent`, `retry`, `restart`, `move` or `fork`,
    /// perhaps with `:` and the user id, schedule or play.
    #[serde(default)]
    pub started_by: Option<String>,
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `play_list`. The plays come without their requests; `n_open_requests` counts them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct PlayPage {
    /// The plays.
    pub items: Vec<PlaySummary>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
    /// What belongs on this page and cannot be read: which record, and how that shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// A play in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct PlaySummary {
    /// Its id.
    pub sid: PlaySid,
    /// What people call it.
    pub name: String,
    /// The saved workflow it came from.
    pub workflow_sid: Option<crate::WorkflowSid>,
    /// Where it is in its life.
    pub status: PlayStatus,
    /// Who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<crate::Starter>,
    /// What its root flow was annotated with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Json>,
    /// How many requests are open.
    pub n_open_requests: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first launch began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Money spent.
    pub total_cost_usd: f64,
}

impl From<crate::PlayRecord> for PlaySummary {
    fn from(record: crate::PlayRecord) -> Self {
        Self {
            sid: record.sid,
            name: record.name,
            workflow_sid: record.workflow_sid,
            status: record.status,
            started_by: record.started_by,
            tags: record.tags,
            n_open_requests: record.n_open_requests,
            created_at: record.created_at,
            started_at: record.started_at,
            ended_at: record.ended_at,
            total_cost_usd: record.total_cost_usd,
        }
    }
}

/// Parameters of `play_wait`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayWait {
    /// The play.
    pub play_sid: PlaySid,
    /// How long, in milliseconds; 0 waits for ever. When it passes, the play is returned as it is.
    #[serde(default)]
    pub timeout_ms: u64,
    /// What to wait for.
    #[serde(default)]
    pub until: Until,
}

/// What `play_wait` waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Success, failed, cancelled or timed out.
    #[default]
    Ended,
    /// Ended, or without a process while it, or a play that it waits for, asks something. A play that
    /// only sleeps, or waits for plays that ask nothing, has not settled.
    Settled,
}

/// Parameters of `play_resume`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayResume {
    /// The play.
    pub play_sid: PlaySid,
    /// The request.
    pub resume_id: ResumeId,
    /// The answer as JSON text.
    pub payload_json: String,
}

/// Result of `play_resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Resumed {
    /// Always true; a refusal is an error.
    pub ok: bool,
    /// When the answer that stands was accepted.
    pub resumed_at: Timestamp,
    /// Whether the same answer had been given before, so that this call changed nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub already: bool,
}

/// Parameters of `callback_post`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CallbackPost {
    /// The last part of the URL: what is signed, and the signature.
    pub token: String,
    /// What was posted, JSON text of a [`CallbackBody`].
    pub body: String,
}

/// What another system posts to the URL of a callback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CallbackBody {
    /// What it calls its work; kept with the answer.
    #[serde(default)]
    pub task_id: Option<String>,
    /// Whether it did what was asked of it; false raises `CallbackFailed` in the flow.
    pub success: bool,
    /// The answer, where it did; absent is `null`. Passed over where it did not.
    #[serde(default)]
    pub data: Option<Json>,
    /// Why it did not: text, or any JSON.
    #[serde(default)]
    pub error: Option<Json>,
}

/// Result of `callback_post`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct CallbackPosted {
    /// Whether this is the answer that the play goes on with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ok: bool,
    /// When it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_at: Option<Timestamp>,
    /// Whether it came too late and has changed nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub noop: bool,
    /// Why it has changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CallbackNoop>,
}

/// Why a callback comes too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallbackNoop {
    /// There is an answer already, from here or elsewhere.
    Answered,
    /// The time for it is over.
    Expired,
    /// The play has ended without it.
    PlayEnded,
}

/// Parameters of `play_prefill`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayPrefill {
    /// The play.
    pub play_sid: PlaySid,
    /// Entries to add: pause name or glob → payload. An entry of the same pattern is replaced.
    /// Open requests that match are answered at once.
    pub prefill_resumes: BTreeMap<String, Json>,
}

/// Parameters of `play_logs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlayLogs {
    /// The play.
    pub play_sid: PlaySid,
    /// Only lines at least this loud.
    #[serde(default)]
    pub level: Option<LogLevel>,
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `play_logs`. `next_cursor` is always there: handed back later, it gives what is new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct LogPage {
    /// The lines.
    pub items: Vec<LogLine>,
    /// Where this page ended.
    pub next_cursor: Option<String>,
    /// Whether there are more lines already.
    pub has_more: bool,
}

/// Parameters of `play_spans`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlaySpans {
    /// The play.
    pub play_sid: PlaySid,
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `play_spans`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SpanPage {
    /// The spans, by launch and then by start.
    pub items: Vec<Span>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
}

/// Parameters of `schedule_add`: exactly one of `cron`, `every_ms` and `at`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleAdd {
    /// The workflow to start plays of, by its sid or its name.
    pub workflow: String,
    /// What the schedule is called; None takes the name of the workflow.
    #[serde(default)]
    pub name: Option<String>,
    /// Minute, hour, day of the month, month, day of the week; or `@daily` and its like.
    #[serde(default)]
    pub cron: Option<String>,
    /// The zone whose clock `cron` is about, by its IANA name; None takes UTC.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Again and again after so many milliseconds from now on, at least 1000.
    #[serde(default)]
    pub every_ms: Option<u64>,
    /// Once, at a moment to come.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// The arguments of the plays, a JSON object; None takes `{}`.
    #[serde(default)]
    pub input_data: Option<Json>,
    /// What happens while an earlier play has not ended.
    #[serde(default)]
    pub overlap: crate::Overlap,
    /// How late a due time still fires, in milliseconds, at least 1000; None takes an hour, and however
    /// late for `at`.
    #[serde(default)]
    pub catch_up_ms: Option<u64>,
    /// Puts each due time off by up to so many milliseconds, always the same for the same one.
    #[serde(default)]
    pub jitter_ms: u64,
    /// Whether plays may plan anew where the version has not frozen all plans.
    #[serde(default)]
    pub allow_replan: bool,
    /// Whether it fires nothing before it is unpaused.
    #[serde(default)]
    pub paused: bool,
}

/// Parameters of the methods that need only a schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleGet {
    /// Its sid or its name.
    pub schedule: String,
}

/// A schedule, and when it is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ScheduleDetail {
    /// The schedule.
    pub schedule: crate::Schedule,
    /// The next times at which it is due, at most five, without jitter; none where it does not fire.
    pub upcoming: Vec<Timestamp>,
    /// What became of its latest due time that was to start a play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<FiringItem>,
}

/// Parameters of `schedule_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleList {
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `schedule_list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SchedulePage {
    /// The schedules.
    pub items: Vec<ScheduleDetail>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
}

/// Parameters of `schedule_history`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleHistory {
    /// Its sid or its name.
    pub schedule: String,
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `schedule_history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FiringPage {
    /// The firings, latest due time first.
    pub items: Vec<FiringItem>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
}

/// A firing, and how its play fares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FiringItem {
    /// The firing.
    pub firing: crate::Firing,
    /// The status of the play that it started; None where it has started none, or that was removed.
    pub play_status: Option<PlayStatus>,
}

/// Parameters of `inbox_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InboxList {
    /// Where the page before this one ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many; None takes [`PAGE_LIMIT_MAX`].
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Result of `inbox_list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct InboxPage {
    /// The open requests.
    pub items: Vec<InboxItem>,
    /// Hand this back for the next page; None at the end.
    pub next_cursor: Option<String>,
    /// What belongs on this page and cannot be read: which record, and how that shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// An open request and the play that asks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct InboxItem {
    /// The play.
    pub play_sid: PlaySid,
    /// What people call it.
    pub play_name: String,
    /// What it asks.
    pub request: ResumeRequest,
}

/// Result of `stats`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Stats {
    /// The version of the server.
    pub version: String,
    /// The number of its build, where it was given one.
    pub build_nr: Option<String>,
    /// The directory that it keeps its data in.
    pub data_dir: String,
    /// Its process.
    pub pid: u32,
    /// How many launches have a process now.
    pub n_launches: u32,
    /// What launches are forked from, for each interpreter and version that was asked for lately.
    #[serde(default)]
    pub fork_servers: Vec<ForkServerState>,
}

/// A process that launches of one version are forked from, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ForkServerState {
    /// Its interpreter.
    pub python: String,
    /// The version that it has imported what is needed for.
    pub version_sid: VersionSid,
    /// The process; None where launches of this version are spawned.
    pub pid: Option<u32>,
    /// How many launches it was asked for.
    pub n_launches: u64,
    /// Why they are spawned.
    pub reason: Option<String>,
}
