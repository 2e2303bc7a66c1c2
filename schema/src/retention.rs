//! For how long the plays of a workflow are kept.

use serde::{Deserialize, Serialize};

use crate::WorkflowSid;

/// A setting of a workflow: which of its plays are removed by themselves. Only such as have ended, and
/// never one that a parent still waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Retention {
    /// The workflow.
    pub workflow_sid: WorkflowSid,
    /// Plays are removed so many days after their end, parts of days included; None keeps them however
    /// old they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<f64>,
    /// Only the newest so many that have ended are kept; None keeps any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
}

impl Retention {
    /// The setting of a workflow that has none: everything is kept.
    pub fn unlimited(workflow_sid: WorkflowSid) -> Self {
        Self { workflow_sid, keep_days: None, keep_last: None }
    }

    /// Whether everything is kept.
    pub fn is_unlimited(&self) -> bool {
        self.keep_days.is_none() && self.keep_last.is_none()
    }
}
