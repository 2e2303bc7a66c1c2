//! JSON-RPC 2.0 as bytes: requests, responses, and every way in which they can be malformed.
//!
//! Parameters and results pass as the text in which they came. What this refuses reaches no method.

use hero_schema::canonical::{self, canonical_json};
use hero_schema::rpc::{BODY_BYTES_MAX, PREFIX};
use hero_schema::{ErrorKind, Json, RpcError};
use serde::{Deserialize, Deserializer, Serialize};

/// The most calls that one batch may hold.
pub(crate) const BATCH_CALLS_MAX: usize = 1000;

/// What a body asks for.
#[derive(Debug)]
pub(crate) enum Body {
    /// One request; the answer is one response, or none.
    Single(Request),
    /// Several; the answer is a list of the responses, or none.
    Batch(Vec<Request>),
}

/// A request, or what is to be said about something that is none.
#[derive(Debug)]
pub(crate) enum Request {
    /// A method to be carried out.
    Call(Call),
    /// An error to be answered.
    Malformed(Json, RpcError),
}

/// A method to be carried out.
#[derive(Debug)]
pub(crate) struct Call {
    /// What the response carries; None for a notification, which gets none.
    pub(crate) id: Option<Json>,
    /// The method as on the wire, with its prefix.
    pub(crate) method: String,
    /// The parameters; an object, where [`Call::params`] says so.
    params: Option<Json>,
}

impl Call {
    /// The method without its prefix.
    pub(crate) fn bare_method(&self) -> Result<&str, RpcError> {
        self.method.strip_prefix(PREFIX).ok_or_else(|| method_not_found(&self.method))
    }

    /// The parameters, by name.
    pub(crate) fn params(&self) -> Result<Json, RpcError> {
        match &self.params {
            None => Ok(Json::empty_object()),
            Some(params) if params.text().starts_with('{') => Ok(params.clone()),
            Some(_) => Err(RpcError::new(
                ErrorKind::InvalidParams,
                "the parameters are a list, and this server takes them by name only",
            )
            .hint("send `params` as an object")),
        }
    }
}

/// The error for a method that nobody knows.
pub fn method_not_found(method: &str) -> RpcError {
    let message = format!("there is no method `{}`", shortened(method));
    RpcError::new(ErrorKind::MethodNotFound, message)
        .hint("`GET /openrpc.json` lists the methods; each begins with `LogicService.`")
}

/// The error for a body above [`BODY_BYTES_MAX`].
pub(crate) fn too_large() -> RpcError {
    let message = format!("the request has more than {BODY_BYTES_MAX} bytes");
    RpcError::new(ErrorKind::TooLarge, message).hint("put large data into a file and send its path")
}

/// Reads the body of a `POST /rpc`.
///
/// # Errors
/// It is not JSON, or no request and no batch at all: one error is the answer.
pub(crate) fn read_body(body: &[u8]) -> Result<Body, RpcError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| parse_error(&format!("byte {} is not UTF-8", error.valid_up_to())))?;
    // Readers could disagree about what is refused here, and a step key could not be computed of it.
    canonical_json(text).map_err(|error| refused_json(&error))?;
    if !text.trim_ascii_start().starts_with('[') {
        return Ok(Body::Single(read_request(text)));
    }
    let calls: Vec<Json> =
        serde_json::from_str(text).map_err(|error| parse_error(&error.to_string()))?;
    match calls.len() {
        0 => Err(invalid("the batch is empty")),
        1..=BATCH_CALLS_MAX => {
            Ok(Body::Batch(calls.iter().map(|call| read_request(call.text())).collect()))
        }
        n_calls => {
            let message = format!("the batch holds {n_calls} calls, {BATCH_CALLS_MAX} are allowed");
            Err(RpcError::new(ErrorKind::TooLarge, message).hint("send several batches"))
        }
    }
}

/// The members of a request, as far as they are there.
#[derive(Deserialize)]
struct Members {
    #[serde(default, deserialize_with = "present")]
    jsonrpc: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    method: Option<Json>,
    #[serde(default, deserialize_with = "present")]
    params: Option<Json>,
}

fn read_request(text: &str) -> Request {
    // Serde would read a list as the members in their order.
    let members = match serde_json::from_str::<Members>(text) {
        Ok(members) if text.trim_ascii_start().starts_with('{') => members,
        _ => return Request::Malformed(Json::null(), invalid("a request is an object")),
    };
    if members.id.as_ref().is_some_and(|id| !is_id(id)) {
        let error = invalid("`id` is text, a number or null");
        return Request::Malformed(Json::null(), error);
    }
    let id = members.id.clone();
    read_call(members)
        .unwrap_or_else(|error| Request::Malformed(id.unwrap_or_else(Json::null), error))
}

fn read_call(members: Members) -> Result<Request, RpcError> {
    if text_of(members.jsonrpc.as_ref()).as_deref() != Some("2.0") {
        return Err(invalid("`jsonrpc` is not `\"2.0\"`"));
    }
    let Some(method) = text_of(members.method.as_ref()) else {
        return Err(invalid("`method` is missing or is not text"));
    };
    if members.params.as_ref().is_some_and(|params| !params.text().starts_with(['{', '['])) {
        return Err(invalid("`params` is not an object"));
    }
    Ok(Request::Call(Call { id: members.id, method, params: members.params }))
}

fn is_id(id: &Json) -> bool {
    id.text() == "null"
        || id.text().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
}

fn text_of(json: Option<&Json>) -> Option<String> {
    json?.read().ok()
}

fn refused_json(error: &canonical::Error) -> RpcError {
    match error {
        canonical::Error::Syntax { .. } | canonical::Error::LoneSurrogate { .. } => {
            parse_error(&error.to_string())
        }
        canonical::Error::NotFinite { .. }
        | canonical::Error::DuplicateKey { .. }
        | canonical::Error::TooDeep => invalid(&shortened(&error.to_string())),
    }
}

fn parse_error(reason: &str) -> RpcError {
    RpcError::new(ErrorKind::ParseError, format!("the request is not JSON: {reason}"))
}

fn invalid(reason: &str) -> RpcError {
    RpcError::new(ErrorKind::InvalidRequest, format!("not a JSON-RPC 2.0 request: {reason}"))
}

/// What strangers wrote, fit to stand in a message.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    cut(text, CHARS_MAX)
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Messages quote what strangers wrote, and are read on terminals.
fn one_line(message: &str) -> String {
    const CHARS_MAX: usize = 1000;
    let escaped = |c: char| match c {
        c if c.is_control() || breaks_line_or_turns(c) => c.escape_default().collect(),
        c => String::from(c),
    };
    cut(&message.chars().map(escaped).collect::<String>(), CHARS_MAX)
}

/// Line and paragraph separators, and what changes the direction of the text around it.
fn breaks_line_or_turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

// --- Responses --------------------------------------------------------------------------------

#[derive(Serialize)]
struct Answered<'a> {
    jsonrpc: &'static str,
    id: &'a Json,
    result: &'a Json,
}

#[derive(Serialize)]
struct Refused<'a> {
    jsonrpc: &'static str,
    id: &'a Json,
    error: WireError,
}

#[derive(Serialize, Deserialize)]
struct WireError {
    code: i64,
    message: String,
    #[serde(default)]
    data: WireErrorData,
}

#[derive(Default, Serialize, Deserialize)]
struct WireErrorData {
    #[serde(default)]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// The response to one request.
pub(crate) fn response(id: &Json, outcome: Result<Json, RpcError>) -> Json {
    let written = match outcome {
        Ok(result) => Json::of(&Answered { jsonrpc: "2.0", id, result: &result }),
        Err(RpcError { kind, message, hint }) => {
            let hint = hint.as_deref().map(one_line);
            let data = WireErrorData { kind: kind.word().into(), hint };
            let error = WireError { code: kind.code(), message: one_line(&message), data };
            Json::of(&Refused { jsonrpc: "2.0", id, error })
        }
    };
    written.expect("text and JSON have a JSON form")
}

/// The request for a method, named without its prefix.
pub(crate) fn request(method: &str, params: Json) -> Vec<u8> {
    #[derive(Serialize)]
    struct Written {
        jsonrpc: &'static str,
        id: u32,
        method: String,
        params: Json,
    }
    let written = Written { jsonrpc: "2.0", id: 1, method: format!("{PREFIX}{method}"), params };
    serde_json::to_vec(&written).expect("text and JSON have a JSON form")
}

/// Reads the response to a [`request`].
///
/// # Errors
/// It is no response; what the server refuses is the inner error.
pub(crate) fn read_response(body: &[u8]) -> Result<Result<Json, RpcError>, String> {
    #[derive(Deserialize)]
    struct Read {
        #[serde(default, deserialize_with = "present")]
        result: Option<Json>,
        #[serde(default)]
        error: Option<WireError>,
    }
    let read: Read = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match (read.result, read.error) {
        (Some(result), None) => Ok(Ok(result)),
        (None, Some(error)) => Ok(Err(error.into())),
        _ => Err("neither a result nor an error".into()),
    }
}

impl From<WireError> for RpcError {
    /// A kind that a newer server has added is known by its code, or counts as internal.
    fn from(error: WireError) -> Self {
        let mut known = ErrorKind::ALL.iter().copied();
        let kind = known
            .find(|kind| kind.word() == error.data.kind || kind.code() == error.code)
            .unwrap_or(ErrorKind::Internal);
        Self { kind, message: error.message, hint: error.data.hint }
    }
}

/// Keeps a `null` that is there apart from a member that is not.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}
