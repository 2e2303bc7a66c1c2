//! Holds the generated documents to the types, and both to the languages that they are written in.

mod oschema;

use std::collections::BTreeSet;

use hero_schema::{ErrorKind, describe, rpc};
use serde_json::Value;

#[test]
fn both_documents_are_current() {
    for document in describe::documents() {
        let stored = std::fs::read_to_string(&document.path).unwrap_or_default();
        assert!(
            stored == document.text,
            "`{}` is not what the types say\nhint: cargo run -p hero_schema --features describe --example generate",
            document.path.display()
        );
    }
}

#[test]
fn the_oschema_defines_every_name_that_it_uses_and_each_once() {
    let schema = oschema::check(include_str!("../../logic.oschema")).expect("well-formed");
    for root in ["Workflow", "WorkflowVersion", "Play", "ResumeRequest"] {
        assert!(schema.root_objects.contains(root), "`{root}` is no root object");
    }
    for wire in ["Span", "Frame", "Reply", "LaunchOrder", "RpcError"] {
        assert!(schema.types.contains(wire), "`{wire}` is missing");
    }
}

#[test]
fn what_the_language_refuses_is_refused() {
    let cases = [
        ("User = { id: u64, name: str }", "1:17: expected `}`, found `,`"),
        ("Kind = step | rpc", "`rpc` is not defined"),
        ("A = str\nA = u8", "`A` is defined twice"),
        ("A = { x: str x: str }", "1:14: expected `}`, found `x`"),
        ("A = { x: str\n x: u8 }", "`A.x` is defined twice"),
        ("A = {\n  # a word alone\n  x: str\n}", "2:3: expected `}`, found a comment"),
        ("A = \"open", "1:5: expected a closing `\"`"),
        ("A = [str", "1:9: expected `]`, found the end"),
        ("A = { x: str @unique }", "1:14: expected `}`, found `@`"),
        ("A = { x: int }", "`int` is not defined"),
        ("service S { m() -> B }", "`B` is not defined"),
        ("service S { m() error: }", "1:24: expected a type, found `}`"),
        ("service S { m(a: str b: str) }", "1:22: expected `)`, found `b`"),
        ("service S { m()\n m() }", "`S.m` is defined twice"),
    ];
    for (text, expected) in cases {
        assert_eq!(oschema::check(text).err().as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_the_language_allows_is_allowed() {
    for text in [
        "",
        "# a comment\nA = { id: sid  # its id\n  n?: u32 = 3\n  m: {str: [A]} }",
        "# [rootobject]\nA = \"a\" | \"b\"\nB = {} | (A, str)",
        "K : str = \"a\" | \"b\"",
        "service S {\n version: \"1\"\n m(a: str, b?: [u8]) -> any error: E | F\n n()\n}\nE = str\nF = str",
    ] {
        assert_eq!(oschema::check(text).map(|_| ()), Ok(()), "{text}");
    }
}

#[test]
fn both_documents_tell_of_every_method_and_of_no_other() {
    let schema = oschema::check(include_str!("../../logic.oschema")).expect("well-formed");
    let expected: BTreeSet<String> =
        rpc::METHODS.iter().map(|m| format!("{}{}", rpc::PREFIX, m.name)).collect();
    assert_eq!(schema.methods, expected);
    let open_rpc = open_rpc();
    let methods = open_rpc["methods"].as_array().expect("a list").iter();
    let named: BTreeSet<String> =
        methods.map(|m| m["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(named, expected);
}

#[test]
fn every_reference_of_the_open_rpc_document_leads_somewhere() {
    let document = open_rpc();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > ErrorKind::ALL.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "`{reference}` leads nowhere");
    }
}

#[test]
fn the_open_rpc_document_tells_of_every_error_kind_with_its_code() {
    let document = open_rpc();
    let errors = document["components"]["errors"].as_object().expect("an object");
    assert_eq!(errors.len(), ErrorKind::ALL.len());
    for kind in ErrorKind::ALL {
        let error = &errors[kind.word()];
        assert_eq!(error["code"], kind.code(), "{kind}");
        assert_eq!(error["message"], kind.meaning(), "{kind}");
        assert_eq!(error["data"]["kind"], kind.word());
    }
}

#[test]
fn required_parameters_come_before_optional_ones_and_say_what_they_are() {
    for method in open_rpc()["methods"].as_array().expect("a list") {
        let params = method["params"].as_array().expect("a list");
        let required: Vec<bool> =
            params.iter().map(|p| p["required"].as_bool().expect("a bool")).collect();
        assert!(required.is_sorted_by(|a, b| a >= b), "{}", method["name"]);
        assert!(params.iter().all(|p| p["description"].is_string()), "{}", method["name"]);
    }
}

fn open_rpc() -> Value {
    serde_json::from_str(include_str!("../../openrpc.json")).expect("JSON")
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.push(reference.clone());
            }
            members.values().for_each(|member| collect_references(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, references)),
        _ => {}
    }
}
