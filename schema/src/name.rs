//! What flows, workflows and pauses may be called.

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 128;

/// The longest idempotency key, in characters.
pub const KEY_CHARS_MAX: usize = 255;

/// Whether the text may be an idempotency key: one line that is not empty.
pub fn is_key(text: &str) -> bool {
    (1..=KEY_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether the text may name a flow or a workflow: `^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`.
///
/// Names stand in paths, URLs and step keys, so none may hold a separator of any of them.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    starts_well
        && text.len() <= NAME_CHARS_MAX
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Whether the text may name a pause: a name, with `[…]` behind it where it stands in a fan-out.
pub fn is_pause_name(text: &str) -> bool {
    match text.split_once('[') {
        None => is_name(text),
        Some((name, index)) => {
            let inside = index.strip_suffix(']');
            is_name(name)
                && text.len() <= NAME_CHARS_MAX
                && inside.is_some_and(|i| {
                    !i.is_empty() && !i.contains(['[', ']']) && i.chars().all(|c| !c.is_control())
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_names() {
        let long = "a".repeat(NAME_CHARS_MAX);
        for good in ["a", "_x", "release.notes-2", "Deploy_1", &long] {
            assert!(is_name(good), "{good}");
        }
        let longer = "a".repeat(NAME_CHARS_MAX + 1);
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "%2e",
            "a|b",
            "a\0",
            "a\n",
            "-rf",
            "1a",
            "é",
            "a\u{202e}b",
            "a b",
            "a[0]",
            &longer,
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_pause_may_carry_an_index() {
        assert!(is_pause_name("approve"));
        assert!(is_pause_name("approve[3]"));
        assert!(is_pause_name("approve[eu-west/1]"));
        for bad in ["approve[]", "approve[1", "[1]", "approve[1]x", "approve[a[b]]", "a[\n]"] {
            assert!(!is_pause_name(bad), "{bad:?}");
        }
    }
}
