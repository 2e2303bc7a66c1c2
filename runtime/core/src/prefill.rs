//! Which prefilled answer a pause takes.

use std::collections::BTreeMap;

use hero_schema::Json;

/// The entry that answers a pause of this name: the exact name first, then the glob with the longest
/// literal prefix (of equals, the first in order). An entry answers as many pauses as match it.
///
/// In a glob `*` stands for any text and `?` for one character; all else is literal.
pub fn find<'a>(
    entries: &'a BTreeMap<String, Json>,
    pause_name: &str,
) -> Option<(&'a str, &'a Json)> {
    if let Some((pattern, payload)) = entries.get_key_value(pause_name) {
        return Some((pattern, payload));
    }
    let matching =
        entries.iter().filter(|(pattern, _)| is_glob(pattern) && matches(pattern, pause_name));
    // `max_by_key` keeps the last of equals, hence the reversal.
    matching.rev().max_by_key(|(pattern, _)| literal_prefix(pattern)).map(|(p, v)| (p.as_str(), v))
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

fn literal_prefix(pattern: &str) -> usize {
    pattern.find(['*', '?']).unwrap_or(pattern.len())
}

/// Matches greedily, going back only to the latest `*`: linear in practice, and never exponential.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_at, taken_to)) = star else { return false };
                star = Some((star_at, taken_to + 1));
                p = star_at + 1;
                n = taken_to + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(patterns: &[&str]) -> BTreeMap<String, Json> {
        patterns.iter().map(|&p| (p.to_owned(), Json::null())).collect()
    }

    #[test]
    fn the_exact_name_beats_every_glob_and_the_longest_prefix_the_shorter() {
        let all = entries(&["*", "app*", "approve*", "approve", "approve[?]"]);
        let found = |name: &str| find(&all, name).map(|(pattern, _)| pattern);
        assert_eq!(found("approve"), Some("approve"));
        assert_eq!(found("approve[1]"), Some("approve[?]"));
        assert_eq!(found("approve_all"), Some("approve*"));
        assert_eq!(found("apply"), Some("app*"));
        assert_eq!(found("x"), Some("*"));
    }

    #[test]
    fn globs_match_as_in_a_shell() {
        let cases = [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("a?c", "ac", false),
            ("*ab*ab*", "xababx", true),
            ("*ab*ab*", "xabx", false),
            ("?*", "", false),
            ("**", "", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_name_without_stars_is_no_glob() {
        assert_eq!(find(&entries(&["approve.x"]), "approve_x"), None);
    }

    #[test]
    fn a_hostile_pattern_is_answered_at_once() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(2_000)));
    }
}
