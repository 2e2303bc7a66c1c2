//! How a launch ended.

use hero_schema::frame::FlowResult;
use hero_schema::{LeftOver, SpanId};

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
    /// The last lines of its standard error.
    pub last_words: String,
    /// What it has spent.
    pub cost: Cost,
}

/// Money that a launch has spent, in US dollars, as its spans were annotated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// In steps: they are replayed from now on, so it is spent once.
    pub of_steps_usd: f64,
    /// Outside of steps: every launch annotates it again, so only the latest one counts.
    pub of_the_rest_usd: f64,
}

/// What a process leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// An exit code.
    Code(i32),
    /// A signal, by number and name.
    Signal(i32, String),
    /// It never began; the text says why.
    NotStarted(String),
}
