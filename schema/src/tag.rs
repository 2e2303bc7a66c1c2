//! Tags: what `flow.annotate` attaches to a span, and what plays are looked for by.

use crate::{Json, canonical};

/// The tags that the runtime reads itself; no play is looked for by them.
pub const OF_THE_RUNTIME: [&str; 4] = [COST_USD, INPUT_TOKENS, OUTPUT_TOKENS, PROGRESS];

/// Money, in US dollars.
pub const COST_USD: &str = "cost_usd";

/// How many tokens a model read.
pub const INPUT_TOKENS: &str = "input_tokens";

/// How many tokens a model wrote.
pub const OUTPUT_TOKENS: &str = "output_tokens";

/// How far a span is.
pub const PROGRESS: &str = "progress";

/// How many tags a play takes from its root flow; further ones stay on the span alone.
pub const OF_A_PLAY_MAX: usize = 64;

/// How long the name and the text of such a tag may be together, in bytes.
pub const BYTES_MAX: usize = 1024;

/// What a tag is compared by: a text by its content, anything else by its canonical JSON. So `3` and
/// `"3"` are found alike.
pub fn text(value: &Json) -> String {
    value.read::<String>().unwrap_or_else(|_| {
        canonical::canonical_json(value.text()).unwrap_or_else(|_| value.text().to_owned())
    })
}

/// Whether a play takes this tag from its root flow.
pub fn is_of_plays(name: &str, value: &Json) -> bool {
    !OF_THE_RUNTIME.contains(&name) && name.len() + text(value).len() <= BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("JSON")
    }

    #[test]
    fn a_text_and_a_number_of_the_same_spelling_are_found_alike() {
        for (value, expected) in [
            (r#""3""#, "3"),
            ("3", "3"),
            ("3.0", "3.0"),
            ("true", "true"),
            (r#"{ "b": 1, "a": [2] }"#, r#"{"a":[2],"b":1}"#),
            (r#""Ø""#, "Ø"),
        ] {
            assert_eq!(text(&json(value)), expected);
        }
    }

    #[test]
    fn what_the_runtime_reads_itself_and_what_is_long_is_no_tag_of_a_play() {
        assert!(is_of_plays("customer", &json(r#""Oslo""#)));
        assert!(!is_of_plays("cost_usd", &json("0.5")));
        assert!(!is_of_plays("progress", &json("{}")));
        assert!(!is_of_plays("note", &json(&format!("\"{}\"", "x".repeat(BYTES_MAX)))));
    }
}
