//! The span socket: what a launch says and what it hears, one JSON object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::json::present;
use crate::{
    Json, LaunchNumber, LogLevel, Outcome, PlaySid, Raised, RequestKind, ResumeId, SpanId,
    SpanKind, SpanRange, SpanStatus, StepKey, Timestamp,
};

/// The longest line that is read, in bytes; a longer one ends the launch.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One line from a launch: an event and its place. `seq` counts from 0 (`hello`) without a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Frame {
    /// The place of this frame in its launch.
    pub seq: u64,
    /// What happened.
    pub event: SpanEvent,
}

/// What a launch reports. `hello`, `step_output` and `pause` are acknowledged, the others not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpanEvent {
    /// The first frame: who speaks.
    Hello(Hello),
    /// A span begins.
    SpanStart(SpanStart),
    /// Steps were replayed, one after the other under one parent. It takes as many places as it tells of.
    Replayed(Replayed),
    /// A span ends.
    SpanEnd(SpanEnd),
    /// A line for the log.
    SpanLog(SpanLog),
    /// Tags for a span; a later value replaces an earlier one of the same name.
    SpanTag(SpanTag),
    /// A step has ended; the call goes on only once this is acknowledged. Ends the span too.
    StepOutput(StepOutput),
    /// A question; the acknowledgement carries the answer if there is one already.
    Pause(Pause),
    /// A question that is asked ahead, and waited for by a `pause` of the same id; the acknowledgement
    /// carries the URL that it is answered at. Only of the kind `callback`.
    Callback(Pause),
    /// A step must end in time, else this outcome is stored for it and the launch is ended.
    StepDeadline(StepDeadline),
    /// The play must end in time. The first one counts; every launch tells it again.
    PlayDeadline(PlayDeadline),
    /// How the root flow ended: the last frame.
    Result(FlowResult),
}

/// See [`SpanEvent::Hello`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Hello {
    /// The version of the contract that the launch speaks; see [`crate::child::PROTOCOL`].
    pub protocol: u32,
    /// The play.
    pub play: PlaySid,
    /// The launch.
    pub launch: LaunchNumber,
    /// From the launch order.
    pub token: String,
}

/// See [`SpanEvent::SpanStart`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SpanStart {
    /// The span.
    pub span_id: SpanId,
    /// The enclosing span; absent for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<SpanId>,
    /// The flow, block or pause.
    pub name: String,
    /// What it stands for.
    pub kind: SpanKind,
    /// The step that it produces or replays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_key: Option<StepKey>,
    /// The arguments as a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Json>,
    /// When it began.
    pub at: Timestamp,
    /// The file of the called function, relative to the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_file: Option<String>,
    /// The line of its definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_line: Option<u32>,
    /// Whether the span is over at once: its outcome comes from memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// See [`SpanEvent::Replayed`]. What it does not say of a span is what the launch that ran the step has
/// said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Replayed {
    /// The span that encloses all of them.
    pub parent_id: SpanId,
    /// When the first of them was called.
    pub at: Timestamp,
    /// The spans in which they ran, in the order of the calls.
    pub ran_as: Vec<SpanRange>,
}

/// See [`SpanEvent::SpanEnd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SpanEnd {
    /// The span.
    pub span_id: SpanId,
    /// How it ended.
    pub status: SpanStatus,
    /// When it ended.
    pub at: Timestamp,
    /// The exception it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Raised>,
}

/// See [`SpanEvent::SpanLog`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SpanLog {
    /// The span it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
    /// How loud it is.
    #[serde(default)]
    pub level: LogLevel,
    /// The text.
    pub text: String,
    /// When it was written.
    pub at: Timestamp,
}

/// See [`SpanEvent::SpanTag`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SpanTag {
    /// The span.
    pub span_id: SpanId,
    /// What to attach.
    pub tags: BTreeMap<String, Json>,
}

/// See [`SpanEvent::StepOutput`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct StepOutput {
    /// The step.
    pub key: StepKey,
    /// The path of its caller.
    pub parent_path: String,
    /// The flow that was called.
    pub name: String,
    /// SHA-1 of the canonical arguments.
    pub arguments_hash: String,
    /// SHA-1 of the function's own source.
    pub source_hash: String,
    /// The span that ran it.
    pub span_id: SpanId,
    /// What to remember.
    pub outcome: Outcome,
    /// When it ended.
    pub at: Timestamp,
    /// Whether an undo is registered for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compensable: bool,
    /// Whether it is a plan; see [`crate::OutcomeRecord::plan`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
    /// Where it stands, for a plan; see [`crate::OutcomeRecord::place`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// See [`SpanEvent::StepDeadline`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct StepDeadline {
    /// How long the span of `output` may stay open from now on, in microseconds.
    pub timeout_micros: u64,
    /// What is stored for the step when that time is over; it ends as `timed_out`.
    pub output: StepOutput,
}

/// See [`SpanEvent::PlayDeadline`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct PlayDeadline {
    /// How long the play may take from its first launch on, in microseconds.
    pub timeout_micros: u64,
}

/// See [`SpanEvent::Pause`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Pause {
    /// See [`crate::resume::resume_id`].
    pub id: ResumeId,
    /// What the answer is called.
    pub name: String,
    /// What may answer.
    pub kind: RequestKind,
    /// A JSON Schema the payload must fit; absent accepts any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    /// How to draw the question; absent where no form is to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ui: Option<Json>,
    /// The span in which the pause stands.
    pub span_id: SpanId,
    /// How long to wait from the first time it is asked, in microseconds; absent waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_micros: Option<u64>,
    /// What to take on expiry; absent raises `PauseTimeout`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
    /// The play whose end is the answer, for the kind `child`: started with the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawn: Option<Spawn>,
}

/// A child play to start; see [`Pause::spawn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Spawn {
    /// A flow of the bundle by its name, else a saved workflow by its name.
    pub target: String,
    /// Whether `target` is a flow of the bundle.
    pub is_in_bundle: bool,
    /// Its arguments, a JSON object.
    pub inputs: Json,
    /// The step that spawns it: the sid of the child is derived from it and the parent's.
    pub step_key: StepKey,
}

/// See [`SpanEvent::Result`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FlowResult {
    /// What the root flow returned or raised.
    pub outcome: Outcome,
    /// Whether the failure is one of definition (exit 2) rather than of the run (exit 1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_definition_error: bool,
    /// Remembered steps that this launch did not ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_over: Vec<StepKey>,
}

/// What the supervisor says to a launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The frame is durable, and so are all before it.
    Ack {
        /// The frame.
        seq: u64,
        /// The answer, for a pause that has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Outcome>,
    },
    /// The frame was not taken, and nothing after it will be: the launch must end.
    Refused {
        /// The frame.
        seq: u64,
        /// Why, for the launch's standard error.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_pass_through_a_frame_untouched() {
        let line = r#"{"seq":7,"event":{"step_output":{"key":"k","parent_path":"main","name":"f","arguments_hash":"a","source_hash":"s","span_id":"i","outcome":{"returned":{"n": 12345678901234567890123,  "x":1.0}},"at":1}}}"#;
        let frame: Frame = serde_json::from_str(line).expect("a frame");
        assert_eq!(serde_json::to_string(&frame).expect("prints"), line);
    }

    #[test]
    fn an_ack_may_carry_a_null_answer() {
        let line = r#"{"ack":{"seq":3,"answer":{"returned":null}}}"#;
        let reply: Reply = serde_json::from_str(line).expect("a reply");
        assert_eq!(reply, Reply::Ack { seq: 3, answer: Some(Outcome::Returned(Json::null())) });
    }
}
