//! The data of Hero Logic: every type that is stored or crosses a process border.
//!
//! This room holds shapes, names and the one function that computes a step key. It decides nothing,
//! touches no file, socket or clock, and depends on no other room. `PROTOCOL.md` beside this crate is
//! the same contract in prose; a test holds its tables to the constants here.
//!
//! Times are whole microseconds since the Unix epoch, UTC ([`Timestamp`]). Payloads that users own
//! (inputs, outputs, answers) travel as raw JSON text ([`Json`]) and are never parsed and reprinted.

pub mod canonical;
pub mod child;
pub mod env;
pub mod error;
pub mod exit;
pub mod final_callback;
pub mod frame;
pub mod id;
pub mod json;
pub mod memory_index;
pub mod name;
pub mod play;
pub mod resume;
pub mod retention;
pub mod rpc;
pub mod saved;
pub mod schedule;
pub mod service;
pub mod span;
pub mod starter;
pub mod step;
pub mod tag;
pub mod time;
pub mod ui;
pub mod usage;
pub mod workflow;

#[cfg(feature = "describe")]
pub mod describe;

pub use error::{ErrorKind, RpcError};
pub use final_callback::{FinalCallback, FinalCallbackStatus, OutcomeError, PlayOutcome};
pub use id::{
    FiringId, LaunchNumber, PlaySid, ResumeId, ScheduleSid, SpanId, StepKey, VersionSid,
    WorkflowSid,
};
pub use json::Json;
pub use play::{
    Failure, FailureKind, LeftOver, Origin, OriginKind, Play, PlayRecord, PlayStatus, StartKey,
};
pub use resume::{Answer, Answerer, RequestKind, ResumeRequest};
pub use retention::Retention;
pub use saved::{FrozenPlan, SavedPlay};
pub use schedule::{
    Firing, FiringOutcome, FiringPlace, Overlap, Schedule, ScheduleState, SkipReason, When,
};
pub use span::{
    LogLevel, LogLine, LogStream, ReplayedSpans, Span, SpanKind, SpanPlace, SpanRange, SpanStatus,
};
pub use starter::Starter;
pub use step::{Outcome, OutcomeRecord, Raised};
pub use time::Timestamp;
pub use usage::{Budget, Usage};
pub use workflow::{
    Bundle, FieldType, FlowField, FlowSignature, NumberedVersion, Workflow, WorkflowChange,
    WorkflowChangeKind, WorkflowVersion,
};
