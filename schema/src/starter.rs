//! Who started a play.

use serde::{Deserialize, Serialize};

use crate::PlaySid;

/// Who started a play, and by which way. Which play a retry, restart or fork was made of is its
/// `origin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Starter {
    /// `play_start` or `play_run_async` over the local socket.
    Rpc {
        /// The user id of the process that asked, from the socket's peer credentials.
        uid: u32,
    },
    /// A schedule.
    Schedule {
        /// Its sid.
        schedule: String,
    },
    /// A play that spawned it.
    Parent {
        /// That play.
        play_sid: PlaySid,
    },
    /// `play_retry`.
    Retry {
        /// The user id of the process that asked.
        uid: u32,
    },
    /// `play_restart`.
    Restart {
        /// The user id of the process that asked.
        uid: u32,
    },
    /// `play_move`.
    Move {
        /// The user id of the process that asked.
        uid: u32,
    },
    /// `play_fork`.
    Fork {
        /// The user id of the process that asked.
        uid: u32,
    },
}

impl Starter {
    /// The words that plays can be looked for by.
    pub const WORDS: [&str; 7] = ["rpc", "schedule", "parent", "retry", "restart", "move", "fork"];

    /// The way, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Rpc { .. } => "rpc",
            Self::Schedule { .. } => "schedule",
            Self::Parent { .. } => "parent",
            Self::Retry { .. } => "retry",
            Self::Restart { .. } => "restart",
            Self::Move { .. } => "move",
            Self::Fork { .. } => "fork",
        }
    }

    /// Who: a user id, or the sid of a schedule or play.
    pub fn who(&self) -> String {
        match self {
            Self::Rpc { uid }
            | Self::Retry { uid }
            | Self::Restart { uid }
            | Self::Move { uid }
            | Self::Fork { uid } => uid.to_string(),
            Self::Schedule { schedule } => schedule.clone(),
            Self::Parent { play_sid } => play_sid.to_string(),
        }
    }
}
