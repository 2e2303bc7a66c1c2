//! Random lives of a play, held after each step to a [`reference`] that was written from PROTOCOL.md.
//!
//! `HERO_TORTURE=1` tries 100,000 lives and not 500; `HERO_SEED=n` repeats the run that printed it.

mod races;
mod reference;
mod stored;
mod words;

use std::collections::BTreeSet;

use hero_schema::{PlayStatus, RequestKind};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, RngSeed, TestCaseResult, TestRunner};

use crate::stored::Stored;
use crate::words::{Asked, Exit, Happening, Payload, Reference, Reported, Said, Then, Told, Whose};

/// Something that happens around a play; what only the moment knows is filled in then.
#[derive(Clone, Debug)]
enum Step {
    Launch,
    Ask {
        question: usize,
        is_stale: bool,
    },
    Answer {
        question: usize,
        said: Said,
        whose: Whose,
    },
    Prefill {
        pattern: &'static str,
        payload: Payload,
    },
    End {
        exit: Exit,
        reported: Reported,
        progress: bool,
        timed_out: bool,
        is_stale: bool,
    },
    /// `kill -9` of the process.
    Kill,
    SetDeadline {
        micros: i64,
        is_stale: bool,
    },
    /// Time passes, and what falls due happens in order.
    Tick {
        micros: i64,
    },
    /// A timer that was set long ago, for whatever has become of its question.
    LateTimer {
        question: usize,
    },
    LateDeadline,
    Cancel,
    /// The supervisor forgets everything but what was stored, and starts again.
    Crash,
}

/// The questions that the flow may ask. `expires_at` counts from the moment it asks.
const QUESTIONS: [Asked; 6] = [
    question("approve", RequestKind::Pause, true, Some(6), Some("1")),
    question("approve[1]", RequestKind::Pause, false, None, None),
    question("amount", RequestKind::Callback, true, Some(3), None),
    question("sleep", RequestKind::Timer, false, Some(4), Some("null")),
    question("child", RequestKind::Child, true, None, None),
    question("again", RequestKind::Retry, false, Some(2), Some("null")),
];

const fn question(
    name: &'static str,
    kind: RequestKind,
    is_integer: bool,
    expires_at: Option<i64>,
    default: Option<Payload>,
) -> Asked {
    Asked { name, kind, is_integer, expires_at, default }
}

const PATTERNS: [&str; 6] = ["*", "a*", "app*", "approve[?]", "amount", "child"];
const PAYLOADS: [Payload; 4] = ["1", "2", "null", "\"x\""];

/// A play as the store, the process table and the reference have it.
struct Life {
    stored: Stored,
    model: Reference,
    /// The launches whose process is there; a supervisor that starts knows of none.
    processes: BTreeSet<u32>,
    now: i64,
}

impl Life {
    fn new(prefill_only: bool) -> Self {
        let (stored, model) = (Stored::new(prefill_only), Reference::new(prefill_only));
        Self { stored, model, processes: BTreeSet::new(), now: 0 }
    }

    fn takes(&mut self, step: &Step) -> TestCaseResult {
        self.now += 1;
        let current = self.model.launch;
        let speaker = |is_stale| if is_stale { current.wrapping_sub(1) } else { current };
        let was_asked = |question| self.model.questions.contains_key(&question);
        match *step {
            Step::Launch => self.happens(Happening::LaunchDue),
            Step::Ask { question, is_stale } => {
                let asked = QUESTIONS[question];
                let expires_at = asked.expires_at.map(|micros| self.now + micros);
                let asked = Asked { expires_at, ..asked };
                self.happens(Happening::Asked { launch: speaker(is_stale), question, asked })
            }
            Step::Answer { question, said, whose } if was_asked(question) => {
                self.happens(Happening::Answered { question, said, whose })
            }
            Step::LateTimer { question } if was_asked(question) => {
                self.happens(Happening::Expired { question })
            }
            Step::Answer { .. } | Step::LateTimer { .. } => Ok(()),
            Step::Prefill { pattern, payload } => {
                self.happens(Happening::Prefilled { pattern, payload })
            }
            Step::End { exit, reported, progress, timed_out, is_stale } => {
                let launch = speaker(is_stale);
                self.processes.remove(&launch);
                let ended = Happening::LaunchEnded { launch, exit, reported, progress, timed_out };
                self.happens(ended)
            }
            Step::Kill => self.processes.pop_first().map_or(Ok(()), |launch| {
                let (exit, reported) = (Exit::Signal, Reported::Nothing);
                let (progress, timed_out) = (false, false);
                let ended = Happening::LaunchEnded { launch, exit, reported, progress, timed_out };
                self.happens(ended)
            }),
            Step::SetDeadline { micros, is_stale } => {
                self.happens(Happening::DeadlineSet { launch: speaker(is_stale), micros })
            }
            Step::Tick { micros } => self.time_passes(micros),
            Step::LateDeadline => self.happens(Happening::DeadlinePassed),
            Step::Cancel => self.happens(Happening::CancelRequested),
            Step::Crash => self.crashes(),
        }
    }

    /// One event to both; what is told and what is stored must be the same.
    fn happens(&mut self, happening: Happening) -> TestCaseResult {
        let (told, change) = self.stored.decide(happening, self.now);
        let expected = self.model.happens(happening, self.now);
        prop_assert_eq!(told, expected, "{:?}", happening);
        if let Some(change) = change {
            self.stored.store(change);
        }
        prop_assert_eq!(&self.stored, &self.stored.expected(&self.model), "{:?}", happening);
        match told {
            Told::Changed(Then::Launch) => drop(self.processes.insert(self.model.launch)),
            Told::Changed(Then::Kill) => drop(self.processes.remove(&self.model.launch)),
            _ => {}
        }
        Ok(())
    }

    fn time_passes(&mut self, micros: i64) -> TestCaseResult {
        let until = self.now + micros;
        while let Some((at, happening)) = self.due().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.happens(happening)?;
        }
        self.now = until;
        Ok(())
    }

    /// What falls due first, by what is stored.
    fn due(&self) -> Option<(i64, Happening)> {
        let is_over = self.stored.play.status.is_ended();
        let open = self.stored.requests.iter().filter(|(_, request)| request.is_open());
        let expiries = open.filter_map(|(&question, request)| {
            Some((request.expires_at?.0, Happening::Expired { question }))
        });
        let deadline = self.stored.play.deadline.map(|at| (at.0, Happening::DeadlinePassed));
        expiries.chain(deadline).filter(|_| !is_over).min_by_key(|(at, _)| *at)
    }

    fn crashes(&mut self) -> TestCaseResult {
        let reopened = self.stored.reopened();
        prop_assert_eq!(&reopened, &self.stored, "a record does not survive the store");
        self.stored = reopened;
        self.processes.clear();
        match self.stored.play.status {
            PlayStatus::Pending | PlayStatus::Running => self.happens(Happening::LaunchDue)?,
            _ => {}
        }
        let status = self.model.status;
        let is_cared_for = status.is_at_rest() || self.processes.contains(&self.model.launch);
        prop_assert!(is_cared_for, "nobody goes on with a play that is `{}`", status);
        Ok(())
    }
}

fn life() -> impl Strategy<Value = (Vec<Step>, bool)> {
    (prop::collection::vec(step(), 1..60), prop::bool::weighted(0.1))
}

fn step() -> impl Strategy<Value = Step> {
    let question = || 0..QUESTIONS.len();
    let rarely = || prop::bool::weighted(0.1);
    let payload = || prop::sample::select(&PAYLOADS[..]);
    prop_oneof![
        2 => Just(Step::Launch),
        6 => (question(), rarely()).prop_map(|(question, is_stale)| Step::Ask { question, is_stale }),
        4 => (question(), payload(), any::<prop::sample::Index>()).prop_map(answer),
        1 => (prop::sample::select(&PATTERNS[..]), payload())
            .prop_map(|(pattern, payload)| Step::Prefill { pattern, payload }),
        6 => (exit(), reported(), any::<bool>(), rarely(), rarely()).prop_map(
            |(exit, reported, progress, timed_out, is_stale)| {
                Step::End { exit, reported, progress, timed_out, is_stale }
            }
        ),
        2 => Just(Step::Kill),
        1 => (0i64..30, rarely())
            .prop_map(|(micros, is_stale)| Step::SetDeadline { micros, is_stale }),
        2 => (0i64..8).prop_map(|micros| Step::Tick { micros }),
        1 => question().prop_map(|question| Step::LateTimer { question }),
        1 => rarely().prop_map(|is_odd| if is_odd { Step::LateDeadline } else { Step::Crash }),
        1 => rarely().prop_map(|is_odd| if is_odd { Step::Cancel } else { Step::Crash }),
    ]
}

/// Anyone may try to answer anything by RPC; prefill and children answer what is theirs.
fn answer((question, payload, chance): (usize, Payload, prop::sample::Index)) -> Step {
    let Asked { name, kind, .. } = QUESTIONS[question];
    let said = Said::Returned(payload);
    let (said, whose) = match (kind, chance.index(4)) {
        (RequestKind::Child, 0) => (Said::ChildFailed, Whose::Child),
        (RequestKind::Child, 1 | 2) => (said, Whose::Child),
        (RequestKind::Pause | RequestKind::Callback, 0) => (said, Whose::Prefill(name)),
        _ => (said, Whose::Rpc),
    };
    Step::Answer { question, said, whose }
}

fn exit() -> impl Strategy<Value = Exit> {
    prop_oneof![
        4 => Just(Exit::Code(75)),
        2 => Just(Exit::Signal),
        1 => (0..=255).prop_map(Exit::Code),
        1 => (0..=2).prop_map(Exit::Code),
        1 => prop::bool::weighted(0.2)
            .prop_map(|is_odd| if is_odd { Exit::NotStarted } else { Exit::Signal }),
    ]
}

fn reported() -> impl Strategy<Value = Reported> {
    prop::sample::select(vec![
        Reported::Nothing,
        Reported::Nothing,
        Reported::Returned("42"),
        Reported::Raised,
        Reported::RaisedDefinition,
    ])
}

#[test]
fn every_life_of_a_play_is_the_one_that_the_protocol_tells() {
    let is_torture = setting("HERO_TORTURE").is_some_and(|value| value == "1");
    let seed = setting("HERO_SEED").map(|seed| seed.parse().expect("a number"));
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: if is_torture { 100_000 } else { 500 },
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    });
    let lived = runner.run(&life(), |(steps, prefill_only)| {
        let mut life = Life::new(prefill_only);
        steps.iter().try_for_each(|step| life.takes(step))
    });
    if let Err(failure) = lived {
        panic!("{failure}\nagain: HERO_SEED={seed} cargo test -p hero_core --test model");
    }
}

#[expect(clippy::disallowed_methods, reason = "a setting of the test and not of the product")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
