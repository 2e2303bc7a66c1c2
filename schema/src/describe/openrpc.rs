//! `openrpc.json`: the methods of `LogicService` as OpenRPC 1.3 (<https://spec.open-rpc.org>).

use std::collections::BTreeMap;

use schemars::transform::{RemoveRefSiblings, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ErrorData, ErrorObject, MethodVisitor, generator, members, prose};
use crate::{ErrorKind, rpc};

const INFO: Info = Info {
    title: "Hero Logic",
    version: env!("CARGO_PKG_VERSION"),
    description: "Runs Python flows that pause and go on. JSON-RPC 2.0 by POST /rpc over HTTP on a \
                  Unix socket; parameters by name; times are whole microseconds since the Unix epoch.",
};

/// The text of the document.
pub(super) fn text() -> String {
    let mut collector = Collector { generator: generator("/components/schemas"), methods: vec![] };
    rpc::visit_methods(&mut collector);
    let Collector { mut generator, methods } = collector;
    let errors = ErrorKind::ALL.iter().map(|&kind| (kind.word(), error(kind))).collect();
    let components = Components { schemas: generator.take_definitions(true), errors };
    let document = OpenRpc { openrpc: "1.3.2", info: INFO, methods, components };
    serde_json::to_string_pretty(&document).expect("plain data prints") + "\n"
}

/// A struct for each object, so that the file shows its members in this order.
#[derive(Serialize)]
struct OpenRpc {
    openrpc: &'static str,
    info: Info,
    methods: Vec<Method>,
    components: Components,
}

#[derive(Serialize)]
struct Info {
    title: &'static str,
    version: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Method {
    name: String,
    summary: &'static str,
    param_structure: &'static str,
    params: Vec<ContentDescriptor>,
    result: ContentDescriptor,
    errors: Vec<Reference>,
}

#[derive(Serialize)]
struct ContentDescriptor {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    required: bool,
    schema: Schema,
}

#[derive(Serialize)]
struct Reference {
    #[serde(rename = "$ref")]
    to: String,
}

#[derive(Serialize)]
struct Components {
    schemas: Map<String, Value>,
    errors: BTreeMap<&'static str, ErrorObject>,
}

struct Collector {
    generator: SchemaGenerator,
    methods: Vec<Method>,
}

impl MethodVisitor for Collector {
    fn method<P: JsonSchema, R: JsonSchema>(&mut self, name: &'static str, summary: &'static str) {
        let params = P::json_schema(&mut self.generator);
        let result = self.generator.subschema_for::<R>();
        self.methods.push(Method {
            name: format!("{}{name}", rpc::PREFIX),
            summary,
            param_structure: "by-name",
            params: params_of(&params),
            result: ContentDescriptor {
                name: "result".into(),
                description: String::new(),
                required: true,
                schema: result,
            },
            errors: ErrorKind::ALL.iter().map(|kind| reference_to(*kind)).collect(),
        });
    }
}

/// The members of the parameter object: the required ones first, as OpenRPC demands.
fn params_of(object: &Schema) -> Vec<ContentDescriptor> {
    members(object.as_value())
        .map(|(name, required, schema)| {
            let mut schema: Schema = schema.clone().try_into().expect("a property is a schema");
            let description = match schema.remove("description") {
                Some(Value::String(text)) => prose::plain(&text),
                _ => String::new(),
            };
            RemoveRefSiblings::default().transform(&mut schema);
            ContentDescriptor { name: name.to_owned(), description, required, schema }
        })
        .collect()
}

fn error(kind: ErrorKind) -> ErrorObject {
    ErrorObject {
        code: kind.code(),
        message: kind.meaning().to_owned(),
        data: ErrorData { kind, hint: None },
    }
}

fn reference_to(kind: ErrorKind) -> Reference {
    Reference { to: format!("#/components/errors/{kind}") }
}
