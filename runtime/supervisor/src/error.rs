//! Why the supervisor cannot do what it was asked.

use std::path::PathBuf;

use hero_schema::{ErrorKind, PlaySid, PlayStatus, ResumeId, SpanId, Usage};

/// See the variants.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such play.
    #[error("there is no play `{0}`")]
    NoSuchPlay(PlaySid),
    /// The play has asked no such question.
    #[error("play `{play}` has no request `{request}`")]
    NoSuchRequest {
        /// The play.
        play: PlaySid,
        /// The request.
        request: ResumeId,
    },
    /// The URL of a callback was never given out, or names what is gone. Which of the two is not told.
    #[error("there is no such callback")]
    NoSuchCallback,
    /// The outcome of a play cannot be posted there.
    #[error("`{url}` takes no final callback: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Only a callback can be asked ahead.
    #[error("request `{request}` is asked ahead, and is no callback")]
    NotACallback {
        /// The request.
        request: ResumeId,
    },
    /// The play has no such span, or no step of it has completed.
    #[error("play `{play}` has no span `{span}`")]
    NoSuchSpan {
        /// The play.
        play: PlaySid,
        /// The span.
        span: SpanId,
    },
    /// There is no such workflow.
    #[error("there is no workflow `{0}`")]
    NoSuchWorkflow(String),
    /// The workflow has no such version, or several that could be meant.
    #[error("workflow `{workflow}` has {n_found} version `{version}`", n_found = if *is_ambiguous { "more than one" } else { "no" })]
    NoSuchVersion {
        /// The workflow, by its name.
        workflow: String,
        /// What was asked for.
        version: String,
        /// Whether several versions begin so.
        is_ambiguous: bool,
    },
    /// Only what has ended can be taken up again or removed.
    #[error("play `{play}` has not ended: it is `{status}`")]
    NotEnded {
        /// The play.
        play: PlaySid,
        /// What it is.
        status: PlayStatus,
    },
    /// A play cannot be moved while a process of it runs: what that completes meanwhile would be lost.
    #[error("play `{play}` is `{status}`, and is moved while it waits or once it has ended")]
    StillRuns {
        /// The play.
        play: PlaySid,
        /// What it is.
        status: PlayStatus,
    },
    /// The play was spawned by another one that waits for it.
    #[error("play `{play}` was spawned by play `{parent}`, which waits for it")]
    HasParent {
        /// The play.
        play: PlaySid,
        /// The other one.
        parent: PlaySid,
    },
    /// The play was made of a file: there is no workflow whose versions it could move to.
    #[error("play `{play}` is of no workflow")]
    NoWorkflow {
        /// The play.
        play: PlaySid,
    },
    /// The inputs of the play do not fit the version that it was to go to.
    #[error("the inputs of play `{play}` do not fit `{flow}`: {misfit}")]
    InputsMisfit {
        /// The play.
        play: PlaySid,
        /// The flow.
        flow: String,
        /// Where they do not.
        misfit: String,
    },
    /// There is nothing to try again.
    #[error("play `{play}` has succeeded")]
    Succeeded {
        /// The play.
        play: PlaySid,
    },
    /// A play has been started with this key.
    #[error("a play has been started with the idempotency key `{key}`")]
    KeyTaken {
        /// The key.
        key: String,
    },
    /// A retry would be over its budget before it begins.
    #[error("play `{play}` has spent ${} and {} tokens, which is more than the budget", spent.cost_usd, spent.tokens())]
    BudgetSpent {
        /// The play.
        play: PlaySid,
        /// What it, and the plays that it goes on from, have spent.
        spent: Usage,
    },
    /// There is no such schedule.
    #[error("there is no schedule `{0}`")]
    NoSuchSchedule(String),
    /// Another schedule has this name.
    #[error("there is a schedule `{0}` already")]
    NameTaken(String),
    /// There is no such time zone.
    #[error("there is no time zone {0:?}")]
    NoSuchTimeZone(String),
    /// What a schedule is to be due by cannot be.
    #[error(transparent)]
    NeverFits(#[from] hero_core::schedule::Unfit),
    /// A schedule would never fire.
    #[error("schedule `{schedule}` is never due: {over}")]
    NeverDue {
        /// Its name.
        schedule: String,
        /// Why.
        over: hero_core::schedule::Over,
    },
    /// The workflow of a schedule was removed.
    #[error("the workflow of schedule `{schedule}` is not there any more")]
    NothingToStart {
        /// Its name.
        schedule: String,
    },
    /// The event is not possible now; nothing has changed.
    #[error(transparent)]
    Refused(#[from] hero_core::Refusal),
    /// The store could not read or write.
    #[error(transparent)]
    Store(#[from] hero_store::Error),
    /// A file with flows cannot be used.
    #[error("{message}")]
    Inspect {
        /// `file_unreadable`, `flow_definition` or `interpreter_unusable`.
        kind: ErrorKind,
        /// What was tried, on what, and why it failed.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The span socket cannot be used.
    #[error("failed to listen on span socket `{}`: {source}", path.display())]
    SpanSocket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file or directory of a launch cannot be written.
    #[error("failed to {action} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The supervisor takes no new work.
    #[error("the supervisor is stopping")]
    Stopping,
}

impl Error {
    /// Names the file that an input or output error was about.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
