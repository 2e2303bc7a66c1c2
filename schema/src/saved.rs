//! What a version keeps that was saved from a play.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::step::sha1_hex;
use crate::{FlowField, FlowSignature, Json, PlaySid, VersionSid, WorkflowVersion};

/// What a version was given by the play that it was saved from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SavedPlay {
    /// The play.
    pub play_sid: PlaySid,
    /// What the flow itself takes: the signature of the version tells what a play of it is given.
    pub flow_signature: FlowSignature,
    /// The arguments of the flow, in whose texts `{{inputs.name}}` stands for a declared input; None
    /// where a play gives the arguments themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Json>,
    /// The frozen outputs of plan steps, by their places; see [`crate::OutcomeRecord::place`].
    pub plans: BTreeMap<String, FrozenPlan>,
}

/// What a step marked `plan=True` returned in the play that was saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct FrozenPlan {
    /// The step.
    pub name: String,
    /// What it returns.
    pub output: Json,
}

impl SavedPlay {
    /// The sid of a version with this content, given that of its bundle.
    pub fn version_sid(&self, bundle: &VersionSid, inputs: &[FlowField]) -> VersionSid {
        // Which play it was makes no difference.
        let content = (bundle, inputs, &self.arguments, &self.plans);
        let text = serde_json::to_string(&content).expect("JSON under texts has a JSON form");
        VersionSid::new(sha1_hex(format!("hero saved 1|{text}").as_bytes()))
    }
}

impl WorkflowVersion {
    /// The steps marked `plan=True` of which no output is frozen: a play of the version plans anew.
    pub fn missing_plans(&self) -> Vec<&str> {
        let plans = self.saved.iter().flat_map(|saved| saved.plans.values());
        let frozen: BTreeSet<_> = plans.map(|plan| plan.name.as_str()).collect();
        let marked = self.signature.plans.iter().map(String::as_str);
        marked.filter(|name| !frozen.contains(name)).collect()
    }

    /// Whether every step marked `plan=True` has a frozen output.
    pub fn is_fully_frozen(&self) -> bool {
        self.missing_plans().is_empty()
    }

    /// What the flow itself takes.
    pub fn flow_signature(&self) -> &FlowSignature {
        self.saved.as_ref().map_or(&self.signature, |saved| &saved.flow_signature)
    }
}
