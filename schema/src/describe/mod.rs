//! Documents that are generated from the types: `openrpc.json` and `logic.oschema`.
//!
//! Only the generator (`cargo run -p hero_schema --features describe --example generate`) and the tests
//! need this; no program does. It reads types and writes text, and never looks at a file.

mod catalogue;
mod openrpc;
mod oschema;
mod prose;

use std::path::{Path, PathBuf};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::ErrorKind;

/// Is shown every method of `LogicService` by [`crate::rpc::visit_methods`].
pub trait MethodVisitor {
    /// A method with its parameters `P` and its result `R`.
    fn method<P: JsonSchema, R: JsonSchema>(&mut self, name: &'static str, summary: &'static str);
}

/// A generated file.
pub struct Document {
    /// Where it is kept.
    pub path: PathBuf,
    /// What it must hold.
    pub text: String,
}

/// Every generated file, as it must be now.
pub fn documents() -> [Document; 2] {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    [
        Document { path: room.join("openrpc.json"), text: openrpc::text() },
        Document { path: room.join("logic.oschema"), text: oschema::text() },
    ]
}

/// The `error` of a JSON-RPC response.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RpcError")]
struct ErrorObject {
    /// The code of the kind.
    code: i64,
    /// For people: what was tried, on what, and why it failed.
    message: String,
    /// What programs and people go on with.
    data: ErrorData,
}

/// What is beside code and message in an error.
#[derive(JsonSchema, Serialize)]
struct ErrorData {
    /// For programs to branch on.
    kind: ErrorKind,
    /// For people: what to do; absent where the message says it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Draft 7 is what OpenRPC 1.3 prescribes.
fn generator(definitions_path: &'static str) -> SchemaGenerator {
    SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = definitions_path.into())
        .with_transform(prose::for_readers_of_a_document)
        .into_generator()
}

/// The members of an object schema: name, whether it must be there, schema. Required ones come
/// first, in the order of the struct; the others by name.
fn members(object: &Value) -> impl Iterator<Item = (&str, bool, &Value)> {
    let required: Vec<&str> = list(object, "required").iter().filter_map(Value::as_str).collect();
    let properties = object["properties"].as_object();
    let first = required.clone().into_iter().map(|name| (name, true, &object["properties"][name]));
    let rest =
        properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), false, schema));
    first.chain(rest.filter(move |(name, ..)| !required.contains(name)))
}

fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
    schema[key].as_array().map_or(&[], Vec::as_slice)
}
