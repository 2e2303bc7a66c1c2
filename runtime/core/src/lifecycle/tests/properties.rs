//! What holds after any sequence of events, found by trying many.
//!
//! A small shell stands beside the core: it keeps the play and its requests as a store would, feeds
//! events in, and knows by its own reckoning what must be true.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// An event without the parts that only the shell knows.
#[derive(Clone, Debug)]
enum Happening {
    LaunchDue,
    Asked { request: usize, is_stale: bool },
    Answered { request: usize, payload: u8, by_prefill: bool },
    Prefilled { request: usize, payload: u8 },
    Ended { exit: Exit, result: Option<FlowResult>, has_progressed: bool, is_stale: bool },
    DeadlinePassed,
    CancelRequested,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn happening() -> impl Strategy<Value = Happening> {
    let request = 0..NAMES.len();
    let rarely = || prop::bool::weighted(0.1);
    prop_oneof![
        3 => Just(Happening::LaunchDue),
        6 => (request.clone(), rarely())
            .prop_map(|(request, is_stale)| Happening::Asked { request, is_stale }),
        4 => (request.clone(), 0u8..3, rarely()).prop_map(|(request, payload, by_prefill)| {
            Happening::Answered { request, payload, by_prefill }
        }),
        1 => (request, 0u8..3)
            .prop_map(|(request, payload)| Happening::Prefilled { request, payload }),
        6 => (any_exit(), any_result(), any::<bool>(), rarely()).prop_map(
            |(exit, result, has_progressed, is_stale)| {
                Happening::Ended { exit, result, has_progressed, is_stale }
            }
        ),
        1 => Just(Happening::DeadlinePassed),
        1 => Just(Happening::CancelRequested),
    ]
}

fn any_exit() -> impl Strategy<Value = Exit> {
    prop_oneof![
        4 => Just(Exit::Code(exit::PAUSED)),
        4 => Just(Exit::Signal(9, "SIGKILL".into())),
        2 => (0..=255).prop_map(Exit::Code),
        1 => Just(Exit::Code(exit::SUCCESS)),
    ]
}

fn any_result() -> impl Strategy<Value = Option<FlowResult>> {
    prop::sample::select(vec!["none", "none", "returned", "raised", "raised, definition"])
        .prop_map(result)
}

/// Keeps what a store would keep, and counts for itself.
struct Shell {
    play: PlayRecord,
    requests: BTreeMap<usize, ResumeRequest>,
    /// Relaunches since the last sign of progress.
    n_relaunches_in_a_row: u32,
}

impl Shell {
    fn new(prefill_only: bool) -> Self {
        let play = PlayRecord { prefill_only, ..play(PlayStatus::Pending) };
        Self { play, requests: BTreeMap::new(), n_relaunches_in_a_row: 0 }
    }

    fn event(&self, happening: Happening) -> Option<Event> {
        let spoken_by = |is_stale| match is_stale {
            true => LaunchNumber(self.play.launch.0.wrapping_sub(1)),
            false => self.play.launch,
        };
        let payload = |number: u8| json(&number.to_string());
        Some(match happening {
            Happening::LaunchDue => Event::LaunchDue,
            Happening::Asked { request: index, is_stale } => Event::Asked {
                launch: spoken_by(is_stale),
                asked: request(NAMES[index]),
                stored: self.requests.get(&index).cloned(),
            },
            Happening::Answered { request: index, payload: number, by_prefill } => {
                Event::Answered {
                    request: self.requests.get(&index)?.clone(),
                    outcome: Outcome::Returned(payload(number)),
                    by: match by_prefill {
                        true => Answerer::Prefill { pattern: NAMES[index].into() },
                        false => Answerer::Rpc { uid: 1000 },
                    },
                }
            }
            Happening::Prefilled { request: index, payload: number } => Event::Prefilled {
                entries: BTreeMap::from([(NAMES[index].into(), payload(number))]),
            },
            Happening::Ended { exit, result, has_progressed, is_stale } => Event::LaunchEnded {
                launch: spoken_by(is_stale),
                end: LaunchEnd { exit, result, has_progressed, ..launch_end() },
            },
            Happening::DeadlinePassed => Event::DeadlinePassed,
            Happening::CancelRequested => Event::CancelRequested,
        })
    }

    /// Applies an event and holds the core to its promises.
    fn step(&mut self, happening: Happening, now: Timestamp) -> Result<(), TestCaseError> {
        let Some(event) = self.event(happening) else { return Ok(()) };
        let is_death = matches!(
            &event,
            Event::LaunchEnded { end: LaunchEnd { exit, has_progressed: false, .. }, .. }
                if *exit != Exit::Code(exit::PAUSED)
        );
        let was_due = matches!(event, Event::LaunchDue);
        let Ok(Decision::Change(transition)) = apply(&self.play, event, now) else { return Ok(()) };
        let Transition { play: next, request, effects } = *transition;

        prop_assert_eq!(next.revision, self.play.revision + 1);
        prop_assert!(!self.play.status.is_ended(), "a terminal state changed");
        prop_assert!(
            is_edge(self.play.status, next.status),
            "{:?} → {:?}",
            self.play.status,
            next.status
        );
        self.hold_effects(&next, &effects)?;
        if let Some(request) = request {
            self.hold_request(request)?;
        }
        match (is_death, was_due) {
            (true, _) => self.n_relaunches_in_a_row += 1,
            // A restarted supervisor says nothing about the play's own progress.
            (false, true) => {}
            (false, false) if next.launch != self.play.launch => self.n_relaunches_in_a_row = 0,
            (false, false) if next.status == PlayStatus::AwaitingResume => {
                self.n_relaunches_in_a_row = 0;
            }
            (false, false) => {}
        }
        self.play = next;
        self.hold_play(now)
    }

    /// A launch starts exactly when the number grows, by one, and only the current one is killed.
    fn hold_effects(&self, next: &PlayRecord, effects: &[Effect]) -> Result<(), TestCaseError> {
        let is_relaunched = next.launch != self.play.launch;
        let expected = if is_relaunched {
            prop_assert_eq!(next.launch, self.play.launch.next());
            prop_assert_eq!(next.n_fresh_answers, 0);
            vec![Effect::Launch(next.launch)]
        } else {
            effects.iter().filter(|_| next.status.is_ended()).cloned().collect()
        };
        prop_assert_eq!(effects, &expected[..]);
        prop_assert!(effects.iter().all(|effect| matches!(effect,
            Effect::Launch(launch) | Effect::Kill(launch) if *launch == next.launch)));
        Ok(())
    }

    /// An answer, once stored, is never altered.
    fn hold_request(&mut self, request: ResumeRequest) -> Result<(), TestCaseError> {
        let index = NAMES.iter().position(|&name| name == request.name).expect("one of ours");
        if let Some(Some(answer)) = self.requests.get(&index).map(|stored| &stored.answer) {
            prop_assert_eq!(Some(answer), request.answer.as_ref());
        }
        self.requests.insert(index, request);
        Ok(())
    }

    fn hold_play(&self, now: Timestamp) -> Result<(), TestCaseError> {
        let play = &self.play;
        let n_open = self.requests.values().filter(|request| request.is_open()).count();
        prop_assert_eq!(play.n_open_requests as usize, n_open);
        prop_assert_eq!(play.ended_at.is_some(), play.status.is_ended());
        prop_assert!(play.ended_at.is_none_or(|ended| ended == now));
        prop_assert_eq!(play.output.is_some(), play.status == PlayStatus::Success);
        prop_assert_eq!(play.failure.is_some(), play.status == PlayStatus::Failed);
        prop_assert_eq!(
            play.status == PlayStatus::Pending,
            play.launch == LaunchNumber(0) && !play.status.is_ended()
        );
        if play.status == PlayStatus::AwaitingResume {
            prop_assert!(n_open > 0, "waits for nothing");
            prop_assert_eq!(play.n_fresh_answers, 0, "an answer was left unseen");
        }
        if play.status == PlayStatus::Running {
            prop_assert!(self.n_relaunches_in_a_row <= RELAUNCHES_WITHOUT_PROGRESS_MAX);
        }
        Ok(())
    }
}

/// The edges of DESIGN's line `pending → running → awaiting_resume → running → … → ended`; a change
/// that keeps the status (an answer while running, a relaunch) is no edge and always possible.
fn is_edge(from: PlayStatus, to: PlayStatus) -> bool {
    use PlayStatus::{AwaitingResume, Cancelled, Pending, Running, TimedOut};
    match (from, to) {
        (Pending, Running) | (AwaitingResume, Running) => true,
        (Running, _) => to != Pending,
        (Pending | AwaitingResume, Cancelled | TimedOut) => true,
        _ => from == to,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_keeps_every_promise(
        happenings in prop::collection::vec(happening(), 1..60),
        prefill_only in prop::bool::weighted(0.1),
    ) {
        let mut shell = Shell::new(prefill_only);
        for (at, happening) in (1i64..).zip(happenings) {
            shell.step(happening, Timestamp(at))?;
        }
    }

    #[test]
    fn deaths_without_progress_end_after_a_bounded_number_of_launches(codes in prop::collection::vec(3..75, 4..40)) {
        let mut play = play(PlayStatus::Running);
        for code in codes {
            if let Ok(Decision::Change(transition)) = apply(&play, ended_as(&play, Exit::Code(code), None), NOW) {
                play = transition.play;
            }
        }
        prop_assert_eq!(play.status, PlayStatus::Failed);
        prop_assert_eq!(play.launch.0, CURRENT.0 + RELAUNCHES_WITHOUT_PROGRESS_MAX);
    }
}
