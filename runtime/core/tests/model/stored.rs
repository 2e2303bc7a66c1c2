//! What a store would keep of one play, and how the words of the tables are said to the core.

use std::collections::BTreeMap;

use hero_core::{Decision, Effect, Event, LaunchEnd, Refusal, Spent, Transition};
use hero_schema::frame::FlowResult;
use hero_schema::{
    Answer, Answerer, Json, LaunchNumber, Outcome, PlayRecord, PlaySid, Raised, RequestKind,
    ResumeId, ResumeRequest, SpanId, Timestamp, VersionSid,
};

use crate::words::{
    Asked, Exit, Happening, Question, Reference, Reported, Said, Then, Told, Whose,
};

/// A play and its requests, as they were stored last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) play: PlayRecord,
    pub(crate) requests: BTreeMap<usize, ResumeRequest>,
}

/// What the core makes of a happening: what to tell, and what to store where something changed.
pub(crate) type Decided = (Told, Option<(PlayRecord, Option<ResumeRequest>)>);

impl Stored {
    pub(crate) fn new(prefill_only: bool) -> Self {
        Self { play: PlayRecord { prefill_only, ..accepted() }, requests: BTreeMap::new() }
    }

    /// Asks the core. Nothing is stored yet.
    pub(crate) fn decide(&self, happening: Happening, now: i64) -> Decided {
        match hero_core::apply(&self.play, self.event(happening, now), Timestamp(now)) {
            Ok(Decision::Change(transition)) => {
                let Transition { play, request, effects } = *transition;
                (Told::Changed(then(&effects, play.launch)), Some((play, request)))
            }
            Ok(Decision::NoChange) => (Told::NoChange, None),
            Err(refusal) => (told(&refusal), None),
        }
    }

    /// Stores a change that was decided.
    pub(crate) fn store(&mut self, (play, request): (PlayRecord, Option<ResumeRequest>)) {
        self.play = play;
        if let Some(request) = request {
            let question = request.id.as_str().parse().expect("the number of the question");
            self.requests.insert(question, request);
        }
    }

    /// What another process would read after a crash: the records as text and back.
    pub(crate) fn reopened(&self) -> Self {
        let text = serde_json::to_string(&(&self.play, &self.requests)).expect("prints");
        let (play, requests) = serde_json::from_str(&text).expect("reads back");
        Self { play, requests }
    }

    /// What is stored if the reference is right, to the last field.
    pub(crate) fn expected(&self, model: &Reference) -> Self {
        let failure = self.play.failure.clone();
        let play = PlayRecord {
            revision: model.n_changes,
            status: model.status,
            output: model.output.map(json),
            // The document gives the kinds and leaves the words to others.
            failure: failure.filter(|failure| Some(failure.kind) == model.failure),
            launch: LaunchNumber(model.launch),
            asked_in_launch: LaunchNumber(model.asked_in),
            n_open_requests: model.n_open(),
            n_fresh_answers: model.n_unseen,
            n_launches_without_progress: model.n_deaths_in_a_row,
            prefill: model.prefill.iter().map(|(&k, &v)| (k.into(), json(v))).collect(),
            prefill_used: model.prefill_used.iter().map(|&pattern| pattern.into()).collect(),
            prefill_only: model.prefill_only,
            deadline: model.deadline.map(Timestamp),
            started_at: model.started_at.map(Timestamp),
            ended_at: model.ended_at.map(Timestamp),
            ..accepted()
        };
        let requests = model.questions.iter();
        Self { play, requests: requests.map(|(&n, question)| (n, request(n, question))).collect() }
    }

    fn event(&self, happening: Happening, now: i64) -> Event {
        match happening {
            Happening::LaunchDue => Event::LaunchDue,
            Happening::Asked { launch, question, asked } => Event::Asked {
                launch: LaunchNumber(launch),
                asked: request(question, &Question { asked, asked_at: now, answer: None }),
                stored: self.requests.get(&question).cloned(),
            },
            Happening::Answered { question, said, whose } => Event::Answered {
                request: self.requests[&question].clone(),
                outcome: outcome(said, ""),
                by: answerer(whose),
            },
            Happening::Expired { question } => {
                Event::Expired { request: self.requests[&question].clone() }
            }
            Happening::Prefilled { pattern, payload } => {
                Event::Prefilled { entries: BTreeMap::from([(pattern.into(), json(payload))]) }
            }
            Happening::LaunchEnded { launch, exit, reported, progress, timed_out } => {
                let end = launch_end(exit, reported, progress, timed_out);
                Event::LaunchEnded { launch: LaunchNumber(launch), end }
            }
            Happening::DeadlineSet { launch, micros } => Event::DeadlineSet {
                launch: LaunchNumber(launch),
                timeout_micros: u64::try_from(micros).expect("ahead"),
            },
            Happening::DeadlinePassed => Event::DeadlinePassed,
            Happening::CancelRequested => Event::CancelRequested,
        }
    }
}

fn accepted() -> PlayRecord {
    let (sid, version) = (PlaySid::new("01p"), VersionSid::new("0001"));
    PlayRecord { name: "release".into(), ..PlayRecord::new(sid, version, json("{}"), Timestamp(0)) }
}

fn then(effects: &[Effect], current: LaunchNumber) -> Then {
    match effects {
        [] => Then::Nothing,
        [Effect::Launch(launch)] if *launch == current => Then::Launch,
        [Effect::Kill(launch)] if *launch == current => Then::Kill,
        other => panic!("more than one thing to do, or to the wrong launch: {other:?}"),
    }
}

fn told(refusal: &Refusal) -> Told {
    match refusal {
        Refusal::Illegal { .. } => Told::Illegal,
        Refusal::Ended { .. } => Told::Ended,
        Refusal::StaleLaunch { .. } => Told::Stale,
        Refusal::Conflict { .. } => Told::Conflict,
        Refusal::ChildOnly => Told::ChildOnly,
        Refusal::Misfit(_) => Told::Misfit,
    }
}

fn request(number: usize, question: &Question) -> ResumeRequest {
    let Asked { name, kind, is_integer, expires_at, default } = question.asked;
    ResumeRequest {
        id: ResumeId::new(number.to_string()),
        name: name.into(),
        kind,
        schema: is_integer.then(|| json(r#"{"type":"integer"}"#)),
        ui: None,
        asked_at_span_id: SpanId::new("pause"),
        asked_at: Timestamp(question.asked_at),
        expires_at: expires_at.map(Timestamp),
        default: default.map(json),
        url: None,
        is_ahead: false,
        answer: question.answer.map(|(said, whose, at)| Answer {
            outcome: outcome(said, name),
            resumed_at: Timestamp(at),
            resumed_by: answerer(whose),
        }),
        is_carried: false,
    }
}

fn outcome(said: Said, name: &'static str) -> Outcome {
    match said {
        Said::Returned(payload) => Outcome::Returned(json(payload)),
        Said::ChildFailed => Outcome::Raised(Raised {
            class: "pyhero:ChildFailed".into(),
            message: String::new(),
            traceback: String::new(),
            args: None,
        }),
        // The exception is worded in one place, and the document leaves it there.
        Said::TimedOut => {
            let (kind, is_integer, expires_at, default) = (RequestKind::Pause, false, None, None);
            let asked = Asked { name, kind, is_integer, expires_at, default };
            request(0, &Question { asked, asked_at: 0, answer: None }).outcome_on_expiry()
        }
    }
}

fn answerer(whose: Whose) -> Answerer {
    match whose {
        Whose::Rpc => Answerer::Rpc { uid: 1000 },
        Whose::Prefill(pattern) => Answerer::Prefill { pattern: pattern.into() },
        Whose::Timer => Answerer::Timer,
        Whose::Child => Answerer::Child,
    }
}

fn launch_end(exit: Exit, reported: Reported, progress: bool, timed_out: bool) -> LaunchEnd {
    let result = |outcome, is_definition_error| {
        Some(FlowResult { outcome, is_definition_error, left_over: Vec::new() })
    };
    LaunchEnd {
        exit: match exit {
            Exit::Code(code) => hero_core::Exit::Code(code),
            Exit::Signal => hero_core::Exit::Signal(9, "SIGKILL".into()),
            Exit::NotStarted => hero_core::Exit::NotStarted("no such file".into()),
        },
        result: match reported {
            Reported::Nothing => None,
            Reported::Returned(payload) => result(outcome(Said::Returned(payload), ""), false),
            Reported::Raised => result(outcome(Said::ChildFailed, ""), false),
            Reported::RaisedDefinition => result(outcome(Said::ChildFailed, ""), true),
        },
        has_progressed: progress,
        was_timed_out: timed_out,
        left_over: Vec::new(),
        open_span: None,
        last_words: String::new(),
        spent: Spent::default(),
    }
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("JSON")
}
