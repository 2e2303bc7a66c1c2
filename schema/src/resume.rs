//! Pauses and their answers.

use serde::{Deserialize, Serialize};

use crate::json::present;
use crate::step::sha1_hex;
use crate::{Json, Outcome, Raised, ResumeId, SpanId, Timestamp};

/// The id of a resume request: `sha1(version|span_path|name|n)`, lower-case hex.
///
/// `n` counts from 1 the pauses of this name on this path, so it is the same in every launch, whether
/// earlier steps ran or were replayed.
pub fn resume_id(version: &str, span_path: &str, name: &str, n: u32) -> ResumeId {
    ResumeId::new(sha1_hex(format!("{version}|{span_path}|{name}|{n}").as_bytes()))
}

/// What a play waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// `flow.pause` and `ask_user`: a person or a program answers.
    Pause,
    /// `flow.callback`: another system posts to a signed URL.
    Callback,
    /// `flow.sleep`: the clock answers.
    Timer,
    /// `flow.invoke(spawn=True)`: the end of a child play answers.
    Child,
    /// The wait before a step is tried again: the clock answers.
    Retry,
}

impl RequestKind {
    /// Whether someone outside is asked. The others are answered by the clock, or by a play.
    pub fn is_question(self) -> bool {
        matches!(self, Self::Pause | Self::Callback)
    }
}

/// A question that a play has asked, kept for good; answered once or never.
///
/// On the wire it is one flat object with `payload`, `resumed_at` and `resumed_by` present from the
/// answer on. A `null` payload is an answer: `resumed_at` tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "FlatRequest", into = "FlatRequest")]
pub struct ResumeRequest {
    /// See [`resume_id`].
    pub id: ResumeId,
    /// What the answer is called; prefill patterns match on it.
    pub name: String,
    /// What may answer.
    pub kind: RequestKind,
    /// A JSON Schema the payload must fit; None accepts any JSON.
    pub schema: Option<Json>,
    /// How to draw the question; None where no form is to be shown.
    pub ui: Option<Json>,
    /// The span in which the pause stands.
    pub asked_at_span_id: SpanId,
    /// When it was first asked.
    pub asked_at: Timestamp,
    /// When waiting ends; None waits for ever.
    pub expires_at: Option<Timestamp>,
    /// The payload taken on expiry; None raises `PauseTimeout` in the flow instead.
    pub default: Option<Json>,
    /// Where another system posts the answer; of the kind `callback` alone.
    pub url: Option<String>,
    /// Whether it was made ahead: no launch has stood at it so far.
    pub is_ahead: bool,
    /// The answer, once there is one.
    pub answer: Option<Answer>,
    /// Whether question and answer were carried over from a play of another version. The answer counts
    /// once the same is asked here; otherwise it is asked anew.
    pub is_carried: bool,
}

impl ResumeRequest {
    /// Whether nobody has answered yet.
    pub fn is_open(&self) -> bool {
        self.answer.is_none()
    }

    /// Whether a play stands still until someone outside answers this.
    pub fn is_awaited_question(&self) -> bool {
        self.is_open() && self.kind.is_question() && !self.is_ahead
    }

    /// Whether an answer may be given ahead: the clock and the end of a child play take none.
    pub fn takes_prefill(&self) -> bool {
        matches!(self.kind, RequestKind::Pause | RequestKind::Callback)
    }

    /// What the pause returns or raises when nobody answers in time.
    pub fn outcome_on_expiry(&self) -> Outcome {
        match &self.default {
            Some(default) => Outcome::Returned(default.clone()),
            None => {
                let message = format!("nobody answered `{}` in time", self.name);
                Outcome::Raised(Raised::by_the_runtime("PauseTimeout", message, &[]))
            }
        }
    }
}

/// The one answer of a request: never altered once stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Answer {
    /// What the pause returns or raises in the flow.
    pub outcome: Outcome,
    /// When it was accepted.
    pub resumed_at: Timestamp,
    /// Who gave it.
    pub resumed_by: Answerer,
}

/// Who answered, and by which way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Answerer {
    /// `play_resume` over the local socket, by this user id of the machine.
    Rpc {
        /// The user id of the process that asked, from the socket's peer credentials.
        uid: u32,
    },
    /// An entry of the play's prefill.
    Prefill {
        /// The name or glob that matched.
        pattern: String,
    },
    /// The request's own deadline.
    Timer,
    /// The end of the child play.
    Child,
    /// Whoever posted to the signed URL.
    Callback {
        /// What the other system calls its work, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<String>,
    },
    /// Whoever forked the play and gave it this answer.
    Fork,
}

/// A question that a play has asked, kept for good; answered once or never. `resumed_at` tells whether
/// it was: a `null` payload is an answer.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema), schemars(rename = "ResumeRequest"))]
struct FlatRequest {
    /// See [`resume_id`].
    id: ResumeId,
    /// What the answer is called; prefill patterns match on it.
    name: String,
    /// What may answer.
    kind: RequestKind,
    /// A JSON Schema the payload must fit; absent accepts any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Json>,
    /// How to draw the question; absent where no form is to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ui: Option<Json>,
    /// The span in which the pause stands.
    asked_at_span_id: SpanId,
    /// When it was first asked.
    asked_at: Timestamp,
    /// When waiting ends; absent waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// The payload taken on expiry; absent raises `PauseTimeout` in the flow instead.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    default: Option<Json>,
    /// Where another system posts the answer; of the kind `callback` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Whether it was made ahead: no launch has stood at it so far.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_ahead: bool,
    /// The answer; absent while the request is open or where it raises an exception.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    payload: Option<Json>,
    /// The exception that the answer raises in the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised: Option<crate::Raised>,
    /// When the answer was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resumed_at: Option<Timestamp>,
    /// Who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resumed_by: Option<Answerer>,
    /// Whether question and answer were carried over from a play of another version. The answer counts
    /// once the same is asked here; otherwise it is asked anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_carried: bool,
}

impl From<FlatRequest> for ResumeRequest {
    fn from(flat: FlatRequest) -> Self {
        let outcome = match (flat.raised, flat.payload) {
            (Some(raised), _) => Some(Outcome::Raised(raised)),
            (None, payload) => payload.map(Outcome::Returned),
        };
        let answer = match (outcome, flat.resumed_at, flat.resumed_by) {
            (Some(outcome), Some(resumed_at), Some(resumed_by)) => {
                Some(Answer { outcome, resumed_at, resumed_by })
            }
            _ => None,
        };
        Self {
            id: flat.id,
            name: flat.name,
            kind: flat.kind,
            schema: flat.schema,
            ui: flat.ui,
            asked_at_span_id: flat.asked_at_span_id,
            asked_at: flat.asked_at,
            expires_at: flat.expires_at,
            default: flat.default,
            url: flat.url,
            is_ahead: flat.is_ahead,
            answer,
            is_carried: flat.is_carried,
        }
    }
}

impl From<ResumeRequest> for FlatRequest {
    fn from(request: ResumeRequest) -> Self {
        let (mut payload, mut raised, mut resumed_at, mut resumed_by) = (None, None, None, None);
        if let Some(answer) = request.answer {
            match answer.outcome {
                Outcome::Returned(json) => payload = Some(json),
                Outcome::Raised(exception) => raised = Some(exception),
            }
            resumed_at = Some(answer.resumed_at);
            resumed_by = Some(answer.resumed_by);
        }
        Self {
            id: request.id,
            name: request.name,
            kind: request.kind,
            schema: request.schema,
            ui: request.ui,
            asked_at_span_id: request.asked_at_span_id,
            asked_at: request.asked_at,
            expires_at: request.expires_at,
            default: request.default,
            url: request.url,
            is_ahead: request.is_ahead,
            payload,
            raised,
            resumed_at,
            resumed_by,
            is_carried: request.is_carried,
        }
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for ResumeRequest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ResumeRequest".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        FlatRequest::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> ResumeRequest {
        ResumeRequest {
            id: resume_id("0001", "main", "approve", 1),
            name: "approve".into(),
            kind: RequestKind::Pause,
            schema: None,
            ui: Some(Json::empty_object()),
            asked_at_span_id: SpanId::new("00ff"),
            asked_at: Timestamp(5),
            expires_at: None,
            default: Some(Json::null()),
            url: None,
            is_ahead: false,
            answer: None,
            is_carried: false,
        }
    }

    #[test]
    fn a_null_answer_and_a_null_default_survive_the_wire() {
        let mut request = asked();
        for answer in [None, Some(Json::null())] {
            request.answer = answer.map(|payload| Answer {
                outcome: Outcome::Returned(payload),
                resumed_at: Timestamp(9),
                resumed_by: Answerer::Rpc { uid: 1000 },
            });
            let wire = serde_json::to_string(&request).expect("serialises");
            let back: ResumeRequest = serde_json::from_str(&wire).expect("reads back");
            assert_eq!(back, request, "{wire}");
        }
    }

    #[test]
    fn ids_differ_by_place_name_and_count() {
        let ids: std::collections::BTreeSet<_> = [
            resume_id("1", "main", "a", 1),
            resume_id("1", "main", "a", 2),
            resume_id("1", "main", "b", 1),
            resume_id("1", "main/x:00", "a", 1),
            resume_id("2", "main", "a", 1),
        ]
        .into();
        assert_eq!(ids.len(), 5);
    }
}
