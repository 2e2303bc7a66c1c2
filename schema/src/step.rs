//! Steps: what identifies a call, and what is remembered of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::{
    Json, LaunchNumber, PlaySid, SpanId, SpanPlace, StepKey, Usage, VersionSid, canonical,
};

/// The key under which the outcome of a `@flow` call is remembered:
/// `sha1(version | parent_path | flow_name | canonical_json(arguments))`, lower-case hex.
///
/// The second, third … identical call under one parent appends `|#2`, `|#3` …, so that a polling loop
/// really polls: `occurrence` counts from 1. SHA-1 only spreads here; nothing relies on it for
/// security, and memory is never shared between plays.
///
/// # Errors
/// The arguments have no canonical form.
pub fn step_key(
    version: &str,
    parent_path: &str,
    flow_name: &str,
    arguments: &str,
    occurrence: u32,
) -> Result<StepKey, canonical::Error> {
    let arguments = canonical::canonical_json(arguments)?;
    let mut text = format!("{version}|{parent_path}|{flow_name}|{arguments}");
    if occurrence > 1 {
        text.push_str(&format!("|#{occurrence}"));
    }
    Ok(StepKey::new(sha1_hex(text.as_bytes())))
}

/// The path of what a step calls: its own parent's path, then `name:XXXXXXXX`, where X is the start
/// of its key. Equal calls under different parents differ therefore, however threads interleave.
pub fn step_path(parent_path: &str, flow_name: &str, key: &StepKey) -> String {
    let mark = &key.as_str()[..8.min(key.as_str().len())];
    format!("{parent_path}/{flow_name}:{mark}")
}

/// SHA-1 of some bytes in lower-case hex: step keys, resume ids, version sids, argument hashes.
pub fn sha1_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha1::digest(bytes).iter().fold(String::with_capacity(40), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("text takes all");
        hex
    })
}

/// How a step ended: what every later launch gets instead of running it again.
///
/// Also how a pause was answered: with a payload, or with an exception such as `PauseTimeout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The encoded return value.
    Returned(Json),
    /// The exception, to be raised again.
    Raised(Raised),
}

/// An exception as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Raised {
    /// Where the class can be imported from, as `module:Qualified.Name`.
    pub class: String,
    /// `str(exception)`.
    pub message: String,
    /// The formatted traceback, for people.
    pub traceback: String,
    /// What rebuilds it: `exception.args` as a JSON list, or `{"args": […], "attributes": {…}}` where
    /// it carries attributes too. None where they have no JSON form; the exception then comes back
    /// as `StepFailed`.
    #[serde(
        default,
        deserialize_with = "crate::json::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub args: Option<Json>,
}

impl Raised {
    /// An exception that the runtime raises in a flow: a class of `pyhero`, whose errors have a
    /// message, a hint and perhaps further attributes.
    pub fn by_the_runtime(class: &str, message: String, further: &[(&str, Json)]) -> Self {
        let text = Json::of(&message).expect("text has a JSON form");
        let mut attributes = BTreeMap::from([("message", text), ("hint", Json::null())]);
        attributes.extend(further.iter().map(|(name, value)| (*name, value.clone())));
        let state = BuiltFrom { args: [&message], attributes };
        let args = Some(Json::of(&state).expect("texts under texts have a JSON form"));
        let class = format!("pyhero:{class}");
        Self { class, message, traceback: String::new(), args }
    }
}

/// See [`Raised::args`].
#[derive(Serialize)]
struct BuiltFrom<'a> {
    args: [&'a str; 1],
    attributes: BTreeMap<&'a str, Json>,
}

/// A remembered outcome with the parts of its key: they explain a mismatch, and carry a play over to
/// a new version of its workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct OutcomeRecord {
    /// Identifies the call.
    pub key: StepKey,
    /// The path of the caller.
    pub parent_path: String,
    /// The flow that was called.
    pub name: String,
    /// SHA-1 of the canonical arguments.
    pub arguments_hash: String,
    /// SHA-1 of the function's own source.
    pub source_hash: String,
    /// The span that ran it.
    pub span_id: SpanId,
    /// The launch that ran it.
    pub launch: LaunchNumber,
    /// The place of its `step_output` among the frames of that launch. With the launch it tells in which
    /// order steps completed.
    #[serde(default)]
    pub seq: u64,
    /// The place of its `span_start` there: with the launch it tells which record is its span's. None where
    /// that is not known, or the play has taken the outcome over from another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_seq: Option<u64>,
    /// Whether an undo is registered for it: it is handed to every launch, wherever it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compensable: bool,
    /// Whether it is a plan, to be frozen into a version that is saved from the play.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
    /// Where it stands, for a plan: its path with `name#n` for each call, n counting the calls of this
    /// name in one body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What it spent in the launch that ended it, without what steps within it spent that have an outcome
    /// of their own.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub usage: Usage,
    /// What is replayed.
    pub outcome: Outcome,
}

impl OutcomeRecord {
    /// The path of what this step called itself.
    pub fn path(&self) -> String {
        step_path(&self.parent_path, &self.name, &self.key)
    }

    /// The same as another play takes it over, which does not have its span. What it spent is the earlier
    /// play's.
    #[must_use]
    pub fn taken_over(self) -> Self {
        Self { span_seq: None, usage: Usage::default(), ..self }
    }

    /// Where the span is stored that ran it, if this play has it.
    pub fn ran_as(&self) -> Option<SpanPlace> {
        self.span_seq.map(|seq| SpanPlace { launch: self.launch, seq })
    }
}

/// The sid of the play that a step spawns: a ULID with the time of its parent, and with the SHA-1 of
/// parent and step key in place of the random part. So a parent that is relaunched finds its child.
pub fn child_play_sid(parent: &PlaySid, step: &StepKey) -> PlaySid {
    const TIME_CHARS: usize = 10;
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let hash: [u8; 20] = Sha1::digest(format!("{parent}|{step}")).into();
    let bits = hash[..10].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let random = (0..16).rev().map(|n| char::from(ALPHABET[(bits >> (5 * n) & 31) as usize]));
    let time = parent.as_str().chars().chain(std::iter::repeat('0')).take(TIME_CHARS);
    PlaySid::new(time.chain(random).collect::<String>())
}

/// The version sid of a bundle: SHA-1 over its entry, its flow and every file, each length-prefixed
/// so that no two bundles share an input.
pub fn version_sid(bundle: &crate::Bundle) -> VersionSid {
    let mut hasher = Sha1::new();
    let mut feed = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    feed("hero bundle 1");
    feed(&bundle.entry);
    feed(&bundle.flow);
    for (path, source) in &bundle.files {
        feed(path);
        feed(source);
    }
    let hex = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    VersionSid::new(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(arguments: &str, occurrence: u32) -> String {
        step_key("0001", "main", "fetch", arguments, occurrence)
            .expect("canonical")
            .as_str()
            .to_owned()
    }

    #[test]
    fn the_sid_of_a_child_follows_from_its_parent_and_its_step() {
        let parent = PlaySid::new("01m7yp6z4h2r2pk5gy1pe6vjxg");
        let sid = |parent: &PlaySid, step: &str| child_play_sid(parent, &StepKey::new(step));
        let child = sid(&parent, "aa");
        assert_eq!(child, sid(&parent, "aa"));
        assert_ne!(child, sid(&parent, "ab"));
        assert_ne!(child, sid(&child, "aa"));
        assert_eq!((child.as_str().len(), &child.as_str()[..10]), (26, "01m7yp6z4h"));
    }

    #[test]
    fn the_key_matches_the_published_vectors() {
        assert_eq!(key(r#"{"id":1,"q":"é"}"#, 1), "6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad");
        let root = step_key("0001", "", "main", "{}", 1).expect("canonical");
        assert_eq!(root.as_str(), "e4f443fcd52b38f3163d747e5737de2cb3ce6f72");
    }

    #[test]
    fn spelling_does_not_change_a_key_and_meaning_does() {
        assert_eq!(key(r#"{"q":"\u00e9", "id":1}"#, 1), key(r#"{"id":1,"q":"é"}"#, 1));
        let distinct =
            ["1", "1.0", "true", "9007199254740992", "9007199254740993", "\"1\"", "null"];
        let keys: std::collections::BTreeSet<_> =
            distinct.iter().map(|v| key(&format!("{{\"x\":{v}}}"), 1)).collect();
        assert_eq!(keys.len(), distinct.len());
    }

    #[test]
    fn identical_calls_are_counted_apart() {
        assert_ne!(key("{}", 1), key("{}", 2));
        assert_ne!(key("{}", 2), key("{}", 3));
    }

    #[test]
    fn a_path_names_the_call_and_the_start_of_its_key() {
        let key = StepKey::new("6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad");
        assert_eq!(step_path("main", "fetch", &key), "main/fetch:6ba0210c");
    }
}
