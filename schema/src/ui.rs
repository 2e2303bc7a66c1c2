//! How a question is drawn: the `ui` of a resume request, as `ask_user` writes it.

use serde::{Deserialize, Serialize};

use crate::{Json, ResumeRequest};

/// What to draw. Members that say nothing for a kind are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ui {
    /// Which form.
    pub kind: UiKind,
    /// The question.
    pub prompt: String,
    /// What the form holds at first; it is not an answer.
    pub default: Option<Json>,
    /// What can be chosen, for `choice` and `multi_choice`.
    pub options: Vec<String>,
    /// Whether `text` has more than one line.
    pub multiline: bool,
}

/// The forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UiKind {
    /// Yes or no.
    Confirm,
    /// Text.
    Text,
    /// A number.
    Number,
    /// One of several.
    Choice,
    /// Any of several.
    MultiChoice,
    /// Any JSON: also what is drawn for a kind that this version does not know.
    #[default]
    #[serde(other)]
    Json,
}

impl Ui {
    /// What to draw for a request; None where no form is to be shown. A `ui` of an unknown shape, or
    /// a choice without options, gives the form that takes any JSON: never a dead end.
    pub fn of(request: &ResumeRequest) -> Option<Self> {
        let ui: Self = request.ui.as_ref()?.read().unwrap_or_default();
        let chooses = matches!(ui.kind, UiKind::Choice | UiKind::MultiChoice);
        let kind = if chooses && ui.options.is_empty() { UiKind::Json } else { ui.kind };
        Some(Self { kind, ..ui })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ui(text: &str) -> Ui {
        serde_json::from_str(text).unwrap_or_default()
    }

    #[test]
    fn what_is_not_known_is_drawn_as_json() {
        let cases = [
            (r#"{"kind":"confirm"}"#, UiKind::Confirm),
            (r#"{"kind":"multi_choice","options":["a"]}"#, UiKind::MultiChoice),
            (r#"{"kind":"hologram"}"#, UiKind::Json),
            ("{}", UiKind::Json),
            (r#"{"kind":7}"#, UiKind::Json),
            ("[]", UiKind::Json),
        ];
        for (text, kind) in cases {
            assert_eq!(ui(text).kind, kind, "{text}");
        }
    }
}
