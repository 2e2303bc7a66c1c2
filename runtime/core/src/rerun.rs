//! What a play takes over from an earlier one that it retries or forks.

use std::collections::{HashMap, HashSet};

use hero_schema::{
    Answer, Json, LaunchNumber, Outcome, OutcomeRecord, RequestKind, ResumeRequest, Span, SpanId,
    SpanStatus, StepKey,
};

/// Marks the part of a path under which a step is undone, `main/~<step key>`, or a launch notes something
/// for itself, `main/charge:6ba0210c/~`. No name begins with it.
const UNDO: &str = "/~";

/// What of a play's memory goes into another play.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Steps that are not run again.
    pub outcomes: Vec<OutcomeRecord>,
    /// Questions that are not asked again.
    pub requests: Vec<ResumeRequest>,
}

impl Memory {
    /// What is still so: all but what was undone, and what a launch had noted for itself.
    ///
    /// A step that was undone must run again, and so must every step that called it, or it would never
    /// be reached. A note, such as when a step was begun, says nothing of another play.
    #[must_use]
    pub fn without_undone(self) -> Self {
        let undone: HashSet<StepKey> = self.outcomes.iter().filter_map(undone_by).collect();
        let undone_in: Vec<String> = self
            .outcomes
            .iter()
            .filter(|record| undone.contains(&record.key))
            .map(|record| record.parent_path.clone())
            .collect();
        let is_kept = |record: &OutcomeRecord| {
            undone_by(record).is_none()
                && !undone.contains(&record.key)
                && !undone_in.iter().any(|path| lies_in(path, &record.path()))
        };
        Self {
            outcomes: self.outcomes.into_iter().filter(is_kept).collect(),
            requests: self.requests,
        }
    }

    /// What a retry keeps: everything but what failed, and what was undone. The waits between the attempts
    /// that failed are waited again.
    #[must_use]
    pub fn without_failures(self) -> Self {
        let Self { outcomes, requests } = self.without_undone();
        let has_returned = |record: &OutcomeRecord| matches!(record.outcome, Outcome::Returned(_));
        let is_kept =
            |request: &ResumeRequest| request.kind != RequestKind::Retry && has_payload(request);
        Self {
            outcomes: outcomes.into_iter().filter(has_returned).collect(),
            requests: requests.into_iter().filter(is_kept).collect(),
        }
    }

    /// What a fork keeps: what had completed before a place in the play.
    ///
    /// A step that began before it and had not completed runs again, with what it had called by then;
    /// what began later runs again with all that it called.
    #[must_use]
    pub fn before(self, place: Place, history: &History) -> Self {
        let began_later: Vec<String> = self
            .outcomes
            .iter()
            .filter(|record| history.began(&record.span_id).is_some_and(|began| began >= place))
            .map(OutcomeRecord::path)
            .collect();
        let is_kept = |record: &OutcomeRecord| {
            history.completed(record) < place
                && !began_later.iter().any(|path| lies_in(&record.path(), path))
        };
        let was_asked_before = |request: &ResumeRequest| {
            history.began(&request.asked_at_span_id).is_some_and(|began| began < place)
        };
        Self {
            outcomes: self.outcomes.into_iter().filter(is_kept).collect(),
            requests: self
                .requests
                .into_iter()
                .filter(|request| !request.is_open() && was_asked_before(request))
                .collect(),
        }
    }

    /// Puts another answer in place of the one that a question has, or adds the question with it.
    pub fn answer(&mut self, mut request: ResumeRequest, answer: Answer) {
        self.requests.retain(|kept| kept.id != request.id);
        request.answer = Some(answer);
        self.requests.push(request);
    }

    /// Puts another output in place of the one that a step has, or adds the step with it.
    pub fn output(&mut self, mut record: OutcomeRecord, output: Json) {
        self.outcomes.retain(|kept| kept.key != record.key);
        record.outcome = Outcome::Returned(output);
        self.outcomes.push(record);
    }
}

/// A place in the history of a play: which launch, and which frame of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The launch.
    pub launch: LaunchNumber,
    /// The frame.
    pub seq: u64,
}

/// When the spans of a play began.
#[derive(Clone, Debug, Default)]
pub struct History(HashMap<SpanId, FirstSeen>);

#[derive(Clone, Copy, Debug)]
struct FirstSeen {
    began: Place,
    was_replayed: bool,
}

impl History {
    /// Adds what a launch has told of a span.
    pub fn add(&mut self, span: &Span) {
        let began = Place { launch: span.launch, seq: span.seq };
        let was_replayed = span.status == SpanStatus::Replayed;
        let first = self.0.entry(span.span_id.clone()).or_insert(FirstSeen { began, was_replayed });
        if began < first.began {
            *first = FirstSeen { began, was_replayed };
        }
    }

    /// When a span first began; None where there is no such span.
    pub fn began(&self, span: &SpanId) -> Option<Place> {
        self.0.get(span).map(|first| first.began)
    }

    /// When a step completed in this play: at once where it took the outcome over from another one.
    fn completed(&self, record: &OutcomeRecord) -> Place {
        match self.0.get(&record.span_id) {
            Some(FirstSeen { began, was_replayed: true }) => *began,
            _ => Place { launch: record.launch, seq: record.seq },
        }
    }
}

/// The step that this one undoes, or helps to undo; an empty key for a note.
fn undone_by(record: &OutcomeRecord) -> Option<StepKey> {
    let (_, undo) = record.parent_path.split_once(UNDO)?;
    Some(StepKey::new(undo.split('/').next().unwrap_or(undo)))
}

fn has_payload(request: &ResumeRequest) -> bool {
    let outcome = request.answer.as_ref().map(|answer| &answer.outcome);
    matches!(outcome, Some(Outcome::Returned(_)))
}

/// Whether a record is a step of the flow, and no undo and no note.
pub fn is_step(record: &OutcomeRecord) -> bool {
    !record.parent_path.contains(UNDO)
}

/// Whether a path is that of a call or lies within it.
fn lies_in(path: &str, call: &str) -> bool {
    path.strip_prefix(call).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
}

#[cfg(test)]
mod tests {
    use hero_schema::{Answerer, Raised, ResumeId, SpanKind, Timestamp};

    use super::*;

    fn step(parent_path: &str, name: &str, key: &str, seq: u64) -> OutcomeRecord {
        OutcomeRecord {
            key: StepKey::new(key),
            parent_path: parent_path.into(),
            name: name.into(),
            arguments_hash: String::new(),
            source_hash: String::new(),
            span_id: SpanId::new(key),
            launch: LaunchNumber(1),
            seq,
            span_seq: None,
            compensable: false,
            plan: false,
            place: None,
            usage: Default::default(),
            outcome: Outcome::Returned(Json::null()),
        }
    }

    fn raised() -> Outcome {
        let (class, message, traceback) = ("shop:Declined".into(), String::new(), String::new());
        Outcome::Raised(Raised { class, message, traceback, args: None })
    }

    fn question(id: &str, outcome: Option<Outcome>) -> ResumeRequest {
        ResumeRequest {
            id: ResumeId::new(id),
            name: id.into(),
            kind: RequestKind::Pause,
            schema: None,
            ui: None,
            asked_at_span_id: SpanId::new(id),
            asked_at: Timestamp(1),
            expires_at: None,
            default: None,
            url: None,
            is_ahead: false,
            answer: outcome.map(answer),
            is_carried: false,
        }
    }

    fn answer(outcome: Outcome) -> Answer {
        Answer { outcome, resumed_at: Timestamp(2), resumed_by: Answerer::Timer }
    }

    fn names(memory: &Memory) -> Vec<&str> {
        let steps = memory.outcomes.iter().map(|record| record.name.as_str());
        steps.chain(memory.requests.iter().map(|request| request.name.as_str())).collect()
    }

    #[test]
    fn a_retry_drops_what_failed_and_what_nobody_answered() {
        let failed = OutcomeRecord { outcome: raised(), ..step("main", "charge", "cc", 3) };
        let memory = Memory {
            outcomes: vec![
                step("main", "fetch", "aa", 1),
                step("main/charge:cc/~", "started", "dd", 2),
                failed,
            ],
            requests: vec![
                ResumeRequest {
                    kind: RequestKind::Retry,
                    ..question("retry", Some(Outcome::Returned(Json::null())))
                },
                question("answered", Some(Outcome::Returned(Json::null()))),
                question("expired", Some(raised())),
                question("open", None),
            ],
        };
        assert_eq!(names(&memory.without_failures()), ["fetch", "answered"]);
    }

    #[test]
    fn a_retry_runs_again_what_was_undone_and_what_had_called_it() {
        let memory = Memory {
            outcomes: vec![
                step("main", "plan", "aaaaaaaa00", 1),
                step("main/trip:bbbbbbbb", "hotel", "cccccccc00", 2),
                step("main/trip:bbbbbbbb", "map", "dddddddd00", 3),
                step("main", "trip", "bbbbbbbb00", 4),
                step("main/~cccccccc00", "cancel_hotel", "eeeeeeee00", 5),
                step("main/~cccccccc00/cancel_hotel:eeeeeeee", "call", "ffffffff00", 6),
            ],
            requests: Vec::new(),
        };
        assert_eq!(names(&memory.without_failures()), ["plan", "map"]);
    }

    #[test]
    fn what_was_undone_is_not_so_any_more_and_failures_are() {
        let memory = Memory {
            outcomes: vec![
                step("main", "hotel", "aaaaaaaa00", 1),
                OutcomeRecord { outcome: raised(), ..step("main", "car", "bbbbbbbb00", 2) },
                OutcomeRecord { outcome: raised(), ..step("main/~", "failure", "cccccccc00", 3) },
                step("main/~aaaaaaaa00", "cancel_hotel", "dddddddd00", 4),
            ],
            requests: vec![question("approve", Some(raised()))],
        };
        assert_eq!(names(&memory.without_undone()), ["car", "approve"]);
    }

    /// Spans by their ids and the frames in which they began.
    fn history(spans: &[(&str, u64, SpanStatus)]) -> History {
        let mut history = History::default();
        for &(id, seq, status) in spans {
            history.add(&Span {
                span_id: SpanId::new(id),
                parent_id: None,
                launch: LaunchNumber(1),
                seq,
                name: id.into(),
                kind: SpanKind::Step,
                status,
                step_key: None,
                arguments: None,
                started_at: Timestamp(1),
                ended_at: None,
                tags: Default::default(),
                error: None,
                child_play_sid: None,
                source_file: None,
                source_line: None,
            });
        }
        history
    }

    fn at(seq: u64) -> Place {
        Place { launch: LaunchNumber(1), seq }
    }

    #[test]
    fn a_fork_keeps_what_had_completed_before_the_place() {
        let memory = Memory {
            outcomes: vec![
                step("main", "first", "aaaaaaaa", 3),
                step("main/outer:bbbbbbbb", "inner", "cccccccc", 6),
                step("main/outer:bbbbbbbb", "second", "dddddddd", 8),
                step("main", "outer", "bbbbbbbb", 9),
            ],
            requests: vec![
                question("early", Some(Outcome::Returned(Json::null()))),
                question("late", Some(Outcome::Returned(Json::null()))),
                question("open", None),
            ],
        };
        let ok = SpanStatus::Ok;
        let began = [("aaaaaaaa", 1), ("bbbbbbbb", 4), ("cccccccc", 5), ("dddddddd", 7)];
        let mut spans: Vec<_> = began.map(|(id, seq)| (id, seq, ok)).to_vec();
        spans.extend([("early", 2, ok), ("late", 8, ok), ("open", 2, ok)]);
        let history = history(&spans);
        let kept = |seq| {
            let memory = memory.clone().before(at(seq), &history);
            names(&memory).join(" ")
        };
        assert_eq!(kept(1), "", "from the first step");
        assert_eq!(kept(4), "first early", "from the outer step");
        assert_eq!(kept(7), "first inner early", "from within it");
    }

    #[test]
    fn a_fork_of_a_fork_goes_by_the_order_in_which_the_fork_asked() {
        let copied = |name: &str, key: &str| OutcomeRecord {
            launch: LaunchNumber(0),
            ..step("main", name, key, 5)
        };
        let memory = Memory {
            outcomes: vec![copied("first", "aaaaaaaa"), copied("second", "bbbbbbbb")],
            requests: Vec::new(),
        };
        let replayed = SpanStatus::Replayed;
        let history = history(&[("aaaaaaaa", 1, replayed), ("bbbbbbbb", 2, replayed)]);
        assert_eq!(names(&memory.before(at(2), &history)), ["first"]);
    }

    #[test]
    fn other_answers_and_outputs_take_the_place_of_those_that_were() {
        let given = |text| Outcome::Returned(Json::parse(text).expect("JSON"));
        let mut memory = Memory {
            outcomes: vec![step("main", "fetch", "aa", 1)],
            requests: vec![question("approve", Some(given("true")))],
        };
        memory.answer(question("approve", None), answer(given("false")));
        memory.output(step("main", "fetch", "aa", 1), Json::parse("[7]").expect("JSON"));
        assert_eq!(names(&memory), ["fetch", "approve"]);
        assert_eq!(memory.outcomes[0].outcome, given("[7]"));
        let stands = memory.requests[0].answer.as_ref().map(|answer| &answer.outcome);
        assert_eq!(stands, Some(&given("false")));
    }
}
