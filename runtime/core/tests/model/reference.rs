//! What section 5 of PROTOCOL.md says, a second time and as plainly as can be.
//!
//! Written from the document and not from the code, so that a mistake would have to be made twice. It
//! knows a play only by what the document names, and answers each happening in the words of its tables.

use hero_schema::{FailureKind, PlayStatus, RequestKind};

use crate::words::{
    Asked, Exit, Happening, Payload, Question, Reference, Reported, Said, Then, Told, Whose,
    matches,
};

impl Reference {
    /// One cell of the table of events, or one row of the table of launch ends.
    pub(crate) fn happens(&mut self, happening: Happening, now: i64) -> Told {
        use PlayStatus::{Cancelled, Pending, Running, TimedOut};
        let is_stale = |launch| launch != self.launch;
        let (status, is_ended) = (self.status, self.status.is_ended());
        let told = match happening {
            Happening::LaunchDue if matches!(status, Pending | Running) => self.relaunch(now),
            Happening::LaunchDue => Told::Illegal,

            Happening::Asked { launch, .. } if is_stale(launch) => Told::Stale,
            Happening::Asked { .. } if is_ended => Told::Ended,
            Happening::Asked { question, asked, .. } if status == Running => {
                self.asks(question, asked, now)
            }
            Happening::Asked { .. } => Told::Illegal,

            Happening::Answered { question, said, whose } => {
                let stored = &self.questions[&question];
                match stored.answer {
                    Some((stands, ..)) if stands == said => Told::NoChange,
                    Some(_) => Told::Conflict,
                    None if is_ended => Told::Ended,
                    None if stored.asked.kind == RequestKind::Child && whose != Whose::Child => {
                        Told::ChildOnly
                    }
                    None if !stored.asked.takes(said) => Told::Misfit,
                    None => self.answer(question, said, whose, now),
                }
            }
            Happening::Expired { question } => {
                let stored = &self.questions[&question];
                match stored.asked.default {
                    _ if is_ended || stored.answer.is_some() => Told::NoChange,
                    Some(default) => {
                        self.answer(question, Said::Returned(default), Whose::Timer, now)
                    }
                    None => self.answer(question, Said::TimedOut, Whose::Timer, now),
                }
            }

            Happening::Prefilled { .. } if is_ended => Told::Ended,
            Happening::Prefilled { pattern, payload } => {
                self.prefill.insert(pattern, payload);
                Told::Changed(Then::Nothing)
            }
            Happening::CancelRequested if status == Cancelled => Told::NoChange,
            Happening::CancelRequested if is_ended => Told::Ended,
            Happening::CancelRequested => self.stop(Cancelled, now),

            Happening::LaunchEnded { launch, .. } if is_stale(launch) || status != Running => {
                Told::NoChange
            }
            Happening::LaunchEnded { exit, reported, progress, timed_out, .. } => {
                self.launch_ends(exit, reported, progress, timed_out, now)
            }

            Happening::DeadlineSet { .. } if is_ended => Told::Ended,
            Happening::DeadlineSet { .. } if status != Running => Told::Illegal,
            Happening::DeadlineSet { launch, .. } if is_stale(launch) => Told::Stale,
            Happening::DeadlineSet { .. } if self.deadline.is_some() => Told::NoChange,
            Happening::DeadlineSet { micros, .. } => {
                self.deadline = self.started_at.map(|start| start + micros);
                Told::Changed(Then::Nothing)
            }
            Happening::DeadlinePassed if is_ended => Told::Illegal,
            Happening::DeadlinePassed => self.stop(TimedOut, now),
        };
        self.n_changes += u64::from(matches!(told, Told::Changed(_)));
        told
    }

    fn relaunch(&mut self, now: i64) -> Told {
        self.status = PlayStatus::Running;
        self.launch += 1;
        self.n_unseen = 0;
        self.started_at = self.started_at.or(Some(now));
        Told::Changed(Then::Launch)
    }

    fn asks(&mut self, question: usize, asked: Asked, now: i64) -> Told {
        let stored = self.questions.get(&question).cloned();
        if stored.as_ref().is_some_and(|stored| stored.answer.is_some()) {
            return Told::Changed(Then::Nothing);
        }
        let stored = stored.unwrap_or(Question { asked, asked_at: now, answer: None });
        let takes_prefill = matches!(stored.asked.kind, RequestKind::Pause | RequestKind::Callback);
        match self.prefill_for(stored.asked.name).filter(|_| takes_prefill) {
            Some((_, payload)) if !stored.asked.takes(Said::Returned(payload)) => {
                return self.fail(FailureKind::PrefillMismatch, Then::Kill, now);
            }
            Some((pattern, payload)) => {
                let answer = Some((Said::Returned(payload), Whose::Prefill(pattern), now));
                self.prefill_used.insert(pattern);
                self.questions.insert(question, Question { answer, ..stored });
            }
            None if self.prefill_only && takes_prefill => {
                return self.fail(FailureKind::PrefillMissing, Then::Kill, now);
            }
            None => {
                self.asked_in = self.launch;
                self.questions.insert(question, stored);
            }
        }
        Told::Changed(Then::Nothing)
    }

    fn answer(&mut self, question: usize, said: Said, whose: Whose, now: i64) -> Told {
        let stored = self.questions.get_mut(&question).expect("was asked");
        stored.answer = Some((said, whose, now));
        self.n_unseen += 1;
        if let Whose::Prefill(pattern) = whose {
            self.prefill_used.insert(pattern);
        }
        match self.status {
            PlayStatus::AwaitingResume => self.relaunch(now),
            _ => Told::Changed(Then::Nothing),
        }
    }

    fn launch_ends(
        &mut self,
        exit: Exit,
        reported: Reported,
        progress: bool,
        timed_out: bool,
        now: i64,
    ) -> Told {
        use Exit::{Code, NotStarted, Signal};
        use FailureKind::{Definition, Exception, NoResult, PauseWithoutRequest};
        use Reported::{Raised, RaisedDefinition, Returned};
        let has_asked = self.asked_in == self.launch;
        let failed = match (exit, reported) {
            _ if timed_out => {
                self.n_deaths_in_a_row = 0;
                return self.relaunch(now);
            }
            (Code(75), _) if has_asked => {
                self.n_deaths_in_a_row = 0;
                if self.n_open() == 0 || self.n_unseen > 0 {
                    return self.relaunch(now);
                }
                self.status = PlayStatus::AwaitingResume;
                return Told::Changed(Then::Nothing);
            }
            (Code(75), _) => PauseWithoutRequest,
            (Code(_), _) if has_asked => FailureKind::RequestWithoutPause,
            (Code(0), Returned(output)) => {
                self.output = Some(output);
                return self.stop(PlayStatus::Success, now);
            }
            (Code(0), _) => NoResult,
            (Code(1 | 2), Raised) => Exception,
            (Code(1 | 2), RaisedDefinition) => Definition,
            (NotStarted, _) => FailureKind::NotStarted,
            (Code(_) | Signal, _) => {
                self.n_deaths_in_a_row = if progress { 0 } else { self.n_deaths_in_a_row + 1 };
                if self.n_deaths_in_a_row <= 3 {
                    return self.relaunch(now);
                }
                FailureKind::Crashed
            }
        };
        self.fail(failed, Then::Nothing, now)
    }

    fn fail(&mut self, kind: FailureKind, then: Then, now: i64) -> Told {
        self.failure = Some(kind);
        self.status = PlayStatus::Failed;
        self.ended_at = Some(now);
        Told::Changed(then)
    }

    fn stop(&mut self, status: PlayStatus, now: i64) -> Told {
        let is_killed = self.status == PlayStatus::Running && status != PlayStatus::Success;
        self.status = status;
        self.ended_at = Some(now);
        Told::Changed(if is_killed { Then::Kill } else { Then::Nothing })
    }

    pub(crate) fn n_open(&self) -> u32 {
        let open = self.questions.values().filter(|question| question.answer.is_none());
        u32::try_from(open.count()).expect("few")
    }

    /// The exact name first, then the glob with the longest literal beginning.
    fn prefill_for(&self, name: &str) -> Option<(&'static str, Payload)> {
        let literal = |pattern: &str| pattern.chars().take_while(|c| !"*?".contains(*c)).count();
        let globs = self.prefill.iter().filter(|(pattern, _)| matches(pattern, name));
        let longest = globs.max_by_key(|(pattern, _)| (**pattern == name, literal(pattern)));
        longest.map(|(pattern, payload)| (*pattern, *payload))
    }
}
