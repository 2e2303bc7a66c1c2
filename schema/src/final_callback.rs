//! What is posted once a play has ended, and what became of it.

use serde::{Deserialize, Serialize};

use crate::json::present;
use crate::{
    FailureKind, Json, Origin, PlayRecord, PlaySid, PlayStatus, Timestamp, VersionSid, WorkflowSid,
};

/// The outcome of a play on its way to an address that was named at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FinalCallback {
    /// Where it is posted.
    pub url: String,
    /// Where it is on its way.
    pub status: FinalCallbackStatus,
    /// How often it was tried.
    #[serde(default)]
    pub n_attempts: u32,
    /// When it is tried next; absent where it is not, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// When it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Timestamp>,
    /// Why the last attempt failed; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

impl FinalCallback {
    /// One whose play has not ended.
    pub fn to(url: String) -> Self {
        let status = FinalCallbackStatus::Waiting;
        Self { url, status, n_attempts: 0, next_at: None, tried_at: None, last_error: None }
    }
}

/// Where a final callback is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FinalCallbackStatus {
    /// The play has not ended.
    Waiting,
    /// It is tried until it has arrived, or was tried as often as it is tried.
    Due,
    /// It was taken: the other side has answered with a 2xx.
    Delivered,
    /// It was not, and is not tried any more.
    GivenUp,
}

impl FinalCallbackStatus {
    /// The one word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Due => "due",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// What is posted: how a play has ended. The same in every attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct PlayOutcome {
    /// What this is: always `play_ended`.
    pub event: String,
    /// The play.
    pub play_sid: PlaySid,
    /// What people call it.
    pub name: String,
    /// The saved workflow that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_sid: Option<WorkflowSid>,
    /// The version that it ran.
    pub workflow_version_sid: VersionSid,
    /// How it ended.
    pub status: PlayStatus,
    /// What the flow returned; present exactly for `success`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub output_data: Option<Json>,
    /// Why it did not succeed. Tracebacks stay here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<OutcomeError>,
    /// The play that this one was made of by a retry or a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// See [`PlayOutcome::error`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct OutcomeError {
    /// What a program can branch on.
    pub kind: FailureKind,
    /// One line for people.
    pub message: String,
}

impl PlayOutcome {
    /// How a play has ended.
    pub fn of(play: &PlayRecord) -> Self {
        let error = play.failure.as_ref();
        Self {
            event: "play_ended".into(),
            play_sid: play.sid.clone(),
            name: play.name.clone(),
            workflow_sid: play.workflow_sid.clone(),
            workflow_version_sid: play.version_sid.clone(),
            status: play.status,
            output_data: play.output.clone(),
            error: error.map(|failure| OutcomeError {
                kind: failure.kind,
                message: failure.message.clone(),
            }),
            origin: play.origin.clone(),
            created_at: play.created_at,
            ended_at: play.ended_at,
        }
    }
}
