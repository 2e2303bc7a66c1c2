//! The methods over a real socket, store and supervisor. What needs a Python process is tested from
//! outside, by the installed programs.

#[expect(dead_code, reason = "each test program uses its part of the support")]
mod support;

use std::pin::pin;
use std::time::Duration;

use hero_schema::rpc::METHODS;
use hero_schema::{ErrorKind, PlayStatus, RequestKind};
use serde_json::{Value, json};
use support::{ANSWERED, ASKING, DONE, OPEN, Running, WORKFLOW, open, start, start_with, waiting};

#[tokio::test]
async fn every_method_is_there_and_takes_no_parameter_that_it_does_not_know() {
    let server = start().await;
    for method in METHODS {
        let error = server.refusal(method.name, json!({"no_such_parameter": 1})).await;
        assert_eq!(error.kind, ErrorKind::InvalidParams, "{}: {error}", method.name);
        assert!(error.hint.is_some(), "{}", method.name);
    }
    assert_eq!(server.refusal("play_dance", json!({})).await.kind, ErrorKind::MethodNotFound);
}

#[tokio::test]
async fn a_play_comes_with_its_requests_by_whether_they_are_answered() {
    let server = start().await;
    let play = server.call("play_get", json!({"play_sid": ASKING})).await;
    assert_eq!(play["status"], "awaiting_resume");
    assert_eq!(play["pending_resumes"][0]["id"], OPEN);
    assert_eq!(play["received_resumes"][0]["id"], ANSWERED);
    let pending = server.call("play_pending_resumes", json!({"play_sid": ASKING})).await;
    assert_eq!(pending, play["pending_resumes"]);
}

#[tokio::test]
async fn what_is_not_there_has_its_own_kind_and_a_hint() {
    let server = start().await;
    let nowhere = json!({"play_sid": "no-sid"});
    let resume = json!({"play_sid": "no-sid", "resume_id": OPEN, "payload_json": "1"});
    let other = json!({"play_sid": ASKING, "resume_id": "no-id", "payload_json": "1"});
    let prefill = json!({"play_sid": "no-sid", "prefill_resumes": {"a": 1}});
    let from = json!({"play_sid": ASKING, "from_span": "no-span"});
    let output = json!({"play_sid": ASKING, "outputs": {"no-span": 1}});
    let answer = json!({"play_sid": ASKING, "answers": {"no-name": 1}});
    let cases = [
        ("play_get", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_wait", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_cancel", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_retry", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_restart", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_fork", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_delete", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_logs", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_spans", nowhere.clone(), ErrorKind::PlayNotFound),
        ("play_pending_resumes", nowhere, ErrorKind::PlayNotFound),
        ("play_prefill", prefill, ErrorKind::PlayNotFound),
        ("play_resume", resume, ErrorKind::PlayNotFound),
        ("play_resume", other, ErrorKind::RequestNotFound),
        ("play_fork", from, ErrorKind::SpanNotFound),
        ("play_fork", output, ErrorKind::SpanNotFound),
        ("play_fork", answer, ErrorKind::RequestNotFound),
        ("workflow_get", json!({"workflow": "nothing"}), ErrorKind::WorkflowNotFound),
        ("play_list", json!({"workflow": "nothing"}), ErrorKind::WorkflowNotFound),
        ("play_start", json!({"workflow_sid": "nothing"}), ErrorKind::WorkflowNotFound),
    ];
    for (method, params, kind) in cases {
        let error = server.refusal(method, params).await;
        assert_eq!(error.kind, kind, "{method}: {error}");
        assert!(error.hint.is_some(), "{method}: {error}");
    }
}

#[tokio::test]
async fn lists_go_on_from_their_cursor_and_refuse_another() {
    let server = start().await;
    let first = server.call("play_list", json!({"limit": 1})).await;
    let rest = server.call("play_list", json!({"cursor": first["next_cursor"]})).await;
    let sids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("a list").iter();
        items.map(|play| play["sid"].as_str().expect("a sid").to_owned()).collect()
    };
    assert_eq!((sids(&first), sids(&rest)), (vec![DONE.to_owned()], vec![ASKING.to_owned()]));
    assert_eq!(rest["next_cursor"], Value::Null);
    let waiting = server.call("play_list", json!({"status": "awaiting_resume"})).await;
    assert_eq!(sids(&waiting), [ASKING]);
    let of_workflow = server.call("play_list", json!({"workflow": WORKFLOW})).await;
    assert_eq!(sids(&of_workflow), [DONE]);
    let inbox = server.call("inbox_list", json!({})).await;
    assert_eq!(inbox["items"][0]["play_name"], "asks");
    for method in ["play_list", "inbox_list", "workflow_list"] {
        for params in [json!({"cursor": "no cursor"}), json!({"limit": 0}), json!({"limit": 1001})]
        {
            let error = server.refusal(method, params).await;
            assert_eq!(error.kind, ErrorKind::InvalidParams, "{method}: {error}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_answer_changes_nothing() {
    let server = start().await;
    let before = server.call("play_get", json!({"play_sid": ASKING})).await;
    let deep = "[".repeat(5000) + &"]".repeat(5000);
    let cases = [
        ("", ErrorKind::PayloadNotJson),
        ("{", ErrorKind::PayloadNotJson),
        ("yes", ErrorKind::PayloadNotJson),
        ("NaN", ErrorKind::PayloadNotJson),
        ("1 2", ErrorKind::PayloadNotJson),
        ("1e400", ErrorKind::PayloadNotJson),
        (r#""\ud800""#, ErrorKind::PayloadNotJson),
        (r#"{"n":1,"n":2}"#, ErrorKind::PayloadNotJson),
        (&deep, ErrorKind::PayloadNotJson),
        (r#"{"n":"x"}"#, ErrorKind::PayloadMismatch),
        ("{}", ErrorKind::PayloadMismatch),
        ("null", ErrorKind::PayloadMismatch),
    ];
    for (payload, kind) in cases {
        let params = json!({"play_sid": ASKING, "resume_id": OPEN, "payload_json": payload});
        let error = server.refusal("play_resume", params).await;
        assert_eq!(error.kind, kind, "{payload:.40}: {error}");
        assert!(error.hint.is_some(), "{error}");
    }
    assert_eq!(server.call("play_get", json!({"play_sid": ASKING})).await, before);
}

#[tokio::test]
async fn the_first_answer_stands_and_the_hint_says_whose_it_is() {
    let server = start().await;
    let answer =
        |payload: &str| json!({"play_sid": ASKING, "resume_id": ANSWERED, "payload_json": payload});
    let same = server.call("play_resume", answer("[1, 2]")).await;
    assert_eq!((&same["ok"], &same["already"]), (&json!(true), &json!(true)));
    let error = server.refusal("play_resume", answer("[1, 2.0]")).await;
    assert_eq!(error.kind, ErrorKind::ResumeConflict);
    assert!(error.hint.expect("a hint").contains("user 4711"));
}

#[tokio::test]
async fn an_ended_play_takes_nothing_more() {
    let server = start().await;
    let prefill = json!({"play_sid": DONE, "prefill_resumes": {"a": 1}});
    assert_eq!(server.refusal("play_prefill", prefill).await.kind, ErrorKind::PlayEnded);
    let cancel = json!({"play_sid": DONE});
    assert_eq!(server.refusal("play_cancel", cancel).await.kind, ErrorKind::PlayEnded);
}

#[tokio::test]
async fn what_has_not_ended_is_neither_taken_up_again_nor_removed() {
    let server = start().await;
    let before = server.call("play_list", json!({})).await;
    let refused = [
        ("play_retry", ASKING),
        ("play_restart", ASKING),
        ("play_delete", ASKING),
        // There is nothing to try again.
        ("play_retry", DONE),
    ];
    for (method, play) in refused {
        let error = server.refusal(method, json!({"play_sid": play})).await;
        assert_eq!(error.kind, ErrorKind::IllegalTransition, "{method}: {error}");
        assert!(error.hint.is_some(), "{method}: {error}");
    }
    let misfit = json!({"play_sid": ASKING, "answers": {"amount": {"n": "x"}}});
    assert_eq!(server.refusal("play_fork", misfit).await.kind, ErrorKind::PayloadMismatch);
    assert_eq!(server.call("play_list", json!({})).await, before);
}

#[tokio::test]
async fn a_play_that_is_taken_up_again_is_a_new_one_and_names_the_old_one() {
    let server = start().await;
    let cases = [
        ("play_restart", json!({"play_sid": DONE}), DONE, "restart"),
        ("play_fork", json!({"play_sid": DONE}), DONE, "fork"),
        // An answer of the fork takes the place of the one that was given, or not given yet.
        ("play_fork", json!({"play_sid": ASKING, "answers": {"first": 3}}), ASKING, "fork"),
        ("play_fork", json!({"play_sid": ASKING, "answers": {OPEN: {"n": 3}}}), ASKING, "fork"),
    ];
    for (method, params, old, how) in cases {
        let before = server.call("play_get", json!({"play_sid": old})).await;
        let new = server.call(method, params.clone()).await;
        assert_eq!(new["origin"], json!({"play_sid": old, "how": how}), "{params}");
        assert!(new["sid"] != before["sid"], "{params}");
        assert_eq!(server.call("play_get", json!({"play_sid": old})).await, before);
    }
}

#[tokio::test]
async fn a_play_that_was_removed_is_not_there_any_more() {
    let server = start().await;
    let deleted = server.call("play_delete", json!({"play_sid": DONE})).await;
    assert_eq!(deleted, json!({"ok": true}));
    for method in ["play_get", "play_spans", "play_logs", "play_delete"] {
        let error = server.refusal(method, json!({"play_sid": DONE})).await;
        assert_eq!(error.kind, ErrorKind::PlayNotFound, "{method}: {error}");
    }
    let left = server.call("play_list", json!({})).await;
    assert_eq!(left["items"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn a_start_that_is_refused_stores_nothing() {
    use ErrorKind::{FileUnreadable, InputMismatch, InvalidName, InvalidParams};
    let server = start().await;
    let before = server.call("play_list", json!({})).await;
    let with = |more: Value| {
        let mut params = json!({"workflow_sid": WORKFLOW, "input_data": {"version": "1"}});
        let object = params.as_object_mut().expect("an object");
        object.extend(more.as_object().expect("an object").clone());
        params
    };
    let cases = [
        (json!({}), InvalidParams),
        (with(json!({"file": "/flow.py"})), InvalidParams),
        (json!({"file": "flow.py"}), InvalidParams),
        (json!({"file": "/no/such/file.py"}), FileUnreadable),
        (json!({"file": "/"}), FileUnreadable),
        (with(json!({"working_dir": "here"})), InvalidParams),
        (with(json!({"name": "two\nlines"})), InvalidName),
        (with(json!({"name": "x".repeat(129)})), InvalidName),
        (with(json!({"name": ""})), InvalidName),
        (with(json!({"prefill_resumes": {"": 1}})), InvalidName),
        (with(json!({"prefill_resumes": [1]})), InvalidParams),
        (with(json!({"input_data": []})), InputMismatch),
        (with(json!({"input_data": "x"})), InputMismatch),
        (with(json!({"input_data": {}})), InputMismatch),
        (with(json!({"input_data": {"version": 5}})), InputMismatch),
        (with(json!({"input_data": {"version": "1", "colour": "red"}})), InputMismatch),
    ];
    for (params, kind) in cases {
        for method in ["play_start", "play_run_async"] {
            let error = server.refusal(method, params.clone()).await;
            assert_eq!(error.kind, kind, "{params}: {error}");
        }
    }
    assert_eq!(server.call("play_list", json!({})).await, before);
}

#[tokio::test]
async fn inputs_that_do_not_fit_are_told_by_place_with_the_signature_as_the_hint() {
    let server = start().await;
    let params = json!({"workflow_sid": WORKFLOW, "input_data": {"version": 5, "dry_run": "no"}});
    let error = server.refusal("play_start", params).await;
    assert!(error.message.contains("/version") && error.message.contains("/dry_run"), "{error}");
    let signature = "release(version: string, dry_run: boolean = false)";
    assert!(error.hint.expect("a hint").contains(signature));
}

#[tokio::test]
async fn a_wait_ends_at_once_where_there_is_nothing_to_wait_for() {
    let server = start().await;
    let ended = server.call("play_wait", json!({"play_sid": DONE})).await;
    assert_eq!(ended["status"], PlayStatus::Success.word());
    let settled = server.call("play_wait", json!({"play_sid": ASKING, "until": "settled"})).await;
    assert_eq!(settled["status"], PlayStatus::AwaitingResume.word());
    let timed_out = server.call("play_wait", json!({"play_sid": ASKING, "timeout_ms": 1})).await;
    assert_eq!(timed_out["status"], PlayStatus::AwaitingResume.word());
}

#[tokio::test]
async fn a_wait_hears_of_the_end_when_it_comes() {
    let server = start().await;
    let client = server.client();
    let wait = tokio::spawn(async move {
        client.call::<_, Value>("play_wait", &json!({"play_sid": ASKING})).await
    });
    server.call("play_cancel", json!({"play_sid": ASKING})).await;
    assert_eq!(wait.await.expect("no panic").expect("a play")["status"], "cancelled");
}

#[tokio::test]
async fn stats_name_the_process_and_its_data() {
    let server = start().await;
    let stats = server.call("stats", json!({})).await;
    assert_eq!(stats["pid"], std::process::id());
    assert_eq!((&stats["data_dir"], &stats["n_launches"]), (&json!(server.data_dir()), &json!(0)));
}

const SLEEPING: &str = "01dddddddddddddddddddddddd";
const PARENT: &str = "01eeeeeeeeeeeeeeeeeeeeeeee";
const CHILD: &str = "01ffffffffffffffffffffffff";

/// A wait until the play settles, and what came of the play when this was done to it meanwhile.
async fn settled_after(server: &Running, play: &str, method: &str, params: Value) -> Value {
    let (client, other) = (server.client(), server.client());
    let wait = json!({"play_sid": play, "until": "settled"});
    let mut waited = pin!(client.call::<_, Value>("play_wait", &wait));
    // The wait connects first and is accepted first: it is under way once the others are answered.
    for _ in 0..3 {
        tokio::select! {
            biased;
            settled = &mut waited => panic!("it has not settled: {settled:?}"),
            health = other.health() => drop(health.expect("well")),
        }
    }
    server.call(method, params).await;
    let settled = tokio::time::timeout(Duration::from_secs(30), waited).await;
    settled.expect("it settles").expect("a play")
}

#[tokio::test]
async fn a_play_that_waits_for_the_clock_has_not_settled() {
    for kind in [RequestKind::Timer, RequestKind::Retry] {
        let server = start_with(waiting(SLEEPING, None, open(kind, 1))).await;
        let cancel = json!({"play_sid": SLEEPING});
        let play = settled_after(&server, SLEEPING, "play_cancel", cancel).await;
        assert_eq!(play["status"], "cancelled", "{kind:?}");
    }
}

#[tokio::test]
async fn a_play_has_settled_where_its_child_asks_and_not_where_that_sleeps() {
    let family = |kind| {
        let parent = waiting(PARENT, None, open(RequestKind::Child, 1));
        [parent, waiting(CHILD, Some(PARENT), open(kind, 1))].concat()
    };
    let server = start_with(family(RequestKind::Pause)).await;
    let wait = json!({"play_sid": PARENT, "until": "settled"});
    let waited = tokio::time::timeout(Duration::from_secs(30), server.call("play_wait", wait));
    assert_eq!(waited.await.expect("it has settled")["status"], "awaiting_resume");

    let server = start_with(family(RequestKind::Timer)).await;
    let cancel = json!({"play_sid": CHILD});
    // The parent is relaunched by that, and there is no interpreter.
    let play = settled_after(&server, PARENT, "play_cancel", cancel).await;
    assert_eq!(
        (&play["status"], &play["error"]["kind"]),
        (&json!("failed"), &json!("not_started"))
    );
}

#[tokio::test]
async fn only_what_is_asked_of_someone_is_in_the_inbox_and_pages_lose_none() {
    use RequestKind::{Callback, Child, Pause, Retry, Timer};
    let kinds = [Timer, Pause, Child, Retry, Callback, Timer, Pause, Timer];
    let plays = kinds.into_iter().enumerate().flat_map(|(index, kind)| {
        let asked_at = 10 + i64::try_from(index).expect("small");
        waiting(&format!("01dddddddddddddddddddddd{index:02}"), None, open(kind, asked_at))
    });
    let server = start_with(plays.collect()).await;
    for limit in 1..=5 {
        let mut kinds = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let page = server.call("inbox_list", json!({"limit": limit, "cursor": cursor})).await;
            let items = page["items"].as_array().expect("a list").clone();
            assert!(items.len() <= limit, "{page}");
            kinds.extend(items.iter().map(|item| item["request"]["kind"].clone()));
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
            assert_eq!(items.len(), limit, "a page with a successor is full");
        }
        assert_eq!(kinds, ["pause", "pause", "callback", "pause"], "{limit} a page");
    }
}
