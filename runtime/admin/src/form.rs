//! Questions as HTML forms, and what a browser sends back as JSON.

use hero_schema::ui::{Ui, UiKind};
use hero_schema::{Json, ResumeRequest};
use maud::{Markup, html};
use serde_json::Value;

/// The form that answers a request. What has no form of its own is answered as JSON.
pub(crate) fn draw(action: &str, request: &ResumeRequest) -> Markup {
    let ui = Ui::of(request).unwrap_or_default();
    let prompt = if ui.prompt.is_empty() { &request.name } else { &ui.prompt };
    html! {
        form.question method="post" action=(action) {
            input type="hidden" name="id" value=(request.id.as_str());
            label for=(request.id.as_str()) { (prompt) }
            (fields(&ui, request.id.as_str()))
        }
    }
}

fn fields(ui: &Ui, id: &str) -> Markup {
    let default = ui.default.as_ref();
    let json = |option: &str| Value::from(option).to_string();
    match ui.kind {
        UiKind::Confirm => html! {
            div.buttons {
                button name="json" value="true" id=(id) { "Yes" }
                button.quiet name="json" value="false" { "No" }
            }
        },
        UiKind::Choice => html! {
            div.buttons {
                @for option in &ui.options {
                    button name="json" value=(json(option)) { (option) }
                }
            }
        },
        UiKind::MultiChoice => html! {
            div.options {
                @for option in &ui.options {
                    label { input type="checkbox" name="item" value=(json(option)); " " (option) }
                }
            }
            input type="hidden" name="list" value="1";
            button { "Answer" }
        },
        UiKind::Number => html! {
            input type="number" step="any" name="json" id=(id) value=[default.map(plain)] required;
            button { "Answer" }
        },
        UiKind::Text => html! {
            textarea name="text" id=(id) rows=(if ui.multiline { "8" } else { "2" }) {
                (default.map(plain).unwrap_or_default())
            }
            button { "Answer" }
        },
        UiKind::Json => html! {
            textarea name="json" id=(id) rows="4" placeholder="JSON" required {
                (default.map(Json::text).unwrap_or_default())
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
