//! Several deciders on one play: each reads, decides, and stores only on the revision it has read.
//!
//! All interleavings are tried, not a sample of them. Whatever the order, what stands in the end must be
//! what the [`Reference`] makes of the happenings in the order in which they took effect.

use hero_schema::{LaunchNumber, PlayStatus, RequestKind};

use crate::stored::{Decided, Stored};
use crate::words::{Asked, Exit, Happening, Payload, Reference, Reported, Said, Then, Told, Whose};

/// When the question expires, and the play.
const T: i64 = 100;

/// Who wants to change the play.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Actor {
    Answers(Payload),
    Expiry,
    Deadline,
    Cancels,
    /// The process that stood at the pause is gone.
    Exits,
}

const ACTORS: [Actor; 6] = [
    Actor::Answers("1"),
    Actor::Answers("2"),
    Actor::Expiry,
    Actor::Deadline,
    Actor::Cancels,
    Actor::Exits,
];

/// How far an actor has come with one try.
#[derive(Clone, Debug)]
enum Progress {
    Begins,
    /// Has read this revision and decided; not stored yet.
    Decided(u64, Box<Decided>),
    Done(Told),
}

#[derive(Clone)]
struct Race {
    stored: Stored,
    model: Reference,
    runners: Vec<(Actor, Progress)>,
    now: i64,
}

impl Race {
    /// A play that stands at its one question; with `is_exiting` its process is still there.
    fn at_question(is_exiting: bool, actors: &[Actor], now: i64) -> Self {
        let (stored, model) = (Stored::new(false), Reference::new(false));
        let runners = actors.iter().map(|&actor| (actor, Progress::Begins)).collect();
        let mut race = Self { stored, model, runners, now: 0 };
        let asked = Asked {
            name: "approve",
            kind: RequestKind::Pause,
            is_integer: true,
            expires_at: Some(T),
            default: Some("7"),
        };
        race.happens(Happening::LaunchDue);
        race.happens(Happening::DeadlineSet { launch: 1, micros: T });
        race.happens(Happening::Asked { launch: 1, question: 0, asked });
        if !is_exiting {
            race.happens(exits());
        }
        race.now = now;
        race
    }

    /// One event without a rival.
    fn happens(&mut self, happening: Happening) -> Told {
        let (told, change) = self.stored.decide(happening, self.now);
        self.takes_effect(happening, told);
        if let Some(change) = change {
            self.stored.store(change);
        }
        told
    }

    /// Every order in which the actors' reads and writes can fall; `check` sees how each one ends.
    fn every_interleaving(&self, check: &mut impl FnMut(&Self)) {
        let mut is_over = true;
        for runner in 0..self.runners.len() {
            if matches!(self.runners[runner].1, Progress::Done(_)) {
                continue;
            }
            is_over = false;
            let mut then = self.clone();
            then.moves(runner);
            then.every_interleaving(check);
        }
        if is_over {
            check(self);
        }
    }

    /// An actor reads and decides, or stores what it has decided if nobody came first.
    fn moves(&mut self, runner: usize) {
        let (actor, progress) = self.runners[runner].clone();
        let happening = self.happening(actor);
        self.runners[runner].1 = match progress {
            Progress::Begins => match self.stored.decide(happening, self.now) {
                (told, None) => {
                    self.takes_effect(happening, told);
                    Progress::Done(told)
                }
                decided => Progress::Decided(self.stored.play.revision, Box::new(decided)),
            },
            Progress::Decided(revision, _) if revision != self.stored.play.revision => {
                Progress::Begins
            }
            Progress::Decided(_, decided) => {
                let (told, change) = *decided;
                self.takes_effect(happening, told);
                self.stored.store(change.expect("a change was decided"));
                Progress::Done(told)
            }
            Progress::Done(_) => unreachable!("it is done"),
        };
    }

    fn happening(&self, actor: Actor) -> Happening {
        match actor {
            Actor::Answers(payload) => answers(payload),
            Actor::Expiry => Happening::Expired { question: 0 },
            Actor::Deadline => Happening::DeadlinePassed,
            Actor::Cancels => Happening::CancelRequested,
            Actor::Exits => exits(),
        }
    }

    fn takes_effect(&mut self, happening: Happening, told: Told) {
        assert_eq!(told, self.model.happens(happening, self.now), "{happening:?}");
    }

    fn n_told(&self, is_meant: impl Fn(Actor, Told) -> bool) -> usize {
        let told = self.runners.iter().filter(|(actor, progress)| match progress {
            Progress::Done(told) => is_meant(*actor, *told),
            _ => panic!("{actor:?} is not done"),
        });
        told.count()
    }

    /// What must be true of every end, and stay true whatever timer is left over.
    fn holds(mut self) {
        assert_eq!(self.stored, self.stored.expected(&self.model));
        let answers = self.n_told(|actor, told| {
            matches!(actor, Actor::Answers(_) | Actor::Expiry) && matches!(told, Told::Changed(_))
        });
        let ends = self.n_told(|actor, told| {
            matches!(actor, Actor::Deadline | Actor::Cancels) && matches!(told, Told::Changed(_))
        });
        let answered = self.stored.requests[&0].answer.clone();
        assert_eq!(answers, usize::from(answered.is_some()), "one answer wins, and it is stored");
        assert_eq!(ends, usize::from(self.stored.play.status.is_ended()), "one end wins");
        assert!(self.n_launches() <= 1, "one relaunch for one answer");
        for later in [T - 1, T, T + 1, T + 1_000_000] {
            self.now = self.now.max(later);
            self.happens(Happening::Expired { question: 0 });
            if self.stored.play.status == PlayStatus::Running && later > T + 1 {
                self.happens(Happening::DeadlinePassed);
            }
            if answered.is_some() {
                assert_eq!(
                    self.stored.requests[&0].answer, answered,
                    "a late timer took the payload"
                );
            }
        }
    }

    fn n_launches(&self) -> usize {
        self.n_told(|_, told| told == Told::Changed(Then::Launch))
    }
}

fn answers(payload: Payload) -> Happening {
    Happening::Answered { question: 0, said: Said::Returned(payload), whose: Whose::Rpc }
}

fn exits() -> Happening {
    let (exit, reported) = (Exit::Code(75), Reported::Nothing);
    Happening::LaunchEnded { launch: 1, exit, reported, progress: true, timed_out: false }
}

/// Every choice of three actors; the same one may try more than once.
fn triples() -> impl Iterator<Item = [Actor; 3]> {
    let from = |least: usize| least..ACTORS.len();
    from(0).flat_map(move |a| {
        from(a).flat_map(move |b| from(b).map(move |c| [ACTORS[a], ACTORS[b], ACTORS[c]]))
    })
}

/// The clock lets a timer act from its moment on, and not before.
fn may_act(actor: Actor, now: i64) -> bool {
    !matches!(actor, Actor::Expiry | Actor::Deadline) || now >= T
}

#[test]
fn of_answers_timers_and_ends_that_race_exactly_one_wins_in_every_interleaving() {
    let mut n_interleavings = 0;
    for now in [T - 1, T, T + 1] {
        for actors in triples().filter(|actors| actors.iter().all(|&actor| may_act(actor, now))) {
            let is_exiting = actors.contains(&Actor::Exits);
            Race::at_question(is_exiting, &actors, now).every_interleaving(&mut |end| {
                n_interleavings += 1;
                end.clone().holds();
            });
        }
    }
    assert!(n_interleavings > 10_000, "only {n_interleavings} interleavings");
}

/// `kestra#18507`: a timer that was left over after a manual answer took the payload away.
#[test]
fn kestra_18507_timer_wipes_payload() {
    for fires_at in [T - 1, T, T + 1, T + 1_000_000] {
        let mut race = Race::at_question(false, &[Actor::Expiry], fires_at);
        // The timer has read the question before the answer comes, and stores after it.
        race.moves(0);
        assert_eq!(race.happens(answers("1")), Told::Changed(Then::Launch));
        let answered = race.stored.requests[&0].clone();
        while !matches!(race.runners[0].1, Progress::Done(_)) {
            race.moves(0);
        }
        assert!(matches!(race.runners[0].1, Progress::Done(Told::NoChange)));
        assert_eq!(race.stored.requests[&0], answered);
        assert_eq!(race.stored.play.launch, LaunchNumber(2), "and starts nothing");
    }
}

/// `mastra#20443`: resumes at the same time each went on with the play.
#[test]
fn mastra_20443_concurrent_resume() {
    for (payload, loser) in [("1", Told::NoChange), ("2", Told::Conflict)] {
        let mut actors = vec![Actor::Answers(payload); 64];
        actors[63] = Actor::Answers("1");
        let mut race = Race::at_question(false, &actors, 1);
        (0..64).for_each(|runner| race.moves(runner));
        race.moves(63);
        for runner in 0..63 {
            while !matches!(race.runners[runner].1, Progress::Done(_)) {
                race.moves(runner);
            }
        }
        assert_eq!(race.n_launches(), 1);
        assert_eq!(race.n_told(|_, told| told == loser), 63);
        race.holds();
    }
}
