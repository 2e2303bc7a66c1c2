//! What a server answers to envelopes, well-formed or not, over a real socket.

#[expect(dead_code, reason = "each test program uses its part of the support")]
mod support;

use serde_json::{Value, json};
use support::{post, start};

const PARSE: i64 = -32700;
const INVALID: i64 = -32600;
const METHOD: i64 = -32601;
const PARAMS: i64 = -32602;

/// The body, the code and the id of the answer as JSON text.
const BAD: &[(&str, i64, &str)] = &[
    // Not JSON.
    ("", PARSE, "null"),
    (" \n ", PARSE, "null"),
    ("{", PARSE, "null"),
    ("}", PARSE, "null"),
    ("[", PARSE, "null"),
    ("hello", PARSE, "null"),
    ("'a'", PARSE, "null"),
    (r#""unfinished"#, PARSE, "null"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo""#, PARSE, "null"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo",}"#, PARSE, "null"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo"} {}"#, PARSE, "null"),
    (r#"{"jsonrpc":"2.0","id":01,"method":"LogicService.echo"}"#, PARSE, "null"),
    (r#"{"jsonrpc":"2.0","id":NaN,"method":"LogicService.echo"}"#, PARSE, "null"),
    (r#"{jsonrpc:"2.0",id:1,method:"LogicService.echo"}"#, PARSE, "null"),
    (r#"[{"jsonrpc":"2.0","id":1,"method":"LogicService.echo"},{"#, PARSE, "null"),
    ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Logic\nService.echo\"}", PARSE, "null"),
    ("\u{feff}{}", PARSE, "null"),
    // JSON, and no request.
    ("null", INVALID, "null"),
    ("true", INVALID, "null"),
    ("3", INVALID, "null"),
    (r#""LogicService.echo""#, INVALID, "null"),
    ("{}", INVALID, "null"),
    ("[]", INVALID, "null"),
    (" [ ] ", INVALID, "null"),
    (r#"{"id":1,"method":"LogicService.echo"}"#, INVALID, "1"),
    (r#"{"jsonrpc":"1.0","id":1,"method":"LogicService.echo"}"#, INVALID, "1"),
    (r#"{"jsonrpc":2.0,"id":1,"method":"LogicService.echo"}"#, INVALID, "1"),
    (r#"{"jsonrpc":null,"id":1,"method":"LogicService.echo"}"#, INVALID, "1"),
    (r#"{"jsonrpc":{"2.0":null},"id":1,"method":"LogicService.echo"}"#, INVALID, "1"),
    (r#"{"jsonrpc":"2.0","id":1}"#, INVALID, "1"),
    (r#"{"jsonrpc":"2.0","id":"a"}"#, INVALID, r#""a""#),
    (r#"{"jsonrpc":"2.0"}"#, INVALID, "null"),
    (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, INVALID, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, INVALID, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":["LogicService.echo"]}"#, INVALID, "1"),
    (r#"{"jsonrpc":"2.0","id":true,"method":"LogicService.echo"}"#, INVALID, "null"),
    (r#"{"jsonrpc":"2.0","id":{},"method":"LogicService.echo"}"#, INVALID, "null"),
    (r#"{"jsonrpc":"2.0","id":[1],"method":"LogicService.echo"}"#, INVALID, "null"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo","params":1}"#, INVALID, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo","params":"x"}"#, INVALID, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo","params":false}"#, INVALID, "1"),
    // Requests for what is not there, or by position.
    (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, METHOD, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#, METHOD, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"logicservice.echo"}"#, METHOD, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService."}"#, METHOD, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.dance"}"#, METHOD, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.LogicService.echo"}"#, METHOD, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo","params":[]}"#, PARAMS, "1"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo","params":[1]}"#, PARAMS, "1"),
];

#[tokio::test]
async fn a_bad_envelope_gets_its_code_and_the_id_it_had() {
    let server = start();
    for (body, code, id) in BAD {
        let (status, answer) = post(&server.socket, "application/json", body.as_bytes()).await;
        let answer: Value = serde_json::from_str(&answer).expect(body);
        let error = &answer["error"];
        assert_eq!((status, &error["code"]), (200, &json!(code)), "{body}: {answer}");
        assert_eq!((answer["id"].to_string(), &answer["jsonrpc"]), (id.to_string(), &json!("2.0")));
        assert!(error["message"].is_string() && error["data"]["kind"].is_string(), "{answer}");
        assert!(answer.get("result").is_none(), "{body}: {answer}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_no_json() {
    let server = start();
    let body = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}";
    let (_, answer) = post(&server.socket, "application/json", body).await;
    assert!(answer.contains("-32700"), "{answer}");
}

#[tokio::test]
async fn an_id_comes_back_as_it_was_written() {
    let server = start();
    for id in ["null", "0", "-1", "1.50", "1e3", "18446744073709551616", r#""""#, r#""\u00e9""#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"LogicService.nothing"}}"#);
        let (_, answer) = post(&server.socket, "application/json", body.as_bytes()).await;
        assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":null}}"#));
    }
}

#[tokio::test]
async fn parameters_and_results_pass_unread() {
    let server = start();
    let params = r#"{ "b":1.0, "a":100000000000000000000000, "é":"\u00e9" }"#;
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"LogicService.echo","params":{params}}}"#);
    let (_, answer) = post(&server.socket, "application/json", body.as_bytes()).await;
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{params}}}"#));
}

#[tokio::test]
async fn a_notification_gets_no_answer_and_neither_does_a_batch_of_them() {
    let server = start();
    let one = r#"{"jsonrpc":"2.0","method":"LogicService.nothing"}"#;
    for body in [one.to_owned(), format!("[{one},{one}]")] {
        let answer = post(&server.socket, "application/json", body.as_bytes()).await;
        assert_eq!(answer, (204, String::new()), "{body}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_without_its_notifications() {
    let server = start();
    let body = r#"[
        {"jsonrpc":"2.0","id":"a","method":"LogicService.echo","params":{"n":1}},
        {"jsonrpc":"2.0","method":"LogicService.echo"},
        7,
        {"jsonrpc":"2.0","id":2,"method":"LogicService.refuse"},
        ["2.0",3,"LogicService.echo",{}]
    ]"#;
    let (_, answer) = post(&server.socket, "application/json", body.as_bytes()).await;
    let answer: Value = serde_json::from_str(&answer).expect("a list");
    let answers = answer.as_array().expect("a list");
    assert_eq!(answers.len(), 4, "{answer}");
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": "a", "result": {"n": 1}}));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(null), &json!(INVALID)));
    assert_eq!(
        answers[2]["error"],
        json!({"code": -32001, "message": "no such play",
               "data": {"kind": "play_not_found", "hint": "look"}})
    );
    assert_eq!((&answers[3]["id"], &answers[3]["error"]["code"]), (&json!(null), &json!(INVALID)));
}

#[tokio::test]
async fn what_readers_could_read_differently_or_not_at_all_reaches_no_method() {
    let server = start();
    let echo = |value: &str| {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"LogicService.echo","params":{"a":"#;
        format!("{call}{value}}}}}")
    };
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let cases = [
        (echo(r#"1,"a":2"#), "invalid_request"),
        (echo(r#"1},"id":2,"params":{"a":1"#), "invalid_request"),
        (echo(r#"{"b":1,"\u0062":2}"#), "invalid_request"),
        (echo("1e400"), "invalid_request"),
        (echo(&nested(126)), "invalid_request"),
        (echo(&nested(100_000)), "invalid_request"),
        (nested(100_000), "invalid_request"),
        (echo(r#""\ud800""#), "parse_error"),
        (format!("[{}1]", "1,".repeat(1000)), "too_large"),
    ];
    for (body, kind) in cases {
        let (_, answer) = post(&server.socket, "application/json", body.as_bytes()).await;
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["error"]["data"]["kind"], kind, "{answer}");
    }
    let (_, answer) = post(&server.socket, "application/json", echo(&nested(125)).as_bytes()).await;
    assert!(answer.contains("result"), "the deepest that is taken: {answer}");
}

#[tokio::test]
async fn a_message_is_one_line_whatever_it_quotes() {
    let server = start();
    let long = "x".repeat(100_000);
    for method in [r"a\n\u001b[31mb", r"LogicService.a\rb", "a\u{202e}b", "a\u{2028}b", &long] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        let (_, answer) = post(&server.socket, "application/json", body.as_bytes()).await;
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let message = answer["error"]["message"].as_str().expect("a message");
        let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}');
        assert!(!message.contains(is_odd) && message.len() < 1000, "{message}");
    }
}
