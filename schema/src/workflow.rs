//! Workflows and their immutable versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::json::present;
use crate::{Json, SavedPlay, Timestamp, VersionSid, WorkflowSid};

/// The code of a version: everything a launch needs beside the interpreter and its packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Bundle {
    /// The file with the root flow, as a key of `files`.
    pub entry: String,
    /// The root flow's name.
    pub flow: String,
    /// Source text by path, relative, with `/`.
    pub files: BTreeMap<String, String>,
}

/// What a flow takes and gives, as read from its source without running it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FlowSignature {
    /// The first paragraph of its docstring.
    pub description: String,
    /// Its parameters, in order.
    pub inputs: Vec<FlowField>,
    /// What it declares to return.
    pub outputs: Vec<FlowField>,
    /// A JSON Schema for the object of its arguments.
    pub input_schema: Option<Json>,
    /// A JSON Schema for what it returns; None where the source does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
    /// The variables of the supervisor's environment that it asks for, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The steps of the bundle that are marked `plan=True`, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
}

/// One parameter or output of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FlowField {
    /// Its name.
    pub name: String,
    /// Its JSON type; None where the source does not tell.
    pub field_type: Option<FieldType>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether a play must give it.
    pub required: bool,
    /// What is taken when a play does not give it; None where there is no default or it is not
    /// plain data.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
}

/// The JSON types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text.
    String,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// An object.
    Object,
    /// A list.
    Array,
}

impl FieldType {
    /// The word for it in JSON Schema.
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::Array => "array",
        }
    }
}

/// A version: a bundle and what was read from it. Named by its content, never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct WorkflowVersion {
    /// The content hash of the bundle, and of what it was given by a play where it was.
    pub sid: VersionSid,
    /// The code.
    pub bundle: Bundle,
    /// What it takes and gives.
    pub signature: FlowSignature,
    /// What it was given by the play that it was saved from; None for a version of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SavedPlay>,
    /// When this content was first stored.
    pub created_at: Timestamp,
}

/// A saved flow under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Workflow {
    /// Its id.
    pub sid: WorkflowSid,
    /// Its unique name.
    pub name: String,
    /// The first paragraph of the flow's docstring.
    pub description: String,
    /// The version that new plays take.
    pub current_version_sid: VersionSid,
    /// The number of that version, counted from 1.
    pub version: u32,
    /// The parameters of the current version.
    pub inputs: Vec<FlowField>,
    /// The outputs of the current version.
    pub outputs: Vec<FlowField>,
    /// When it was first saved.
    pub created_at: Timestamp,
    /// When another version last became current.
    pub updated_at: Timestamp,
    /// Counts how often a version became current: a write names the revision it was decided on, and a
    /// store refuses it when another came first.
    #[serde(default)]
    pub revision: u64,
    /// How many versions it has had: the next one gets the number after this.
    #[serde(default)]
    pub n_versions: u32,
}

/// A version among those of its workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct NumberedVersion {
    /// Its number, counted from 1: content keeps the number that it was first given.
    pub number: u32,
    /// Its content.
    pub sid: VersionSid,
    /// When it was first saved.
    pub saved_at: Timestamp,
}

/// That a version became the current one of its workflow. Kept for as long as the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct WorkflowChange {
    /// The [`Workflow::revision`] from then on.
    pub revision: u64,
    /// The number of the version.
    pub version: u32,
    /// The version.
    pub version_sid: VersionSid,
    /// What made it the current one.
    pub how: WorkflowChangeKind,
    /// When.
    pub at: Timestamp,
}

/// What makes a version the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkflowChangeKind {
    /// New content was saved.
    Saved,
    /// The content of an older version was saved again: no version was made.
    SavedAgain,
    /// It was asked for by `workflow_rollback`.
    RolledBack,
}
