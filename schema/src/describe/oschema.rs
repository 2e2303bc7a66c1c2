//! `logic.oschema`: every wire type and the service in the oschema language.
//!
//! The language has no place for a comment inside a union or a service, so what is to be said of a
//! variant or a method stands above the type or the service.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{MethodVisitor, catalogue, generator, list, members, prose};
use crate::rpc;

const DEFINITIONS: &str = "/types";
const WIDTH: usize = 100;

const HEAD: &str = "\
# The data of Hero Logic and its service, generated from the types in schema/src: do not edit.
# PROTOCOL.md says what it means. Times are whole microseconds since the Unix epoch, UTC. An object
# with one field, such as { returned: any }, is a variant whose name is that field.
";

/// The text of the document.
pub(super) fn text() -> String {
    let mut generator = generator(DEFINITIONS);
    let sections = catalogue::sections(&mut generator);
    let service = service(&mut generator);
    let types = generator.take_definitions(true);
    let mut out = HEAD.to_owned();
    for section in sections {
        out.push_str(&format!("\n# ---- {} ----\n", section.title));
        for name in section.names {
            out.push('\n');
            out.push_str(&definition(&name, &types));
        }
    }
    out + "\n# ---- The service ----\n\n" + &service
}

fn definition(name: &str, types: &Map<String, Value>) -> String {
    let schema = &types[name];
    let mut out = prose::comment(description(schema), "# ", "# ", WIDTH);
    for variant in list(schema, "oneOf") {
        let line = format!("{}: {}", variant_name(variant), description(variant));
        out.push_str(&prose::comment(&line, "#   ", "#     ", WIDTH));
    }
    if catalogue::ROOT_OBJECTS.contains(&name) {
        out.push_str("# [rootobject]\n");
    }
    out.push_str(&format!("{name} = {}\n", type_of(schema, 0)));
    out
}

/// The word that tells a variant from the others: a literal, a tag, or the name of the one field.
fn variant_name(variant: &Value) -> &str {
    let tag = members(variant).find_map(|(_, _, schema)| schema["const"].as_str());
    let only = members(variant).next().map(|(name, ..)| name);
    variant["const"].as_str().or(tag).or(only).expect("a variant has a name")
}

/// A type expression; `depth` is how far its lines are indented.
fn type_of(schema: &Value, depth: usize) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return if name == "Json" { "any".into() } else { name.into() };
    }
    if let Some(literal) = schema["const"].as_str() {
        return format!("\"{literal}\"");
    }
    // `RemoveRefSiblings` wraps a reference that has a description into an `allOf` of one.
    for wrapper in ["allOf", "anyOf", "oneOf"] {
        let parts = list(schema, wrapper).iter().filter(|part| part["type"] != "null");
        let parts: Vec<String> = parts.map(|part| type_of(part, depth)).collect();
        if !parts.is_empty() {
            return parts.join(" | ");
        }
    }
    match type_word(schema) {
        "string" => literals(schema).unwrap_or_else(|| "str".into()),
        "boolean" => "bool".into(),
        "integer" => integer(schema).into(),
        "number" => "f64".into(),
        "array" => format!("[{}]", type_of(&schema["items"], depth)),
        "object" => object(schema, depth),
        _ => "any".into(),
    }
}

fn object(schema: &Value, depth: usize) -> String {
    if schema["additionalProperties"].is_object() {
        return format!("{{str: {}}}", type_of(&schema["additionalProperties"], depth));
    }
    let fields: Vec<String> = members(schema)
        .map(|(name, is_required, schema)| field(name, is_required, schema, depth + 1))
        .collect();
    match &fields[..] {
        // A variant: one field, and nothing to say beside it.
        [only] if !only.contains(['#', '\n']) => format!("{{ {only} }}"),
        _ => {
            let indent = "    ".repeat(depth);
            let lines: String = fields.iter().map(|line| format!("{indent}    {line}\n")).collect();
            format!("{{\n{lines}{indent}}}")
        }
    }
}

fn field(name: &str, is_required: bool, schema: &Value, depth: usize) -> String {
    let mark = if is_required { "" } else { "?" };
    let declared = format!("{name}{mark}: {}", type_of(schema, depth));
    match description(schema) {
        "" => declared,
        text => format!("{declared}  # {text}"),
    }
}

fn integer(schema: &Value) -> &'static str {
    match schema["format"].as_str() {
        Some("uint32") => "u32",
        Some("uint64") => "u64",
        Some("int32") => "i32",
        _ => "i64",
    }
}

fn literals(schema: &Value) -> Option<String> {
    let words = list(schema, "enum").iter().filter_map(Value::as_str);
    let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    (!words.is_empty()).then(|| words.join(" | "))
}

/// The one JSON type of a schema; of `["string", "null"]` it is `string`.
fn type_word(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(words) => {
            words.iter().filter_map(Value::as_str).find(|word| *word != "null").unwrap_or("null")
        }
        word => word.as_str().unwrap_or(""),
    }
}

fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or("")
}

fn service(generator: &mut SchemaGenerator) -> String {
    let mut lines = Service { generator, comments: String::new(), methods: String::new() };
    rpc::visit_methods(&mut lines);
    let Service { comments, methods, .. } = lines;
    format!(
        "# JSON-RPC 2.0, POST /rpc; on the wire each method is called LogicService.<name>.\n\
         {comments}service LogicService {{\n    \
         version: \"{}\"\n    \
         description: \"Runs Python flows that pause and go on.\"\n{methods}}}\n",
        env!("CARGO_PKG_VERSION")
    )
}

struct Service<'a> {
    generator: &'a mut SchemaGenerator,
    comments: String,
    methods: String,
}

impl MethodVisitor for Service<'_> {
    fn method<P: JsonSchema, R: JsonSchema>(&mut self, name: &'static str, summary: &'static str) {
        let params = P::json_schema(self.generator);
        let params: Vec<String> = members(params.as_value())
            .map(|(name, is_required, schema)| {
                let mark = if is_required { "" } else { "?" };
                format!("{name}{mark}: {}", type_of(schema, 0))
            })
            .collect();
        let result = self.generator.subschema_for::<R>();
        let result = type_of(result.as_value(), 0);
        let said = prose::comment(&format!("{name}: {summary}"), "#   ", "#     ", WIDTH);
        self.comments.push_str(&said);
        let params = params.join(", ");
        self.methods.push_str(&format!("    {name}({params}) -> {result} error: RpcError\n"));
    }
}
