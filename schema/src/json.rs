//! JSON that belongs to users: carried as text, compared by meaning.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::canonical;

/// One valid JSON value as the text it arrived in. Cheap to clone.
///
/// Numbers keep every digit and objects their order, because nothing here is parsed and reprinted.
/// Equality is that of the canonical form, so `{"a":1,"b":2}` equals `{ "b": 2, "a": 1 }`, and `1`
/// does not equal `1.0`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// Checks that the text is one JSON value and keeps it.
    ///
    /// # Errors
    /// The text is not JSON; the error says where.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(|raw| Self(raw.into()))
    }

    /// The value of a type that is known to have a JSON form.
    ///
    /// # Errors
    /// The type refuses to be serialised, such as a map with keys that are not text.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(|raw| Self(raw.into()))
    }

    /// The JSON value `null`.
    pub fn null() -> Self {
        Self::parse("null").expect("`null` is JSON")
    }

    /// The JSON value `{}`.
    pub fn empty_object() -> Self {
        Self::parse("{}").expect("`{}` is JSON")
    }

    /// The text as it arrived.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Reads the value into a type.
    ///
    /// # Errors
    /// The value has another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.text())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
            || matches!(
                (canonical::canonical_json(self.text()), canonical::canonical_json(other.text())),
                (Ok(mine), Ok(theirs)) if mine == theirs
            )
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Json {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "Any JSON value."})
    }
}

/// Deserialises an optional payload so that a present `null` stays a payload.
///
/// Serde reads `null` as `None`; an answer or a default may well be `null`. Use together with
/// `#[serde(default, skip_serializing_if = "Option::is_none")]`: absent is `None`, `null` is `Some`.
pub(crate) fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        #[serde(default, deserialize_with = "present")]
        payload: Option<Json>,
    }

    #[test]
    fn a_null_payload_is_a_payload_and_an_absent_one_is_none() {
        let with: Holder = serde_json::from_str(r#"{"payload":null}"#).expect("valid");
        let without: Holder = serde_json::from_str("{}").expect("valid");
        assert_eq!(with.payload, Some(Json::null()));
        assert_eq!(without.payload, None);
    }

    #[test]
    fn equality_is_by_meaning_and_keeps_number_types_apart() {
        let json = |text: &str| Json::parse(text).expect("valid");
        assert_eq!(json(r#"{"a":1,"b":[true]}"#), json(r#"{ "b":[ true ], "a":1 }"#));
        assert_ne!(json("1"), json("1.0"));
        assert_ne!(json("9007199254740993"), json("9007199254740992"));
    }
}
