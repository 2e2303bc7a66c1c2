//! The words of the tables: what happens to a play, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use hero_schema::{FailureKind, PlayStatus, RequestKind};

/// JSON text. All payloads here are spelled in one way, so equal text is an equal value.
pub(crate) type Payload = &'static str;

/// A play as far as the document speaks of it.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) status: PlayStatus,
    pub(crate) launch: u32,
    pub(crate) n_changes: u64,
    pub(crate) questions: BTreeMap<usize, Question>,
    /// Answers that came since the launch was handed its memory.
    pub(crate) n_unseen: u32,
    /// The latest launch that stood at a pause without an answer.
    pub(crate) asked_in: u32,
    pub(crate) n_deaths_in_a_row: u32,
    pub(crate) prefill: BTreeMap<&'static str, Payload>,
    pub(crate) prefill_used: BTreeSet<&'static str>,
    pub(crate) prefill_only: bool,
    pub(crate) failure: Option<FailureKind>,
    pub(crate) output: Option<Payload>,
    pub(crate) deadline: Option<i64>,
    pub(crate) started_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
}

impl Reference {
    /// A play that was accepted.
    pub(crate) fn new(prefill_only: bool) -> Self {
        Self {
            status: PlayStatus::Pending,
            launch: 0,
            n_changes: 0,
            questions: BTreeMap::new(),
            n_unseen: 0,
            asked_in: 0,
            n_deaths_in_a_row: 0,
            prefill: BTreeMap::new(),
            prefill_used: BTreeSet::new(),
            prefill_only,
            failure: None,
            output: None,
            deadline: None,
            started_at: None,
            ended_at: None,
        }
    }
}

/// A question that was asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) asked: Asked,
    pub(crate) asked_at: i64,
    pub(crate) answer: Option<(Said, Whose, i64)>,
}

/// What a launch says when it asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    pub(crate) kind: RequestKind,
    /// Whether the schema takes integers only; else there is none.
    pub(crate) is_integer: bool,
    pub(crate) expires_at: Option<i64>,
    pub(crate) default: Option<Payload>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Said {
    Returned(Payload),
    /// `PauseTimeout`.
    TimedOut,
    /// The exception of a child play.
    ChildFailed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Whose {
    Rpc,
    Prefill(&'static str),
    Timer,
    Child,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exit {
    Code(i32),
    Signal,
    NotStarted,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reported {
    Nothing,
    Returned(Payload),
    Raised,
    RaisedDefinition,
}

/// A row of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    LaunchDue,
    Asked { launch: u32, question: usize, asked: Asked },
    Answered { question: usize, said: Said, whose: Whose },
    Expired { question: usize },
    Prefilled { pattern: &'static str, payload: Payload },
    LaunchEnded { launch: u32, exit: Exit, reported: Reported, progress: bool, timed_out: bool },
    DeadlineSet { launch: u32, micros: i64 },
    DeadlinePassed,
    CancelRequested,
}

/// What is told to whoever caused the happening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    Changed(Then),
    NoChange,
    Ended,
    Illegal,
    Stale,
    Conflict,
    Misfit,
    ChildOnly,
}

/// What the supervisor does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    Nothing,
    Launch,
    Kill,
}

impl Asked {
    /// Whether the schema of the question accepts this.
    pub(crate) fn takes(&self, said: Said) -> bool {
        match said {
            Said::Returned(payload) => !self.is_integer || payload.parse::<i64>().is_ok(),
            Said::TimedOut | Said::ChildFailed => true,
        }
    }
}

/// `*` is any text, `?` one character.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (Some(first), rest) = (pattern.chars().next(), pattern.get(1..).unwrap_or("")) else {
        return name.is_empty();
    };
    match first {
        '*' => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        '?' => !name.is_empty() && matches(rest, &name[1..]),
        literal => name.starts_with(literal) && matches(rest, &name[1..]),
    }
}
