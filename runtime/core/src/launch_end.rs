//! How a launch ended.

use hero_schema::frame::FlowResult;
use hero_schema::{LeftOver, Raised, SpanId, Usage};

/// How many times in a row a launch that died without progress is followed by another.
pub(crate) const RELAUNCHES_WITHOUT_PROGRESS_MAX: u32 = 3;

/// How a launch ended, as far as the process and its frames tell.
#[derive(Clone, Debug)]
pub struct LaunchEnd {
    /// What the process left.
    pub exit: Exit,
    /// The `result` frame, if one came.
    pub result: Option<FlowResult>,
    /// Whether it stored an outcome or a request that was not there before.
    pub has_progressed: bool,
    /// Whether it was ended because a step ran out of time; the outcome of the step is stored.
    pub was_timed_out: bool,
    /// The remembered steps it did not ask for.
    pub left_over: Vec<LeftOver>,
    /// The innermost span that was open.
    pub open_span: Option<SpanId>,
    /// The last lines of its standard error, and the Python stack where it left one.
    pub last_words: String,
    /// What was spent.
    pub spent: Spent,
}

/// What was spent, as spans were annotated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// By all launches, in steps that have an outcome: they are replayed from now on, so it is spent
    /// once. None where that is not known just now.
    pub of_outcomes: Option<Usage>,
    /// By this launch, in steps that it did not complete: they run again.
    pub in_vain: Usage,
    /// By this launch, outside of steps: every launch annotates it again, so only the latest one counts.
    pub of_the_rest: Usage,
}

/// What a process leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// An exit code.
    Code(i32),
    /// A signal, by number and name.
    Signal(i32, String),
    /// The system killed it for lack of memory.
    OutOfMemory,
    /// It never began; the text says why.
    NotStarted(String),
}

impl Exit {
    /// What happened to the process: completes "the process …".
    pub fn cause(&self) -> String {
        match self {
            Self::Code(code) => format!("exited {code}"),
            Self::Signal(number, name) => {
                let limit = limit_of(name).map(|limit| format!(": {limit}")).unwrap_or_default();
                format!("was killed by {name} (signal {number}){limit}")
            }
            Self::OutOfMemory => "was killed by the system for lack of memory (SIGKILL)".into(),
            Self::NotStarted(reason) => format!("could not be started: {reason}"),
        }
    }

    /// The death of the process as what ended its open spans. No exception of Python: the class
    /// cannot be imported.
    pub fn as_raised(&self, last_words: &str) -> Raised {
        Raised {
            class: "hero_logic:ProcessDied".into(),
            message: format!("the process {}", self.cause()),
            traceback: last_words.to_owned(),
            args: None,
        }
    }
}

/// The limit that a signal stands for.
fn limit_of(signal: &str) -> Option<&'static str> {
    match signal {
        "SIGXCPU" => Some("it used up the processor time it may have (RLIMIT_CPU)"),
        "SIGXFSZ" => Some("it wrote a larger file than it may (RLIMIT_FSIZE)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_names_the_signal_and_the_limit_behind_it() {
        let causes = [
            (Exit::Code(3), "exited 3"),
            (Exit::Signal(11, "SIGSEGV".into()), "was killed by SIGSEGV (signal 11)"),
            (
                Exit::Signal(24, "SIGXCPU".into()),
                "was killed by SIGXCPU (signal 24): it used up the processor time it may have (RLIMIT_CPU)",
            ),
            (Exit::OutOfMemory, "was killed by the system for lack of memory (SIGKILL)"),
        ];
        for (exit, cause) in causes {
            assert_eq!(exit.cause(), cause);
            assert_eq!(exit.as_raised("").message, format!("the process {cause}"));
        }
    }
}
