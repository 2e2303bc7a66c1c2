//! Questions on the terminal: how they are put, and how what is typed becomes a payload.

use std::io;

use hero_schema::ui::{Ui, UiKind};
use hero_schema::{Json, ResumeRequest};
use serde_json::Value;

use crate::output::Paint;
use crate::screen::Screen;
use crate::text::{plain, visible, visible_lines};

/// An answer of the right shape, to be put into the command that gives it.
pub(crate) fn example(request: &ResumeRequest) -> String {
    let ui = Ui::of(request).unwrap_or_default();
    let option = ui.options.first().map_or("…", String::as_str);
    match ui.kind {
        UiKind::Confirm => "true".into(),
        UiKind::Number => "1".into(),
        UiKind::Text => r#""…""#.into(),
        UiKind::Choice => Value::from(option).to_string(),
        UiKind::MultiChoice => Value::from(vec![option]).to_string(),
        UiKind::Json => example_of_type(request).into(),
    }
}

fn example_of_type(request: &ResumeRequest) -> &'static str {
    let schema: Option<Value> = request.schema.as_ref().and_then(|schema| schema.read().ok());
    match schema.as_ref().and_then(|schema| schema.get("type")).and_then(Value::as_str) {
        Some("boolean") => "true",
        Some("integer" | "number") => "1",
        Some("string") => r#""…""#,
        Some("array") => "[…]",
        Some("object") => "{…}",
        _ => "JSON",
    }
}

/// Puts the question until what is typed is an answer; None when the person leaves it open (Ctrl-D).
pub(crate) fn put(
    screen: &mut Screen,
    request: &ResumeRequest,
    paint: Paint,
) -> io::Result<Option<Json>> {
    let ui = Ui::of(request).unwrap_or_default();
    for line in question(request, &ui) {
        screen.write_line(&paint.bold(&line))?;
    }
    loop {
        let Some(typed) = read_answer(screen, &ui)? else { return Ok(None) };
        match payload(&ui, &typed) {
            Ok(payload) => return Ok(Some(payload)),
            Err(wanted) => screen.write_line(&paint.red(&wanted))?,
        }
    }
}

/// The question in one line, for what stays on the screen once it is answered.
pub(crate) fn title(request: &ResumeRequest) -> String {
    let prompt = Ui::of(request).map(|ui| ui.prompt).unwrap_or_default();
    let first = prompt.lines().next().unwrap_or_default();
    visible(if first.is_empty() { &request.name } else { first })
}

fn question(request: &ResumeRequest, ui: &Ui) -> Vec<String> {
    let prompt = if ui.prompt.is_empty() { &request.name } else { &ui.prompt };
    let mut lines: Vec<String> =
        visible_lines(prompt).lines().map(|line| format!("? {line}")).collect();
    let options = ui.options.iter().enumerate();
    lines.extend(options.map(|(index, option)| format!("  {}) {}", index + 1, visible(option))));
    lines
}

fn read_answer(screen: &mut Screen, ui: &Ui) -> io::Result<Option<String>> {
    let prompt = prompt(ui);
    let typed = screen.read_line(&prompt)?;
    if !ui.multiline || ui.kind != UiKind::Text {
        return Ok(typed);
    }
    let Some(mut text) = typed else { return Ok(None) };
    // A dot alone ends it, as in mail(1); so does Ctrl-D.
    while let Some(line) = screen.read_line("> ")?.filter(|line| line != ".") {
        text.push('\n');
        text.push_str(&line);
    }
    Ok(Some(text))
}

fn prompt(ui: &Ui) -> String {
    let shape = match ui.kind {
        UiKind::Confirm => "y/n",
        UiKind::Number => "number",
        UiKind::Choice => "1 of the above",
        UiKind::MultiChoice => "several of the above, as 1,3",
        UiKind::Text if ui.multiline => "text, ended by a line with a dot",
        UiKind::Text => "text",
        UiKind::Json => "JSON",
    };
    match &ui.default {
        Some(default) => format!("  ({shape}) [{}] ", visible(&plain(default))),
        None => format!("  ({shape}) "),
    }
}

/// The payload that was meant, or what was expected. Whether it fits the schema is the server's to
/// say.
fn payload(ui: &Ui, typed: &str) -> Result<Json, String> {
    if let (true, Some(default)) = (typed.is_empty(), &ui.default) {
        return Ok(default.clone());
    }
    let word = typed.trim();
    match ui.kind {
        UiKind::Confirm => yes_or_no(word),
        UiKind::Number => Json::parse(word)
            .ok()
            .filter(|json| json.read::<f64>().is_ok())
            .ok_or("please type a number".into()),
        UiKind::Text => Ok(json_of(typed)),
        UiKind::Choice => chosen(&ui.options, word).map(json_of),
        UiKind::MultiChoice => several(&ui.options, word).map(|options| json_of(&options)),
        UiKind::Json => {
            Json::parse(word).map_err(|e| format!("that is not JSON ({e}); text needs quotes"))
        }
    }
}

fn yes_or_no(word: &str) -> Result<Json, String> {
    match word.to_lowercase().as_str() {
        "y" | "yes" | "true" => Ok(json_of(&true)),
        "n" | "no" | "false" => Ok(json_of(&false)),
        _ => Err("please type y or n".into()),
    }
}

/// An option by its text, else by its number.
fn chosen<'a>(options: &'a [String], word: &str) -> Result<&'a String, String> {
    let by_text = options.iter().find(|option| *option == word);
    let by_number = || word.parse::<usize>().ok().and_then(|n| options.get(n.checked_sub(1)?));
    by_text
        .or_else(by_number)
        .ok_or_else(|| format!("please type a number from 1 to {}", options.len()))
}

fn several<'a>(options: &'a [String], words: &str) -> Result<Vec<&'a String>, String> {
    let words = words.split([',', ' ']).filter(|word| !word.is_empty());
    let mut found: Vec<&String> = Vec::new();
    for word in words {
        let option = chosen(options, word)?;
        if !found.contains(&option) {
            found.push(option);
        }
    }
    Ok(found)
}

fn json_of(value: &(impl serde::Serialize + ?Sized)) -> Json {
    Json::of(&value).expect("text, truth values and lists of text have a JSON form")
}

#[cfg(test)]
mod tests {
    use hero_schema::{RequestKind, ResumeId, SpanId, Timestamp};

    use super::*;

    fn request(schema: Option<&str>, ui: Option<&str>) -> ResumeRequest {
        ResumeRequest {
            id: ResumeId::new("0f"),
            name: "q".into(),
            kind: RequestKind::Pause,
            schema: schema.map(|text| Json::parse(text).expect("JSON")),
            ui: ui.map(|text| Json::parse(text).expect("JSON")),
            asked_at_span_id: SpanId::new("0a"),
            asked_at: Timestamp(0),
            expires_at: None,
            default: None,
            url: None,
            is_ahead: false,
            answer: None,
            is_carried: false,
        }
    }

    #[test]
    fn what_is_typed_becomes_the_payload_that_was_meant() {
        let colours = r#"{"kind":"choice","options":["red","green","2"]}"#;
        let several = r#"{"kind":"multi_choice","options":["red","green"]}"#;
        let cases = [
            (r#"{"kind":"confirm"}"#, "Yes", Some("true")),
            (r#"{"kind":"confirm"}"#, "n", Some("false")),
            (r#"{"kind":"confirm"}"#, "", None),
            (r#"{"kind":"confirm","default":false}"#, "", Some("false")),
            (r#"{"kind":"text"}"#, " a \"b\" ", Some(r#"" a \"b\" ""#)),
            (r#"{"kind":"text"}"#, "", Some(r#""""#)),
            (r#"{"kind":"text","default":"x"}"#, "", Some(r#""x""#)),
            (r#"{"kind":"number"}"#, "-1.50", Some("-1.50")),
            (r#"{"kind":"number"}"#, "1,5", None),
            (r#"{"kind":"number"}"#, "\"1\"", None),
            (colours, "1", Some(r#""red""#)),
            (colours, "green", Some(r#""green""#)),
            (colours, "2", Some(r#""2""#)),
            (colours, "0", None),
            (colours, "4", None),
            (several, "2, 1,2", Some(r#"["green","red"]"#)),
            (several, "", Some("[]")),
            (several, "1 blue", None),
            ("{}", r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            ("{}", "yes", None),
        ];
        for (ui, typed, expected) in cases {
            let ui = Ui::of(&request(None, Some(ui))).expect("a form");
            let meant = payload(&ui, typed).ok();
            assert_eq!(meant.as_ref().map(Json::text), expected, "{ui:?} {typed:?}");
        }
    }

    #[test]
    fn the_example_has_the_shape_of_the_answer() {
        let cases = [
            (None, Some(r#"{"kind":"confirm"}"#), "true"),
            (None, Some(r#"{"kind":"choice","options":["a b"]}"#), r#""a b""#),
            (None, Some(r#"{"kind":"multi_choice","options":["a"]}"#), r#"["a"]"#),
            (Some(r#"{"type":"integer"}"#), None, "1"),
            (Some(r#"{"type":["integer","null"]}"#), None, "JSON"),
            (None, None, "JSON"),
        ];
        for (schema, ui, expected) in cases {
            assert_eq!(example(&request(schema, ui)), expected);
        }
    }

    #[test]
    fn a_question_shows_its_options_and_no_control_characters() {
        let asked = request(
            None,
            Some(r#"{"kind":"choice","prompt":"Which?\nReally\u001b[2J","options":["red"]}"#),
        );
        let ui = Ui::of(&asked).expect("a form");
        assert_eq!(question(&asked, &ui), ["? Which?", "? Really\\u{1b}[2J", "  1) red"]);
        assert_eq!(title(&asked), "Which?");
    }
}
