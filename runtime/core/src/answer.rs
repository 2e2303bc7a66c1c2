//! Whether a payload answers a request.

use hero_schema::Json;

/// Why a payload does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The payload breaks the schema; one line a place, such as `/amount: "x" is not of type "number"`.
    #[error("{}", .0.join("; "))]
    Payload(Vec<String>),
    /// The schema itself is no JSON Schema.
    #[error("its schema is no valid JSON Schema: {0}")]
    Schema(String),
}

/// How many places of a misfit are told.
const MISFITS_MAX: usize = 5;

/// How much is told of each, in characters: it quotes the payload.
const MISFIT_CHARS_MAX: usize = 300;

/// Checks a payload, or the inputs of a flow, against a JSON Schema (draft 2020-12 unless it says
/// otherwise). No schema accepts everything; references to files or URLs are refused.
///
/// # Errors
/// The payload does not fit, or the schema is none; see [`Misfit`].
pub fn check(schema: Option<&Json>, payload: &Json) -> Result<(), Misfit> {
    let Some(schema) = schema else { return Ok(()) };
    let schema: serde_json::Value = schema.read().map_err(|e| Misfit::Schema(e.to_string()))?;
    let validator =
        jsonschema::validator_for(&schema).map_err(|e| Misfit::Schema(e.to_string()))?;
    let payload: serde_json::Value =
        payload.read().map_err(|e| Misfit::Payload(vec![e.to_string()]))?;
    let places: Vec<String> = validator
        .iter_errors(&payload)
        .take(MISFITS_MAX)
        .map(|error| match error.instance_path().as_str() {
            "" => shortened(error.to_string()),
            place => shortened(format!("{place}: {error}")),
        })
        .collect();
    if places.is_empty() { Ok(()) } else { Err(Misfit::Payload(places)) }
}

/// Checks that a JSON Schema is one.
///
/// # Errors
/// It is none; see [`Misfit::Schema`].
pub fn check_schema(schema: &Json) -> Result<(), Misfit> {
    match check(Some(schema), &Json::null()) {
        Err(misfit @ Misfit::Schema(_)) => Err(misfit),
        _ => Ok(()),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MISFIT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("valid")
    }

    #[test]
    fn a_long_payload_is_quoted_in_part() {
        let long = json(&format!("\"{}\"", "é".repeat(100_000)));
        let misfit = check(Some(&json(r#"{"type":"number"}"#)), &long).expect_err("no number");
        assert!(misfit.to_string().len() < 1000);
    }

    #[test]
    fn a_payload_is_held_to_the_schema() {
        let schema = json(
            r#"{"type":"object","properties":{"amount":{"type":"number"}},"required":["amount"]}"#,
        );
        assert_eq!(check(Some(&schema), &json(r#"{"amount":1.5}"#)), Ok(()));
        let misfit =
            check(Some(&schema), &json(r#"{"amount":"x"}"#)).expect_err("text is no number");
        assert_eq!(misfit.to_string(), r#"/amount: "x" is not of type "number""#);
        assert!(check(Some(&schema), &json("null")).is_err());
    }

    #[test]
    fn without_a_schema_any_json_is_an_answer() {
        for payload in ["null", "0", "\"\"", "false", "[]"] {
            assert_eq!(check(None, &json(payload)), Ok(()));
        }
    }

    #[test]
    fn a_schema_cannot_reach_outside_itself() {
        for reference in ["file:///etc/passwd", "http://127.0.0.1/schema", "other.json"] {
            let schema = json(&format!(r#"{{"$ref":"{reference}"}}"#));
            assert!(
                matches!(check(Some(&schema), &json("1")), Err(Misfit::Schema(_))),
                "{reference}"
            );
        }
    }

    #[test]
    fn what_is_no_schema_is_told_as_such() {
        let schema = json(r#"{"type":"no such type"}"#);
        assert!(matches!(check(Some(&schema), &json("1")), Err(Misfit::Schema(_))));
    }
}
