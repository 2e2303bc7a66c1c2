//! Which types the documents show, in the order in which a newcomer should read them.

use schemars::{JsonSchema, SchemaGenerator};

use super::{ErrorData, ErrorObject};
use crate::child::{Compensable, LaunchOrder, Plans};
use crate::frame::{
    FlowResult, Frame, Hello, Pause, PlayDeadline, Replayed, Reply, SpanEnd, SpanEvent, SpanLog,
    SpanStart, SpanTag, Spawn, StepDeadline, StepOutput,
};
use crate::rpc::{
    CallbackBody, CallbackNoop, CallbackPosted, Checked, Deleted, Finding, FiringItem, FiringPage,
    ForkServerState, InboxItem, InboxPage, InputDeclaration, Keep, LogPage, MoveChoice, Moved,
    MovedStep, PlayPage, PlaySummary, Resumed, SavedWorkflow, ScheduleDetail, SchedulePage,
    SpanPage, Stats, Until, VersionPage, WorkflowDetail, WorkflowHistory, WorkflowPage,
};
use crate::{
    Answerer, Budget, Bundle, ErrorKind, Failure, FailureKind, FieldType, FinalCallback,
    FinalCallbackStatus, Firing, FiringId, FiringOutcome, FiringPlace, FlowField, FlowSignature,
    FrozenPlan, LaunchNumber, LeftOver, LogLevel, LogLine, LogStream, NumberedVersion, Origin,
    OriginKind, Outcome, OutcomeError, OutcomeRecord, Overlap, Play, PlayOutcome, PlaySid,
    PlayStatus, Raised, ReplayedSpans, RequestKind, ResumeId, ResumeRequest, Retention, SavedPlay,
    Schedule, ScheduleSid, ScheduleState, SkipReason, Span, SpanId, SpanKind, SpanRange,
    SpanStatus, Starter, StepKey, Timestamp, Usage, VersionSid, When, Workflow, WorkflowChange,
    WorkflowChangeKind, WorkflowSid, WorkflowVersion,
};

/// What a store keeps under an id of its own, and shows whole.
pub(super) const ROOT_OBJECTS: [&str; 5] =
    ["Workflow", "WorkflowVersion", "Play", "Schedule", "ResumeRequest"];

/// Types that belong together.
pub(super) struct Section {
    /// What they are about.
    pub(super) title: &'static str,
    /// Their names.
    pub(super) names: Vec<String>,
}

/// Feeds every type to the generator and tells in which order to show them.
pub(super) fn sections(generator: &mut SchemaGenerator) -> Vec<Section> {
    macro_rules! section {
        ($title:literal: $($name:ty),+ $(,)?) => {
            Section { title: $title, names: vec![$(name_of::<$name>(generator)),+] }
        };
    }
    vec![
        section!("Times and ids":
            Timestamp, PlaySid, LaunchNumber, WorkflowSid, VersionSid, ScheduleSid, FiringId, SpanId,
            StepKey, ResumeId),
        section!("Workflows":
            Workflow, NumberedVersion, WorkflowChange, WorkflowChangeKind, WorkflowVersion, Bundle,
            FlowSignature, FlowField, FieldType, SavedPlay, FrozenPlan, Retention),
        section!("Plays": Play, PlayStatus, Failure, FailureKind, LeftOver, Origin, OriginKind, Starter, Usage, Budget),
        section!("What is posted once a play has ended":
            FinalCallback, FinalCallbackStatus, PlayOutcome, OutcomeError),
        section!("Schedules":
            Schedule, When, Overlap, ScheduleState, FiringPlace, Firing, FiringOutcome, SkipReason),
        section!("Pauses and their answers": ResumeRequest, RequestKind, Answerer),
        section!("Steps": Outcome, Raised, OutcomeRecord),
        section!("Spans and log lines":
            Span, SpanKind, SpanStatus, ReplayedSpans, SpanRange, LogLine, LogStream, LogLevel),
        section!("The child contract: what a launch is handed, says and hears":
            LaunchOrder, Compensable, Plans, Frame, SpanEvent, Hello, SpanStart, Replayed, SpanEnd, SpanLog, SpanTag, StepOutput,
            StepDeadline, PlayDeadline, Pause, Spawn, FlowResult, Reply),
        section!("RPC: results and errors":
            WorkflowDetail, WorkflowPage, VersionPage, WorkflowHistory, SavedWorkflow, InputDeclaration, Checked, Finding, Keep,
            PlayPage, PlaySummary, Until, Moved, MovedStep, MoveChoice, Resumed,
            CallbackBody, CallbackPosted, CallbackNoop, Deleted, LogPage, SpanPage,
            ScheduleDetail, SchedulePage, FiringPage, FiringItem,
            InboxPage, InboxItem, Stats, ForkServerState, ErrorObject, ErrorData, ErrorKind),
    ]
}

fn name_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> String {
    generator.subschema_for::<T>();
    T::schema_name().into_owned()
}
