//! Questions as HTML forms, and what a browser sends back as JSON.

use hero_schema::{Json, ResumeRequest};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

/// How a question is drawn; see `ask_user` in the Python package.
#[derive(Deserialize)]
struct Ui {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    options: Vec<Value>,
    #[serde(default)]
    default: Option<Value>,
}

fn ui_of(request: &ResumeRequest) -> Option<Ui> {
    request.ui.as_ref().and_then(|ui| ui.read().ok())
}

/// The form that answers a request. What has no form of its own is answered as JSON.
pub(crate) fn draw(action: &str, request: &ResumeRequest) -> Markup {
    let ui = ui_of(request);
    let prompt = ui.as_ref().and_then(|ui| ui.prompt.as_deref()).unwrap_or(&request.name);
    html! {
        form.question method="post" action=(action) {
            input type="hidden" name="id" value=(request.id.as_str());
            label for=(request.id.as_str()) { (prompt) }
            (fields(ui.as_ref(), request.id.as_str()))
        }
    }
}

fn fields(ui: Option<&Ui>, id: &str) -> Markup {
    let default = ui.and_then(|ui| ui.default.as_ref());
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let default_text = default.map(shown).unwrap_or_default();
    match ui.map(|ui| (ui.kind.as_str(), ui)) {
        Some(("confirm", _)) => html! {
            div.buttons {
                button name="json" value="true" id=(id) { "Yes" }
                button.quiet name="json" value="false" { "No" }
            }
        },
        Some(("choice", ui)) => html! {
            div.buttons {
                @for option in &ui.options {
                    button name="json" value=(option.to_string()) { (shown(option)) }
                }
            }
        },
        Some(("multi_choice", ui)) => html! {
            div.options {
                @for option in &ui.options {
                    label { input type="checkbox" name="item" value=(option.to_string()); " " (shown(option)) }
                }
            }
            input type="hidden" name="list" value="1";
            button { "Answer" }
        },
        Some(("number", _)) => html! {
            input type="number" step="any" name="json" id=(id) value=(default_text) required;
            button { "Answer" }
        },
        Some(("text", _)) => html! {
            textarea name="text" id=(id) rows="4" { (default_text) }
            button { "Answer" }
        },
        _ => html! {
            textarea name="json" id=(id) rows="4" placeholder="JSON" required {
                (default.map(Value::to_string).unwrap_or_default())
            }
            button { "Answer" }
        },
    }
}

/// What a form sent: the request, and the answer as JSON text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) payload_json: String,
}

/// Reads the fields of a form in the order a browser sends them.
pub(crate) fn read(fields: &[(String, String)]) -> Answer {
    let first = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
    let payload_json = if let Some(text) = first("text") {
        // Browsers send line ends as CRLF; a flow expects what it would read from a file.
        Value::from(text.replace("\r\n", "\n")).to_string()
    } else if first("list").is_some() {
        let items =
            fields.iter().filter(|(field, _)| field == "item").map(|(_, value)| value.as_str());
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    } else {
        first("json").cloned().unwrap_or_default()
    };
    Answer { id: first("id").cloned().unwrap_or_default(), payload_json }
}

/// JSON for people: text as it is, all else as JSON.
pub(crate) fn plain(json: &Json) -> String {
    json.read::<String>().unwrap_or_else(|_| json.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[(&str, &str)]) -> String {
        let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        read(&fields).payload_json
    }

    #[test]
    fn each_kind_of_form_sends_json() {
        assert_eq!(answer(&[("json", "true")]), "true");
        assert_eq!(answer(&[("text", "a \"b\"\r\nc")]), r#""a \"b\"\nc""#);
        assert_eq!(answer(&[("item", "\"x\""), ("item", "2"), ("list", "1")]), r#"["x",2]"#);
        assert_eq!(answer(&[("list", "1")]), "[]");
        assert_eq!(answer(&[]), "");
    }
}
