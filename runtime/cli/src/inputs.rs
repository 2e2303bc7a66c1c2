//! What `run` hands to a flow: arguments and answers given ahead, from the command line and from files.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use hero_schema::rpc::InputDeclaration;
use hero_schema::{ErrorKind, FieldType, Json, RpcError};

/// `KEY=VALUE` as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    key: String,
    value: String,
}

/// Reads `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    let (key, value) = split(text)?;
    Ok(Pair { key: key.into(), value: value.into() })
}

/// Reads `NAME=JSON`.
pub(crate) fn named_json(text: &str) -> Result<(String, Json), String> {
    let (name, value) = split(text)?;
    let payload = Json::parse(value)
        .map_err(|_| format!("`{value}` is not JSON; text is written '{name}=\"{value}\"'"))?;
    Ok((name.into(), payload))
}

/// Reads `NAME=VALUE`: JSON where it parses, else text.
pub(crate) fn tag(typed: &str) -> Result<(String, Json), String> {
    let (name, value) = split(typed)?;
    Ok((name.into(), Json::parse(value).unwrap_or_else(|_| text(value))))
}

/// Reads `NAME[:TYPE][=DEFAULT]`.
pub(crate) fn declaration(typed: &str) -> Result<InputDeclaration, String> {
    let (head, default) = match typed.split_once('=') {
        Some((head, default)) => (head, Some(default)),
        None => (typed, None),
    };
    let (name, kind) = match head.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (head, None),
    };
    let types = ["string", "number", "integer", "boolean", "object", "array"];
    let field_type = kind
        .map(|kind| text(kind).read::<FieldType>())
        .transpose()
        .map_err(|_| format!("the type is one of {}", types.join(", ")))?;
    let default = default.map(|typed| match field_type {
        Some(FieldType::String) => text(typed),
        _ => Json::parse(typed).unwrap_or_else(|_| text(typed)),
    });
    Ok(InputDeclaration { name: name.into(), field_type, description: String::new(), default })
}

fn split(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=') {
        None => Err("there is no `=` in it".into()),
        Some(("", _)) => Err("there is nothing before the `=`".into()),
        Some(halves) => Ok(halves),
    }
}

/// The arguments of a flow.
///
/// A typed value is JSON where it parses, else text. What parses may still be meant as text
/// (`version=1.0` for a `str`), and only the flow knows: [`Inputs::take_as_text`].
#[derive(Debug)]
pub(crate) struct Inputs {
    values: BTreeMap<String, Json>,
    /// Typed values that parse as JSON and are not taken as text so far.
    ambiguous: BTreeMap<String, String>,
}

impl Inputs {
    /// The arguments of a file, replaced or completed by the typed ones.
    pub(crate) fn read(file: Option<&Path>, typed: &[Pair]) -> Result<Self, RpcError> {
        let values = file.map_or(Ok(BTreeMap::new()), object_in)?;
        let mut inputs = Self { values, ambiguous: BTreeMap::new() };
        let mut seen = std::collections::BTreeSet::new();
        for Pair { key, value } in typed {
            if !seen.insert(key) {
                let message = format!("input `{key}` is given twice");
                return Err(RpcError::new(ErrorKind::InvalidParams, message)
                    .hint(format!("a list is one value: -i '{key}=[\"one\", \"two\"]'")));
            }
            inputs.add(key, value);
        }
        Ok(inputs)
    }

    fn add(&mut self, key: &str, typed: &str) {
        match Json::parse(typed) {
            Ok(json) => {
                if !json.text().starts_with('"') {
                    self.ambiguous.insert(key.into(), typed.into());
                }
                self.values.insert(key.into(), json);
            }
            Err(_) => {
                self.values.insert(key.into(), text(typed));
            }
        }
    }

    /// The arguments as one JSON object.
    pub(crate) fn json(&self) -> Json {
        Json::of(&self.values).expect("a map of JSON by text is JSON")
    }

    /// Turns the typed values whose places a misfit names into text, and returns their names. A
    /// misfit names a place as `/version: 1.0 is not of type "string"`.
    pub(crate) fn take_as_text(&mut self, misfit: &str) -> Vec<String> {
        let (meant_as_text, rest) = std::mem::take(&mut self.ambiguous)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(key, _)| names(misfit, key));
        self.ambiguous = rest;
        for (key, typed) in &meant_as_text {
            self.values.insert(key.clone(), text(typed));
        }
        meant_as_text.into_keys().collect()
    }
}

/// Whether a misfit names the place of this input.
pub(crate) fn names(misfit: &str, key: &str) -> bool {
    // As a JSON pointer spells it, RFC 6901.
    let place = format!("/{}: ", key.replace('~', "~0").replace('/', "~1"));
    misfit.match_indices(&place).any(|(at, _)| at == 0 || misfit[..at].ends_with(' '))
}

/// The answers given ahead: those of a file, replaced or completed by the typed ones.
pub(crate) fn prefills(
    file: Option<&Path>,
    typed: &[(String, Json)],
) -> Result<BTreeMap<String, Json>, RpcError> {
    let mut entries = file.map_or(Ok(BTreeMap::new()), object_in)?;
    entries.extend(typed.iter().cloned());
    Ok(entries)
}

fn text(typed: &str) -> Json {
    Json::of(&typed).expect("text has a JSON form")
}

fn object_in(file: &Path) -> Result<BTreeMap<String, Json>, RpcError> {
    let shown = file.display();
    let content = read_text(file).map_err(|error| {
        RpcError::new(ErrorKind::FileUnreadable, format!("failed to read `{shown}`: {error}"))
            .hint("give the path of a readable UTF-8 file, or `-` for standard input")
    })?;
    serde_json::from_str(&content).map_err(|error| {
        RpcError::new(ErrorKind::InvalidParams, format!("`{shown}` is no JSON object: {error}"))
            .hint("it must hold one object, such as {\"name\": \"value\"}")
    })
}

fn read_text(file: &Path) -> std::io::Result<String> {
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file);
    }
    let mut content = String::new();
    std::io::stdin().read_to_string(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(typed: &[&str]) -> Inputs {
        let pairs: Vec<Pair> = typed.iter().map(|text| pair(text).expect("a pair")).collect();
        Inputs::read(None, &pairs).expect("reads")
    }

    #[test]
    fn a_typed_value_is_json_where_it_parses_and_else_text() {
        let cases = [
            ("n=2", r#"{"n":2}"#),
            ("n=3 musketeers", r#"{"n":"3 musketeers"}"#),
            ("n=\"2\"", r#"{"n":"2"}"#),
            ("n=", r#"{"n":""}"#),
            ("n=a=b", r#"{"n":"a=b"}"#),
            ("n=NaN", r#"{"n":"NaN"}"#),
            ("n=9007199254740993", r#"{"n":9007199254740993}"#),
            ("n=[1,{\"a\":null}]", r#"{"n":[1,{"a":null}]}"#),
            ("n='x'", r#"{"n":"'x'"}"#),
        ];
        for (typed, expected) in cases {
            assert_eq!(inputs(&[typed]).json().text(), expected, "{typed}");
        }
    }

    #[test]
    fn what_the_flow_wants_as_text_becomes_the_text_that_was_typed() {
        let mut inputs = inputs(&["version=1.0", "n=3", "a/b=true"]);
        let misfit = r#"the inputs do not fit `f`: /version: 1.0 is not of type "string"; /a~1b: true is not of type "string""#;
        assert_eq!(inputs.take_as_text(misfit), ["a/b", "version"]);
        assert_eq!(inputs.json().text(), r#"{"a/b":"true","n":3,"version":"1.0"}"#);
        assert!(inputs.take_as_text(misfit).is_empty(), "each value once");
    }

    #[test]
    fn a_declaration_has_a_name_and_perhaps_a_type_and_a_default() {
        let read = |typed: &str| declaration(typed).expect("reads");
        let default = |typed: &str| read(typed).default.expect("it has one").text().to_owned();
        assert_eq!(
            (read("n").name, read("n").field_type, read("n").default),
            ("n".into(), None, None)
        );
        assert_eq!(read("n:integer").field_type, Some(FieldType::Integer));
        assert_eq!(default("n:integer=3"), "3");
        assert_eq!(default("n:string=3"), "\"3\"");
        assert_eq!(default("n=a=b:c"), "\"a=b:c\"");
        assert_eq!(default("n="), "\"\"");
        assert!(declaration("n:text").expect_err("no type").contains("boolean"));
    }

    #[test]
    fn a_place_is_named_whole() {
        assert!(names("/n: 1 is not", "n"));
        assert!(!names("/n/0: 1 is not", "n"));
        assert!(!names("/x/n: 1 is not", "n"));
        assert!(!names("/nn: 1 is not", "n"));
    }

    #[test]
    fn a_key_that_is_given_twice_is_refused() {
        let pairs = [pair("a=1").expect("a pair"), pair("a=2").expect("a pair")];
        let error = Inputs::read(None, &pairs).expect_err("twice");
        assert!(error.message.contains("`a`"));
    }

    #[test]
    fn an_answer_given_ahead_is_json() {
        assert_eq!(
            named_json("approve*=true"),
            Ok(("approve*".into(), Json::parse("true").expect("JSON")))
        );
        let error = named_json("comment=fine").expect_err("no JSON");
        assert!(error.contains(r#"'comment="fine"'"#), "{error}");
    }

    #[test]
    fn a_typed_value_replaces_that_of_the_file() {
        let file = std::env::temp_dir().join(format!("hero_inputs_{}.json", std::process::id()));
        std::fs::write(&file, r#"{"name": "file", "n": 1.50}"#).expect("writes");
        let read = Inputs::read(Some(&file), &[pair("name=line").expect("a pair")]);
        std::fs::remove_file(&file).expect("is there");
        assert_eq!(read.expect("reads").json().text(), r#"{"n":1.50,"name":"line"}"#);
    }
}
