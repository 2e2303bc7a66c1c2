//! `{{inputs.name}}` in the arguments of a version that was saved from a play.
//!
//! Only texts among the arguments are looked at, never code: what is put in is data, and is not looked at
//! again.

use std::collections::{BTreeMap, BTreeSet};

use hero_schema::{FlowField, Json, SavedPlay};

use crate::answer;

/// What a placeholder begins and ends with.
const BEGIN: &str = "{{inputs.";
const END: &str = "}}";

/// Why a template or what is put into it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Two inputs share a name.
    #[error("the input `{0}` is declared twice")]
    Twice(String),
    /// A name with other characters.
    #[error("{0:?} is no name for an input: letters, digits, `_` and `-`")]
    Name(String),
    /// Something that only looks like a placeholder.
    #[error(
        "`{0}` is no placeholder; write `{{{{inputs.NAME}}}}` with letters, digits, `_` and `-`"
    )]
    Malformed(String),
    /// A placeholder of nothing.
    #[error("`{{{{inputs.{0}}}}}` stands for no declared input")]
    Undeclared(String),
    /// An input that nothing comes of.
    #[error(
        "the input `{0}` is used nowhere: it is no parameter of the flow, and no text names it"
    )]
    Unused(String),
    /// An input that may be missing, within a text.
    #[error("the input `{0}` stands within a text, and may be missing: give it a default")]
    MayBeMissing(String),
    /// A value that is no text.
    #[error("the input `{0}` is {1}, which cannot stand within a text")]
    NotText(String, &'static str),
    /// No JSON, or not the JSON it must be.
    #[error("the arguments do not read: {0}")]
    Unreadable(String),
}

/// Whether an input can be called so.
pub fn is_input_name(name: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !name.is_empty() && name.len() <= 128 && name.bytes().all(is_allowed)
}

/// Checks the arguments of a flow against the inputs that are declared for them.
///
/// # Errors
/// Names that are twice or none, placeholders that stand for nothing, inputs that are used nowhere.
pub fn check(arguments: &Json, declared: &[FlowField]) -> Result<(), Misfit> {
    let mut names = BTreeMap::new();
    for field in declared {
        if !is_input_name(&field.name) {
            return Err(Misfit::Name(field.name.clone()));
        }
        if names.insert(field.name.as_str(), field).is_some() {
            return Err(Misfit::Twice(field.name.clone()));
        }
    }
    let mut used = BTreeSet::new();
    walk(arguments, true, &mut |text, is_argument| {
        for part in parts(text)? {
            let Part::Input(name) = part else { continue };
            let field = names.get(name).ok_or_else(|| Misfit::Undeclared(name.to_owned()))?;
            let is_whole = is_argument && whole(text) == Some(name);
            if !is_whole && !field.required && field.default.is_none() {
                return Err(Misfit::MayBeMissing(name.to_owned()));
            }
            used.insert(name.to_owned());
        }
        Ok(Some(None))
    })?;
    match names.keys().find(|name| !used.contains(**name)) {
        Some(name) => Err(Misfit::Unused((*name).to_owned())),
        None => Ok(()),
    }
}

/// The arguments with the inputs in them. A text that is nothing but a placeholder becomes the input
/// itself; an argument whose input is missing, and has no default, is left to the flow.
///
/// # Errors
/// An input within a text that is no text, number or truth value.
pub fn fill(arguments: &Json, declared: &[FlowField], inputs: &Json) -> Result<Json, Misfit> {
    let given: BTreeMap<String, Json> = inputs.read().map_err(unreadable)?;
    let value = |name: &str| {
        let default = || declared.iter().find(|field| field.name == name)?.default.clone();
        given.get(name).cloned().or_else(default)
    };
    let filled = walk(arguments, true, &mut |text, is_argument| {
        if let Some(name) = whole(text) {
            return match value(name) {
                None if is_argument => Ok(None),
                None => Err(Misfit::MayBeMissing(name.to_owned())),
                value => Ok(Some(value)),
            };
        }
        let mut out = String::new();
        for part in parts(text)? {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Input(name) => {
                    let value = value(name).ok_or_else(|| Misfit::MayBeMissing(name.to_owned()))?;
                    out.push_str(&in_a_text(name, &value)?);
                }
            }
        }
        Json::of(&out).map(|text| Some(Some(text))).map_err(unreadable)
    })?;
    Ok(filled.unwrap_or_else(Json::empty_object))
}

/// The arguments of the flow of a version, for what a play of it is given, which fits the version.
///
/// # Errors
/// Why it does not fit the flow, in words.
pub fn arguments(saved: &SavedPlay, declared: &[FlowField], inputs: &Json) -> Result<Json, String> {
    let Some(template) = &saved.arguments else { return Ok(inputs.clone()) };
    let filled = fill(template, declared, inputs).map_err(|misfit| misfit.to_string())?;
    let schema = saved.flow_signature.input_schema.as_ref();
    answer::check(schema, &filled).map_err(|misfit| misfit.to_string())?;
    Ok(filled)
}

/// The placeholder of an input.
pub fn placeholder(name: &str) -> String {
    format!("{BEGIN}{name}{END}")
}

fn in_a_text(name: &str, value: &Json) -> Result<String, Misfit> {
    let not_text = |what| Err(Misfit::NotText(name.to_owned(), what));
    match value.text().trim_start().as_bytes().first() {
        Some(b'"') => value.read().map_err(unreadable),
        Some(b'{') => not_text("an object"),
        Some(b'[') => not_text("a list"),
        Some(b'n') => not_text("null"),
        _ => Ok(value.text().trim().to_owned()),
    }
}

enum Part<'a> {
    Text(&'a str),
    Input(&'a str),
}

/// A text, cut at its placeholders.
fn parts(text: &str) -> Result<Vec<Part<'_>>, Misfit> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, behind) = (&rest[..at], &rest[at + BEGIN.len()..]);
        let malformed = || {
            let shown: String = rest[at..].chars().take(40).collect();
            Misfit::Malformed(shown)
        };
        let end = behind.find(END).ok_or_else(malformed)?;
        let name = &behind[..end];
        if !is_input_name(name) {
            return Err(malformed());
        }
        parts.extend([Part::Text(before), Part::Input(name)]);
        rest = &behind[end + END.len()..];
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// The input that a text is nothing but the placeholder of.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    is_input_name(name).then_some(name)
}

/// What a text becomes: None takes the argument away, `Some(None)` leaves it.
type Become = Result<Option<Option<Json>>, Misfit>;

/// Goes through the texts of a value; numbers keep every digit. `is_argument` tells those that are an
/// argument as a whole.
fn walk(
    value: &Json,
    is_root: bool,
    visit: &mut impl FnMut(&str, bool) -> Become,
) -> Result<Option<Json>, Misfit> {
    walk_at(value, if is_root { 0 } else { 2 }, visit)
}

fn walk_at(
    value: &Json,
    depth: usize,
    visit: &mut impl FnMut(&str, bool) -> Become,
) -> Result<Option<Json>, Misfit> {
    match value.text().trim_start().as_bytes().first() {
        Some(b'"') => {
            let text: String = value.read().map_err(unreadable)?;
            Ok(visit(&text, depth == 1)?.map(|new| new.unwrap_or_else(|| value.clone())))
        }
        Some(b'[') => {
            let items: Vec<Json> = value.read().map_err(unreadable)?;
            let items = items.iter().map(|item| walk_at(item, depth.max(1) + 1, visit));
            let items = items.collect::<Result<Vec<_>, _>>()?;
            Json::of(&items.into_iter().flatten().collect::<Vec<_>>()).map(Some).map_err(unreadable)
        }
        Some(b'{') => {
            let members: BTreeMap<String, Json> = value.read().map_err(unreadable)?;
            let mut walked = BTreeMap::new();
            for (name, member) in members {
                if let Some(member) = walk_at(&member, depth + 1, visit)? {
                    walked.insert(name, member);
                }
            }
            Json::of(&walked).map(Some).map_err(unreadable)
        }
        _ => Ok(Some(value.clone())),
    }
}

fn unreadable(error: serde_json::Error) -> Misfit {
    Misfit::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("JSON")
    }

    fn input(name: &str, default: Option<&str>) -> FlowField {
        FlowField {
            name: name.into(),
            field_type: None,
            description: String::new(),
            required: default.is_none(),
            default: default.map(json),
        }
    }

    fn optional(name: &str) -> FlowField {
        FlowField { required: false, ..input(name, None) }
    }

    #[test]
    fn inputs_are_put_into_texts_and_take_the_place_of_whole_ones() {
        let template = json(
            r#"{"topic": "{{inputs.a}}", "note": "of {{inputs.a}} and {{inputs.b-1}}!", "n": 12345678901234567890.10,
                "list": ["{{inputs.b-1}}", {"deep": "<{{inputs.b-1}}>"}], "{{inputs.key}}": 1}"#,
        );
        let declared = [input("a", None), input("b-1", Some("7.50"))];
        assert_eq!(check(&template, &declared), Ok(()));
        let filled =
            fill(&template, &declared, &json(r#"{"a": "{{inputs.b-1}}"}"#)).expect("fills");
        let expected = r#"{"list":[7.50,{"deep":"<7.50>"}],"n":12345678901234567890.10,"note":"of {{inputs.b-1}} and 7.50!","topic":"{{inputs.b-1}}","{{inputs.key}}":1}"#;
        assert_eq!(
            filled.text(),
            expected,
            "what is put in is not looked at again, and keys are not texts"
        );
    }

    #[test]
    fn whole_values_keep_their_type_and_missing_ones_are_left_to_the_flow() {
        let template =
            json(r#"{"items": "{{inputs.items}}", "limit": "{{inputs.limit}}", "x": 1}"#);
        let declared = [input("items", None), optional("limit")];
        assert_eq!(check(&template, &declared), Ok(()));
        let filled = fill(&template, &declared, &json(r#"{"items": [1, {"a": null}]}"#));
        assert_eq!(filled.expect("fills").text(), r#"{"items":[1, {"a": null}],"x":1}"#);
        let in_text =
            [json(r#"{"t": "{{inputs.limit}} rows"}"#), json(r#"{"t": ["{{inputs.limit}}"]}"#)];
        for template in in_text {
            let misfit = check(&template, &[optional("limit")]);
            assert_eq!(misfit, Err(Misfit::MayBeMissing("limit".into())));
        }
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_name() {
        let a = || input("a", None);
        for (template, declared, expected) in [
            (r#"{"t": "{{inputs.b}}"}"#, vec![], Misfit::Undeclared("b".into())),
            (r#"{"t": "\u007b{inputs.b}}"}"#, vec![], Misfit::Undeclared("b".into())),
            (r#"{"t": "{{inputs.a}}"}"#, vec![a(), a()], Misfit::Twice("a".into())),
            (r#"{"t": "x"}"#, vec![a()], Misfit::Unused("a".into())),
            (r#"{"t": "x"}"#, vec![input("a b", None)], Misfit::Name("a b".into())),
            (r#"{"t": "x"}"#, vec![input("", None)], Misfit::Name(String::new())),
            (r#"{"t": "{{inputs.a b}}"}"#, vec![a()], Misfit::Malformed("{{inputs.a b}}".into())),
            (r#"{"t": "{{inputs.}}"}"#, vec![a()], Misfit::Malformed("{{inputs.}}".into())),
            (r#"{"t": "{{inputs.a"}"#, vec![a()], Misfit::Malformed("{{inputs.a".into())),
        ] {
            assert_eq!(check(&json(template), &declared), Err(expected), "{template}");
        }
        assert_eq!(check(&json(r#"{"t": "{{ other }} {inputs.a}"}"#), &[]), Ok(()));
        for (given, what) in [("[]", "a list"), ("{}", "an object"), ("null", "null")] {
            let inputs = json(&format!(r#"{{"a": {given}}}"#));
            let misfit = fill(&json(r#"{"t": "x{{inputs.a}}"}"#), &[a()], &inputs);
            assert_eq!(misfit, Err(Misfit::NotText("a".into(), what)));
        }
    }
}
