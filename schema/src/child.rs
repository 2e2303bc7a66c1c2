//! What a launch is handed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Json, PlaySid, StepKey, VersionSid};

/// The version of the child contract; a `hello` with another one is refused.
pub const PROTOCOL: u32 = 1;

/// The content of the file that [`crate::env::INPUT_FILE`] names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct LaunchOrder {
    /// Proves in `hello` that the process was started by this supervisor for this launch.
    pub token: String,
    /// The directory that holds the bundle.
    pub bundle_dir: String,
    /// The file with the root flow, relative to `bundle_dir`.
    pub entry: String,
    /// The root flow's name.
    pub flow: String,
    /// The arguments, a JSON object.
    pub inputs: Json,
    /// The play whose idempotency keys count: this one, or the one that it retries.
    pub idempotency_sid: PlaySid,
    /// The version that the bundle is of, where the step keys begin with another one: see
    /// [`crate::PlayRecord::key_version_sid`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_sid: Option<VersionSid>,
    /// Completed steps that have an undo, in the order they completed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compensations: Vec<Compensable>,
    /// What is known of its plans; None where no step of the bundle is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plans: Option<Plans>,
}

/// What a launch is to do at steps that are marked `plan=True`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Plans {
    /// The frozen outputs, by place: what stands here is taken in place of a run.
    pub frozen: BTreeMap<String, Json>,
    /// Whether one that does not stand here may run.
    pub may_plan: bool,
}

/// A completed step that is undone should the play fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Compensable {
    /// The step.
    pub key: StepKey,
    /// Its flow, which knows the undo.
    pub name: String,
    /// What it returned: the argument of the undo.
    pub output: Json,
}
