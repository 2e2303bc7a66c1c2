//! The errors that cross the RPC border: every kind once, with its code and what it means.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal $word:literal,)+) => {
        /// What went wrong, for programs to branch on. Kinds are only ever added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $name,)+
        }

        impl ErrorKind {
            /// Every kind, in the order of `PROTOCOL.md`.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The JSON-RPC error code.
            pub fn code(self) -> i64 {
                match self { $(Self::$name => $code,)+ }
            }

            /// The `data.kind` on the wire.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

error_kinds! {
    /// The request is not JSON.
    ParseError = -32700 "parse_error",
    /// The request is JSON and not a JSON-RPC 2.0 request.
    InvalidRequest = -32600 "invalid_request",
    /// There is no such method.
    MethodNotFound = -32601 "method_not_found",
    /// The parameters do not fit the method.
    InvalidParams = -32602 "invalid_params",
    /// The server failed; its log says why.
    Internal = -32603 "internal",
    /// There is no such play.
    PlayNotFound = -32001 "play_not_found",
    /// There is no such workflow.
    WorkflowNotFound = -32002 "workflow_not_found",
    /// The play has asked no such question.
    RequestNotFound = -32003 "request_not_found",
    /// The request already holds another answer, which stands.
    ResumeConflict = -32004 "resume_conflict",
    /// The play has ended and takes no answer any more.
    PlayEnded = -32005 "play_ended",
    /// The payload is not JSON.
    PayloadNotJson = -32006 "payload_not_json",
    /// The payload does not fit the schema of the request.
    PayloadMismatch = -32007 "payload_mismatch",
    /// A flow, workflow, play or pause cannot be called that.
    InvalidName = -32008 "invalid_name",
    /// The file cannot be read.
    FileUnreadable = -32009 "file_unreadable",
    /// The file holds no runnable flow: a syntax error, no flow, or several to choose from.
    FlowDefinition = -32010 "flow_definition",
    /// The inputs do not fit the flow's signature.
    InputMismatch = -32011 "input_mismatch",
    /// The Python interpreter is missing or has no `pyhero`.
    InterpreterUnusable = -32012 "interpreter_unusable",
    /// The change is not possible in the play's status.
    IllegalTransition = -32013 "illegal_transition",
    /// The request or a payload is larger than the server takes.
    TooLarge = -32014 "too_large",
    /// Another process holds the data directory.
    StoreInUse = -32015 "store_in_use",
    /// The store cannot be read or written; what was acknowledged is safe.
    StoreUnavailable = -32016 "store_unavailable",
    /// The path is too long for a Unix socket.
    SocketPathTooLong = -32017 "socket_path_too_long",
    /// A socket cannot be bound or is not private to its owner.
    SocketUnusable = -32018 "socket_unusable",
    /// No server answers on the socket.
    ServerUnreachable = -32019 "server_unreachable",
    /// The server on the socket serves another data directory.
    DataDirMismatch = -32020 "data_dir_mismatch",
    /// The server is stopping and takes no new work.
    ShuttingDown = -32021 "shutting_down",
    /// The process that asks belongs to another user.
    Forbidden = -32022 "forbidden",
    /// The play has no such span, or the step has not completed.
    SpanNotFound = -32023 "span_not_found",
    /// The idempotency key has started a play with other inputs, which stands.
    IdempotencyConflict = -32024 "idempotency_conflict",
    /// There is no such schedule.
    ScheduleNotFound = -32025 "schedule_not_found",
    /// When the schedule is to be due cannot be: no such expression, time zone or moment, or one that is over.
    ScheduleInvalid = -32026 "schedule_invalid",
    /// Another schedule has this name.
    ScheduleExists = -32027 "schedule_exists",
    /// The workflow has no such version.
    VersionNotFound = -32030 "version_not_found",
    /// Something else needs the workflow, such as a schedule.
    WorkflowInUse = -32031 "workflow_in_use",
    /// The URL of a callback was never given out, or names a play that is gone.
    CallbackNotFound = -32040 "callback_not_found",
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An error as it crosses the border, and as the command line prints it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// For programs.
    pub kind: ErrorKind,
    /// For people: what was tried, on what, and why it failed.
    pub message: String,
    /// For people: what to do; None where the message says it all.
    pub hint: Option<String>,
}

impl RpcError {
    /// An error without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn kinds_codes_and_words_are_unique_and_documented() {
        let codes: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        let words: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!((codes.len(), words.len()), (ErrorKind::ALL.len(), ErrorKind::ALL.len()));
        assert!(ErrorKind::ALL.iter().all(|kind| kind.meaning().ends_with('.')));
    }
}
