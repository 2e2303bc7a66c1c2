//! Doc comments, written for readers of Rust, as prose for readers of a document.

use schemars::Schema;
use schemars::transform::transform_subschemas;

/// Rewrites every description of a schema and of what lies in it.
pub(super) fn for_readers_of_a_document(schema: &mut Schema) {
    if let Some(description) = schema.get("description").and_then(|text| text.as_str()) {
        let description = plain(description);
        schema.insert("description".into(), description.into());
    }
    transform_subschemas(&mut for_readers_of_a_document, schema);
}

/// One line: paragraphs joined, links to items reduced to their names.
pub(super) fn plain(doc: &str) -> String {
    let text = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut parts = text.split("[`");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (link, rest) = part.split_once("`]").unwrap_or((part, ""));
        out.push_str(&format!("`{}`{rest}", name_of(link)));
    }
    out
}

/// `crate::step::step_key` is `step_key`, and `SpanEvent::Hello` stays.
fn name_of(link: &str) -> &str {
    let mut start = 0;
    for (at, separator) in link.match_indices("::") {
        if !link[start..].starts_with(char::is_uppercase) {
            start = at + separator.len();
        }
    }
    &link[start..]
}

/// Comment lines of at most `width` characters.
pub(super) fn comment(text: &str, first: &str, next: &str, width: usize) -> String {
    let mut lines = vec![first.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("begins with one");
        let is_fresh = line.len() == first.len() || line.len() == next.len();
        if !is_fresh && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("{next}{word}"));
        } else {
            line.push_str(if line.ends_with(' ') { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_items_become_their_names() {
        assert_eq!(
            plain("See\n[`crate::step::step_key`], and\n\n[`SpanEvent::Hello`]."),
            "See `step_key`, and `SpanEvent::Hello`."
        );
        assert_eq!(plain("`None` waits [for ever]"), "`None` waits [for ever]");
    }
}
