//! Holds `PROTOCOL.md` to the constants and types: each table must have their rows, all of them, in their
//! order, and no other; each example must read as what it is an example of.
//!
//! The two tables of a play's life are held by the tests of `runtime/core`.

use std::collections::BTreeMap;

use hero_schema::child::LaunchOrder;
use hero_schema::describe::MethodVisitor;
use hero_schema::frame::{FRAME_BYTES_MAX, Frame, Reply, SpanEvent};
use hero_schema::{
    ErrorKind, FailureKind, Json, Outcome, PlayStatus, RequestKind, SpanKind, SpanStatus,
    canonical, env, exit, name, resume, rpc, step,
};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;

const PROTOCOL: &str = include_str!("../PROTOCOL.md");

#[test]
fn the_environment_tables_list_every_variable() {
    assert_eq!(column("| variable | holds |", 0), env::CHILD);
    assert_eq!(column("| variable | sets |", 0), env::OPERATOR);
    assert_eq!(column("| variable |", 0), env::INHERITED);
}

#[test]
fn the_table_of_exit_codes_lists_every_code_with_its_name() {
    let told = table("| code | name | a launch | `hero_logic` |");
    let told: Vec<_> =
        told.iter().map(|row| (row[0].parse().expect("a code"), row[1].as_str())).collect();
    assert_eq!(told, exit::ALL);
}

#[test]
fn the_table_of_error_kinds_says_what_the_kinds_say_of_themselves() {
    let expected: Vec<_> = ErrorKind::ALL
        .iter()
        .map(|kind| {
            vec![kind.code().to_string(), kind.word().to_owned(), kind.meaning().to_owned()]
        })
        .collect();
    assert_eq!(table("| code | kind | meaning |"), expected);
}

#[test]
fn the_tables_of_words_list_every_word() {
    assert_eq!(column("| status | means |", 0), PlayStatus::ALL.map(PlayStatus::word));
    assert_eq!(column("| status | means |", 0), words::<PlayStatus>());
    assert_eq!(column("| kind | who answers |", 0), words::<RequestKind>());
    assert_eq!(column("| failure kind | means |", 0), words::<FailureKind>());
    assert_eq!(column("| span kind | stands for |", 0), words::<SpanKind>());
    assert_eq!(column("| span status | means |", 0), words::<SpanStatus>());
    assert_eq!(column("| event | acknowledged | tells |", 0), words::<SpanEvent>());
}

#[test]
fn the_table_of_methods_says_what_the_types_say() {
    let mut expected = Methods(Vec::new());
    rpc::visit_methods(&mut expected);
    let told = table("| method | parameters | result | does |");
    assert_eq!(told.len(), rpc::METHODS.len());
    for (told, expected) in told.iter().zip(&expected.0) {
        assert_eq!(told, expected);
    }
}

#[test]
fn the_table_of_limits_gives_the_limits() {
    let expected = [
        FRAME_BYTES_MAX,
        rpc::BODY_BYTES_MAX,
        rpc::CALLBACK_BYTES_MAX,
        rpc::PAGE_LIMIT_MAX as usize,
        canonical::DEPTH_MAX,
        name::NAME_CHARS_MAX,
    ];
    assert_eq!(column("| what | limit |", 1), expected.map(|limit| limit.to_string()));
}

#[test]
fn the_key_vectors_hold() {
    for row in table("| version_sid | parent_path | flow_name | arguments | call | step_key |") {
        let call = row[4].parse().expect("a number");
        let key = step::step_key(&row[0], &row[1], &row[2], &row[3], call).expect("canonical");
        assert_eq!(key.as_str(), row[5], "{row:?}");
    }
    for row in table("| version_sid | span_path | name | n | resume_id |") {
        let id = resume::resume_id(&row[0], &row[1], &row[2], row[3].parse().expect("a number"));
        assert_eq!(id.as_str(), row[4], "{row:?}");
    }
    for row in table("| text | canonical |") {
        assert_eq!(canonical::canonical_json(&row[0]).as_ref(), Ok(&row[1]));
    }
}

#[test]
fn every_example_reads_as_what_it_is_an_example_of() {
    assert_eq!(examples::<LaunchOrder>("launch order").len(), 1);
    assert_eq!(examples::<BTreeMap<String, Outcome>>("outcomes").len(), 2);
    assert_eq!(examples::<Reply>("replies").len(), 4);
    let frames = examples::<Frame>("frames");
    let told: Vec<String> = frames.iter().map(|frame| only_key(&frame.event)).collect();
    for word in words::<SpanEvent>() {
        assert!(told.contains(&word), "no example of `{word}`");
    }
    let mut n_told = 0;
    for frame in frames {
        assert_eq!(frame.seq, n_told);
        n_told += match frame.event {
            SpanEvent::Replayed(replayed) => replayed.ran_as.iter().map(|range| range.n).sum(),
            _ => 1,
        };
    }
}

#[test]
fn links_within_the_document_lead_to_its_headings() {
    let headings: Vec<String> = PROTOCOL
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(['.', ','], "").replace(' ', "-"))
        .collect();
    let links: Vec<&str> =
        PROTOCOL.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() >= headings.len());
    for link in links {
        assert!(headings.iter().any(|heading| heading == link), "`#{link}` leads nowhere");
    }
}

/// The rows under a head line, as the texts of their cells without code marks.
fn table(head: &str) -> Vec<Vec<String>> {
    let mut lines = PROTOCOL.lines().skip_while(|line| *line != head);
    assert_eq!(lines.next(), Some(head), "PROTOCOL.md has no such table");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let inside = row.trim_matches('|');
        let code = |cell: &str| match cell.matches('`').count() {
            2 => cell.trim_matches('`').to_owned(),
            _ => cell.to_owned(),
        };
        inside.split('|').map(|cell| code(cell.trim())).collect()
    };
    rows.map(cells).collect()
}

fn column(head: &str, index: usize) -> Vec<String> {
    table(head).into_iter().map(|mut row| row.swap_remove(index)).collect()
}

/// The words of a wire enum, from its own description, so that none can be forgotten.
fn words<T: JsonSchema>() -> Vec<String> {
    let schema = schema_for!(T);
    let variants = schema.get("oneOf").and_then(|variants| variants.as_array()).expect("an enum");
    let word = |variant: &serde_json::Value| match variant["const"].as_str() {
        Some(word) => word.to_owned(),
        None => variant["required"][0].as_str().expect("a variant with data").to_owned(),
    };
    variants.iter().map(word).collect()
}

/// The lines of the fenced blocks of this kind. What a type does not know would be lost when it is
/// written again, so an example with a misspelt field fails.
fn examples<T: DeserializeOwned + Serialize>(kind: &str) -> Vec<T> {
    let fence = format!("```json {kind}\n");
    let blocks = PROTOCOL.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines);
    lines
        .map(|line| {
            let example: T = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let again = Json::of(&example).expect("JSON");
            assert_eq!(again, Json::parse(line).expect("JSON"));
            example
        })
        .collect()
}

fn only_key(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).expect("JSON");
    value.as_object().and_then(|members| members.keys().next()).expect("one field").clone()
}

struct Methods(Vec<Vec<String>>);

impl MethodVisitor for Methods {
    fn method<P: JsonSchema, R: JsonSchema>(&mut self, name: &'static str, summary: &'static str) {
        let params = schema_for!(P);
        let required = params.get("required").and_then(|names| names.as_array()).cloned();
        let required: Vec<&str> =
            required.iter().flatten().filter_map(|name| name.as_str()).collect();
        let all = params.get("properties").and_then(|members| members.as_object());
        let optional = all.into_iter().flatten().map(|(name, _)| name.as_str());
        let optional =
            optional.filter(|name| !required.contains(name)).map(|name| format!("`{name}?`"));
        let params: Vec<String> =
            required.iter().map(|name| format!("`{name}`")).chain(optional).collect();
        let params = match &params[..] {
            [only] => only.trim_matches('`').to_owned(),
            _ => params.join(", "),
        };
        let result = match R::schema_name().strip_prefix("Array_of_") {
            Some(item) => format!("[{item}]"),
            None => R::schema_name().into_owned(),
        };
        self.0.push(vec![name.into(), params, result, summary.into()]);
    }
}
