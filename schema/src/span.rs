//! Spans: the nodes of a play's call tree, one record for each launch that reached them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Json, LaunchNumber, PlaySid, Raised, SpanId, StepKey, Timestamp};

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// The play's own flow.
    FlowRoot,
    /// A `@flow` call, or a `flow.step` block (which has no `step_key`: a block is not remembered).
    Step,
    /// `flow.rpc`.
    Rpc,
    /// `flow.invoke`.
    Subflow,
    /// `flow.pause` and what is built on it.
    Pause,
    /// Anything else, such as one attempt of a retried step.
    Other,
}

/// How far a span got in one launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    /// Declared, not begun.
    Pending,
    /// Begun.
    Running,
    /// Ended, and ran in this launch.
    Ok,
    /// Ended with an exception.
    Failed,
    /// Ended by its deadline.
    TimedOut,
    /// Open when the launch was ended from outside.
    Cancelled,
    /// Open when the launch ended at a pause.
    Paused,
    /// Took its outcome from memory; its body did not run in this launch.
    Replayed,
}

/// One node of the call tree as one launch saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Span {
    /// The same for the same call in every launch.
    pub span_id: SpanId,
    /// The enclosing span; None for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<SpanId>,
    /// The launch that this record tells of.
    pub launch: LaunchNumber,
    /// Where it stands among the frames of its launch: orders siblings.
    pub seq: u64,
    /// The flow, block or pause.
    pub name: String,
    /// What it stands for.
    pub kind: SpanKind,
    /// How far it got.
    pub status: SpanStatus,
    /// The step whose outcome it produced or replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_key: Option<StepKey>,
    /// The arguments as a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Json>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; None while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What `flow.annotate` attached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Json>,
    /// The exception it ended with, or `hero_logic:ProcessDied`: how its process died, with the last
    /// lines of its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Raised>,
    /// The play that this span started and waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_play_sid: Option<PlaySid>,
    /// The file of the called function, relative to the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_file: Option<String>,
    /// The line of its definition, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_line: Option<u32>,
}

/// Where a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// `flow.log`.
    Log,
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// The supervisor, about this launch.
    Supervisor,
}

/// How loud a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For everyone.
    #[default]
    Info,
    /// Unexpected, and handled.
    Warning,
    /// Something failed.
    Error,
}

/// One line of a play's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// The launch that wrote it.
    pub launch: LaunchNumber,
    /// Orders the lines of a launch.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// How loud it is.
    pub level: LogLevel,
    /// The span it belongs to; None for what the process as a whole wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
    /// The text, without its line end.
    pub text: String,
}
