//! The life of a play, held to two tables: status × event, and the ends of a launch.
//!
//! [`properties`] holds what must be true after any sequence of events.

mod properties;

use hero_schema::{
    Budget, FailureKind, PlaySid, Raised, RequestKind, ResumeId, SpanId, Usage, VersionSid,
    WorkflowSid,
};

use super::*;
use crate::Spent;

const NOW: Timestamp = Timestamp(1_000);

/// The current launch of every play here that was launched at all.
const CURRENT: LaunchNumber = LaunchNumber(2);
const OLDER: LaunchNumber = LaunchNumber(1);

/// The contract: its two tables are what these tests run.
const PROTOCOL: &str = include_str!("../../../../schema/PROTOCOL.md");

#[test]
fn every_status_answers_every_event_as_the_protocol_says() {
    let words = PlayStatus::ALL.map(PlayStatus::word).join(" | ");
    let rows = table(&format!("| event | {words} |"));
    assert_eq!(rows.len(), EVENTS.len(), "a row is missing");
    for (row, name) in rows.iter().zip(EVENTS) {
        assert_eq!(row[0], name);
        for (status, expected) in PlayStatus::ALL.into_iter().zip(&row[1..]) {
            let (play, event) = situation(status, name);
            let told = told(&apply(&play, event, NOW));
            assert_eq!(told, *expected, "`{name}` on a play that is `{status}`");
        }
    }
}

#[test]
fn every_launch_end_makes_of_the_play_what_the_protocol_says() {
    let rows = table("| exit | `result` frame | asked | open | unseen | the play becomes |");
    for exit in ["0", "1", "2", "75", "any other code", "a signal", "not started"] {
        assert!(rows.iter().any(|row| row[0] == exit), "no row for {exit}");
    }
    for row in rows {
        let mut play = play(PlayStatus::Running);
        play.asked_in_launch = if row[2] == "yes" { CURRENT } else { OLDER };
        play.n_open_requests = row[3].parse().expect("a number");
        play.n_fresh_answers = row[4].parse().expect("a number");
        let event = ended(exit(row[0]), result(row[1]));
        assert_eq!(told(&apply(&play, event, NOW)), row[5], "{row:?}");
    }
}

#[test]
fn a_launch_that_keeps_dying_is_relaunched_three_times_and_then_fails_with_the_exact_cause() {
    let mut play = play(PlayStatus::Running);
    for relaunch in 1..=RELAUNCHES_WITHOUT_PROGRESS_MAX {
        play = after(&play, died(&play, false));
        assert_eq!(play.status, PlayStatus::Running, "relaunch {relaunch}");
    }
    play = after(&play, died(&play, false));
    let failure = play.failure.expect("the fourth death fails the play");
    assert_eq!(failure.kind, FailureKind::Crashed);
    assert_eq!(
        failure.message,
        "4 launches in a row died without progress; \
         the last one was killed by SIGSEGV (signal 11); its last words: core dumped"
    );
}

#[test]
fn progress_or_a_pause_between_deaths_starts_the_count_anew() {
    let mut play = play(PlayStatus::Running);
    for _ in 0..20 {
        play = after(&play, died(&play, false));
        play = after(&play, died(&play, false));
        play = after(&play, died(&play, true));
        assert_eq!((play.status, play.n_launches_without_progress), (PlayStatus::Running, 0));
    }
    play = after(&play, died(&play, false));
    play.asked_in_launch = play.launch;
    play.n_open_requests = 1;
    play = after(&play, ended_as(&play, Exit::Code(exit::PAUSED), None));
    assert_eq!((play.status, play.n_launches_without_progress), (PlayStatus::AwaitingResume, 0));
}

#[test]
fn an_exit_code_that_is_not_in_the_contract_is_told_as_it_was() {
    let mut play = play(PlayStatus::Running);
    play.n_launches_without_progress = RELAUNCHES_WITHOUT_PROGRESS_MAX;
    let failure = after(&play, ended(Exit::Code(137), None)).failure.expect("too many deaths");
    assert_eq!(
        failure.message,
        "4 launches in a row died without progress; the last one exited 137"
    );
}

#[test]
fn a_reported_exception_fails_the_play_with_its_class_message_and_span() {
    let failure = after(&play(PlayStatus::Running), ended(Exit::Code(1), result("raised"))).failure;
    let failure = failure.expect("the flow raised");
    assert_eq!(failure.message, "Declined: card 4711");
    assert_eq!(failure.exception, Some(raised()));
    assert_eq!(failure.span_id, Some(SpanId::new("open")));
}

#[test]
fn an_exception_raised_while_a_pause_unwinds_is_not_lost() {
    let mut play = play(PlayStatus::Running);
    play.asked_in_launch = CURRENT;
    let failure = after(&play, ended(Exit::Code(1), result("raised"))).failure.expect("failed");
    assert_eq!(failure.kind, FailureKind::RequestWithoutPause);
    assert_eq!(failure.exception, Some(raised()));
}

#[test]
fn asking_again_keeps_the_first_question_and_counts_it_once() {
    let stored = ResumeRequest { asked_at: Timestamp(1), ..request("approve") };
    let mut play = play(PlayStatus::Running);
    play.n_open_requests = 1;
    let event =
        Event::Asked { launch: CURRENT, asked: request("approve"), stored: Some(stored.clone()) };
    let transition = transition(&play, event);
    assert_eq!(transition.request, Some(stored));
    assert_eq!((transition.play.n_open_requests, transition.play.asked_in_launch), (1, CURRENT));
}

#[test]
fn an_answer_given_ahead_is_stored_as_the_answer_and_its_entry_counts_as_used() {
    let (play, event) = situation(PlayStatus::Running, "asked, prefilled");
    let transition = transition(&play, event);
    let answer = transition.request.expect("a request").answer.expect("answered");
    assert_eq!(answer.outcome, Outcome::Returned(json("7")));
    assert_eq!(answer.resumed_by, Answerer::Prefill { pattern: "app*".into() });
    assert_eq!(answer.resumed_at, NOW);
    assert!(transition.play.prefill_used.contains("app*"));
    assert_eq!(transition.play.n_open_requests, 0);
}

#[test]
fn a_pause_that_prefill_only_does_not_cover_fails_the_play_by_name() {
    let (play, event) = situation(PlayStatus::Running, "asked, prefill_only uncovered");
    let failure = after(&play, event).failure.expect("failed");
    assert_eq!(failure.kind, FailureKind::PrefillMissing);
    assert_eq!(failure.message, "pause `approve` is not covered by the prefill");
}

#[test]
fn a_prefill_entry_that_does_not_fit_fails_the_play_and_says_where() {
    let (play, event) = situation(PlayStatus::Running, "asked, prefill does not fit");
    let failure = after(&play, event).failure.expect("failed");
    assert_eq!(failure.kind, FailureKind::PrefillMismatch);
    assert_eq!(
        failure.message,
        r#"the prefill entry `app*` does not fit pause `approve`: "x" is not of type "integer""#
    );
}

#[test]
fn a_refusal_prints_the_status_and_the_event() {
    let refused = |status, name| {
        let (play, event) = situation(status, name);
        apply(&play, event, NOW).expect_err("refused").to_string()
    };
    assert_eq!(
        refused(PlayStatus::AwaitingResume, "launch due"),
        "a play that is `awaiting_resume` cannot take the event `launch due`"
    );
    assert_eq!(refused(PlayStatus::Cancelled, "asked"), "the play has ended (`cancelled`)");
    assert_eq!(
        refused(PlayStatus::Running, "asked, stale launch"),
        "launch 1 is not the current one (2)"
    );
}

#[test]
fn a_launch_ended_for_a_step_that_ran_out_of_time_is_followed_by_another_however_it_ended() {
    for exit in [Exit::Code(0), Exit::Code(1), Exit::Code(75), Exit::Signal(15, "SIGTERM".into())] {
        let play = play(PlayStatus::Running);
        let end = LaunchEnd { exit, was_timed_out: true, ..launch_end() };
        let transition = transition(&play, Event::LaunchEnded { launch: CURRENT, end });
        assert_eq!(transition.play.status, PlayStatus::Running);
        assert_eq!(transition.effects, [Effect::Launch(CURRENT.next())]);
    }
}

#[test]
fn a_request_that_expires_takes_its_default_or_raises() {
    let (play, mut default) = (play(PlayStatus::AwaitingResume), request("approve"));
    default.default = Some(Json::null());
    let expired =
        |request| transition(&play, Event::Expired { request }).request.expect("answered");
    let answer = expired(default).answer.expect("answered");
    assert_eq!(answer.outcome, Outcome::Returned(Json::null()));
    assert_eq!(answer.resumed_by, Answerer::Timer);
    let Outcome::Raised(raised) = expired(request("approve")).answer.expect("answered").outcome
    else {
        panic!("without a default it raises");
    };
    assert_eq!(raised.class, "pyhero:PauseTimeout");
}

#[test]
fn the_time_of_a_play_runs_from_its_first_launch() {
    let (play, event) = situation(PlayStatus::Running, "deadline set");
    assert_eq!(after(&play, event).deadline, Some(Timestamp(1 + 5)));
}

#[test]
fn timers_and_children_take_no_prefill_and_children_no_answer_from_outside() {
    for kind in [RequestKind::Timer, RequestKind::Retry, RequestKind::Child] {
        let mut play = play(PlayStatus::Running);
        play.prefill.insert("*".into(), json("7"));
        play.prefill_only = true;
        let asked = ResumeRequest { kind, ..request("sleep") };
        let event = Event::Asked { launch: CURRENT, asked, stored: None };
        assert_eq!(told(&apply(&play, event, NOW)), "running asked");
    }
    let event = |by| Event::Answered {
        request: ResumeRequest { kind: RequestKind::Child, ..request("child") },
        outcome: Outcome::Returned(json("7")),
        by,
    };
    let play = play(PlayStatus::AwaitingResume);
    assert_eq!(told(&apply(&play, event(Answerer::Rpc { uid: 0 }), NOW)), "child only");
    assert_eq!(told(&apply(&play, event(Answerer::Child), NOW)), "running answered +launch");
}

#[test]
fn the_first_launch_starts_the_clock_and_later_ones_leave_it() {
    let first = after(&play(PlayStatus::Pending), Event::LaunchDue);
    assert_eq!(first.started_at, Some(NOW));
    let second = transition_at(&first, Event::LaunchDue, Timestamp(2_000)).play;
    assert_eq!((second.started_at, second.launch), (Some(NOW), LaunchNumber(2)));
}

/// The rows of the first table.
const EVENTS: [&str; 30] = [
    "launch due",
    "asked",
    "asked, stale launch",
    "asked, answered before",
    "asked, carried over alike",
    "asked, carried over otherwise",
    "asked, prefilled",
    "asked, prefill does not fit",
    "asked, prefill_only uncovered",
    "asked ahead",
    "asked ahead, known",
    "asked ahead, prefilled",
    "answer",
    "answer that does not fit",
    "the same answer again",
    "another answer",
    "expired",
    "expired, answered before",
    "prefilled",
    "launch ended",
    "launch ended, stale launch",
    "deadline set",
    "deadline set, known",
    "tagged",
    "tagged, known",
    "spent, within its budget",
    "spent, beyond its budget",
    "spent, stale launch",
    "deadline passed",
    "cancel requested",
];

/// A play and an event as a row of the first table names them.
fn situation(status: PlayStatus, name: &str) -> (PlayRecord, Event) {
    let mut play = play(status);
    let mut request = request("approve");
    request.schema = Some(json(r#"{"type":"integer"}"#));
    let answered = Answer {
        outcome: Outcome::Returned(json("7")),
        resumed_at: Timestamp(5),
        resumed_by: Answerer::Timer,
    };
    let current = play.launch;
    let asked = |stored| Event::Asked { launch: current, asked: request.clone(), stored };
    let ahead = |stored| Event::AskedAhead { launch: current, asked: request.clone(), stored };
    let answer = |answer: Option<Answer>, payload| Event::Answered {
        request: ResumeRequest { answer, ..request.clone() },
        outcome: Outcome::Returned(json(payload)),
        by: Answerer::Rpc { uid: 1000 },
    };
    let event = match name {
        "launch due" => Event::LaunchDue,
        "asked, stale launch" => {
            Event::Asked { launch: OLDER, asked: request.clone(), stored: None }
        }
        "asked, answered before" => {
            asked(Some(ResumeRequest { answer: Some(answered), ..request.clone() }))
        }
        "asked, carried over alike" | "asked, carried over otherwise" => {
            let ui = (name == "asked, carried over otherwise").then(|| json("{}"));
            let answer = Some(answered);
            asked(Some(ResumeRequest { answer, ui, is_carried: true, ..request.clone() }))
        }
        "asked, prefilled" | "asked, prefill does not fit" => {
            let payload = if name == "asked, prefill does not fit" { "\"x\"" } else { "7" };
            play.prefill.insert("app*".into(), json(payload));
            asked(None)
        }
        "asked, prefill_only uncovered" => {
            play.prefill_only = true;
            asked(None)
        }
        "asked" => asked(None),
        "asked ahead" => ahead(None),
        "asked ahead, known" => ahead(Some(request.clone())),
        "asked ahead, prefilled" => {
            play.prefill.insert("app*".into(), json("7"));
            ahead(None)
        }
        "answer" => answer(None, "7"),
        "answer that does not fit" => answer(None, "\"x\""),
        "the same answer again" => answer(Some(answered), " 7 "),
        "another answer" => answer(Some(answered), "8"),
        "expired" => Event::Expired { request },
        "expired, answered before" => {
            Event::Expired { request: ResumeRequest { answer: Some(answered), ..request } }
        }
        "deadline set" => Event::DeadlineSet { launch: current, timeout_micros: 5 },
        "deadline set, known" => {
            play.deadline = Some(Timestamp(7));
            Event::DeadlineSet { launch: current, timeout_micros: 5 }
        }
        "tagged" | "tagged, known" => {
            let tags = BTreeMap::from([("customer".to_owned(), json("\"Oslo\""))]);
            if name == "tagged, known" {
                play.tags.clone_from(&tags);
            }
            Event::Tagged { launch: current, tags }
        }
        "spent, within its budget" | "spent, beyond its budget" | "spent, stale launch" => {
            play.budget = Some(Budget { cost_usd: None, tokens: Some(10) });
            play.spent_before.input_tokens = 6;
            let output_tokens = if name == "spent, beyond its budget" { 5 } else { 4 };
            let launch = if name == "spent, stale launch" { OLDER } else { current };
            Event::Spent { launch, total: Usage { output_tokens, ..Usage::default() } }
        }
        "prefilled" => Event::Prefilled { entries: BTreeMap::from([("app*".into(), json("7"))]) },
        "launch ended" => ended(Exit::Code(exit::SUCCESS), result("returned")),
        "launch ended, stale launch" => {
            let stale = LaunchEnd { exit: Exit::Code(exit::SUCCESS), ..launch_end() };
            Event::LaunchEnded { launch: OLDER, end: stale }
        }
        "deadline passed" => Event::DeadlinePassed,
        "cancel requested" => Event::CancelRequested,
        other => panic!("no such event: {other}"),
    };
    (play, event)
}

/// What a decision comes to, in the words of the tables.
fn told(decision: &Result<Decision, Refusal>) -> String {
    let transition = match decision {
        Ok(Decision::Change(transition)) => transition,
        Ok(Decision::NoChange) => return "no change".into(),
        Err(refusal) => return refusal_word(refusal).into(),
    };
    let mut words = vec![transition.play.status.word().to_owned()];
    words.extend(transition.play.failure.as_ref().map(|failure| kind_word(failure.kind)));
    words.extend(
        transition.request.as_ref().map(|request| {
            if request.is_open() { "asked".to_owned() } else { "answered".to_owned() }
        }),
    );
    words.extend(transition.effects.iter().map(|effect| match effect {
        // Which launch is held by `properties`.
        Effect::Launch(_) => "+launch".to_owned(),
        Effect::Kill(_) => "+kill".to_owned(),
    }));
    words.join(" ")
}

fn refusal_word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Illegal { .. } => "illegal",
        Refusal::Ended { .. } => "ended",
        Refusal::StaleLaunch { .. } => "stale",
        Refusal::Conflict { .. } => "conflict",
        Refusal::Misfit(_) => "misfit",
        Refusal::ChildOnly => "child only",
    }
}

fn kind_word(kind: FailureKind) -> String {
    serde_json::to_string(&kind).expect("a word").trim_matches('"').to_owned()
}

/// The rows under a head line of the protocol.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let mut lines = PROTOCOL.lines().skip_while(|line| *line != head);
    assert_eq!(lines.next(), Some(head), "PROTOCOL.md has no such table");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn exit(word: &str) -> Exit {
    match word {
        "a signal" => Exit::Signal(9, "SIGKILL".into()),
        "any other code" => Exit::Code(3),
        "not started" => Exit::NotStarted("no such file".into()),
        code => Exit::Code(code.parse().expect("a code")),
    }
}

fn result(word: &str) -> Option<FlowResult> {
    let outcome = match word {
        "none" => return None,
        "returned" => Outcome::Returned(json("42")),
        "raised" | "raised, definition" => Outcome::Raised(raised()),
        other => panic!("no such result: {other}"),
    };
    let is_definition_error = word == "raised, definition";
    Some(FlowResult { outcome, is_definition_error, left_over: Vec::new() })
}

fn raised() -> Raised {
    Raised {
        class: "shop:Declined".into(),
        message: "card 4711".into(),
        traceback: "Traceback …".into(),
        args: None,
    }
}

#[test]
fn what_is_spent_in_vain_adds_up_and_what_is_spent_around_steps_counts_once() {
    let usd = |cost_usd| Usage { cost_usd, ..Usage::default() };
    let spent = |of_outcomes| Spent { of_outcomes, in_vain: usd(0.5), of_the_rest: usd(0.25) };
    let mut play = play(PlayStatus::Running);
    // Of a time when outcomes did not tell it.
    play.cost_of_steps_usd = 8.0;
    let told = [Some(usd(1.0)), Some(usd(3.0)), None];
    for (of_outcomes, total_usd) in told.into_iter().zip([9.75, 12.25, 12.75]) {
        let exit = Exit::Signal(9, "SIGKILL".into());
        let end = LaunchEnd { exit, spent: spent(of_outcomes), ..launch_end() };
        let event = Event::LaunchEnded { launch: play.launch, end };
        play = after(&play, event);
        assert_eq!(play.total_cost_usd, total_usd);
    }
}

#[test]
fn a_play_that_has_spent_too_much_names_its_budget_and_the_sum() {
    let mut play = play(PlayStatus::Running);
    play.budget = Some(Budget { cost_usd: Some(0.3), tokens: Some(100) });
    play.spent_before.cost_usd = 0.2;
    let total = Usage { cost_usd: 0.2, input_tokens: 90, output_tokens: 20 };
    let failed = after(&play, Event::Spent { launch: play.launch, total });
    let failure = failed.failure.as_ref().expect("it failed");
    assert_eq!(failure.kind, FailureKind::BudgetExceeded);
    let told = ["$0.3", "$0.4", "100 tokens", "110"];
    assert!(told.iter().all(|part| failure.message.contains(part)), "{}", failure.message);
    assert_eq!((failed.total_cost_usd, failed.total_input_tokens), (0.2, 90));
}

fn launch_end() -> LaunchEnd {
    LaunchEnd {
        exit: Exit::Code(exit::SUCCESS),
        result: None,
        has_progressed: false,
        was_timed_out: false,
        left_over: Vec::new(),
        open_span: Some(SpanId::new("open")),
        last_words: String::new(),
        spent: Spent::default(),
    }
}

fn ended(exit: Exit, result: Option<FlowResult>) -> Event {
    Event::LaunchEnded { launch: CURRENT, end: LaunchEnd { exit, result, ..launch_end() } }
}

fn ended_as(play: &PlayRecord, exit: Exit, result: Option<FlowResult>) -> Event {
    Event::LaunchEnded { launch: play.launch, end: LaunchEnd { exit, result, ..launch_end() } }
}

fn died(play: &PlayRecord, has_progressed: bool) -> Event {
    let exit = Exit::Signal(11, "SIGSEGV".into());
    let end = LaunchEnd { exit, has_progressed, last_words: "core dumped".into(), ..launch_end() };
    Event::LaunchEnded { launch: play.launch, end }
}

fn transition_at(play: &PlayRecord, event: Event, now: Timestamp) -> Transition {
    match apply(play, event, now) {
        Ok(Decision::Change(transition)) => *transition,
        other => panic!("expected a change, got {other:?}"),
    }
}

fn transition(play: &PlayRecord, event: Event) -> Transition {
    transition_at(play, event, NOW)
}

fn after(play: &PlayRecord, event: Event) -> PlayRecord {
    transition(play, event).play
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("valid")
}

fn request(name: &str) -> ResumeRequest {
    ResumeRequest {
        id: ResumeId::new(name),
        name: name.into(),
        kind: RequestKind::Pause,
        schema: None,
        ui: None,
        asked_at_span_id: SpanId::new("pause"),
        asked_at: NOW,
        expires_at: None,
        default: None,
        url: None,
        is_ahead: false,
        answer: None,
        is_carried: false,
    }
}

fn play(status: PlayStatus) -> PlayRecord {
    let was_launched = status != PlayStatus::Pending;
    let (sid, version) = (PlaySid::new("01p"), VersionSid::new("0001"));
    PlayRecord {
        revision: 10,
        name: "release".into(),
        workflow_sid: Some(WorkflowSid::new("01w")),
        status,
        launch: if was_launched { CURRENT } else { LaunchNumber(0) },
        n_open_requests: u32::from(status == PlayStatus::AwaitingResume),
        started_at: was_launched.then_some(Timestamp(1)),
        ended_at: status.is_ended().then_some(Timestamp(2)),
        ..PlayRecord::new(sid, version, Json::empty_object(), Timestamp(0))
    }
}
