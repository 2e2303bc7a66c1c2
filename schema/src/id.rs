//! Identifiers, each its own type so that one cannot be passed where another is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; whether anything has this id is the store's to say.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A play: a lower-case ULID, so that sids sort by the time of their start.
    PlaySid
}
text_id! {
    /// A workflow: a lower-case ULID.
    WorkflowSid
}
text_id! {
    /// A version of a workflow: the content hash of its bundle (lower-case hex SHA-1).
    VersionSid
}
text_id! {
    /// A schedule: a lower-case ULID.
    ScheduleSid
}
text_id! {
    /// A firing of a schedule, derived from the schedule and the due time.
    FiringId
}
text_id! {
    /// A span: 16 hex digits, the same for the same call in every launch of a play.
    SpanId
}
text_id! {
    /// What identifies a step within its play; see [`crate::step::step_key`].
    StepKey
}
text_id! {
    /// A resume request, derived from where its pause stands; see [`crate::resume::resume_id`].
    ResumeId
}

/// The number of a launch within its play, counted from 1; 0 means that there was none yet.
///
/// It is the fencing token: whatever an older launch still says is refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LaunchNumber(pub u32);

impl LaunchNumber {
    /// The launch after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for LaunchNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
