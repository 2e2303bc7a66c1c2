//! The one mapping from inner errors to the kinds that cross the border.

use hero_core::Refusal;
use hero_core::answer::Misfit;
use hero_core::schedule::Unfit;
use hero_schema::{ErrorKind, RpcError};

/// An error of the supervisor.
pub(crate) fn of_supervisor(error: hero_supervisor::Error) -> RpcError {
    use hero_supervisor::Error as E;
    let text = error.to_string();
    match error {
        E::NoSuchPlay(_) => {
            RpcError::new(ErrorKind::PlayNotFound, text).hint("`hero_logic plays` lists the plays")
        }
        E::NoSuchRequest { play, .. } => RpcError::new(ErrorKind::RequestNotFound, text)
            .hint(format!("`hero_logic show {play}` lists what it asks")),
        E::NoSuchCallback => RpcError::new(ErrorKind::CallbackNotFound, text)
            .hint("use the URL as `flow.callback` gave it, to the last character"),
        E::Unreachable { .. } => RpcError::new(ErrorKind::InvalidParams, text).hint(
            "give an https URL of the public internet; HERO_ALLOW_CALLBACKS of the server names hosts to \
             reach nevertheless",
        ),
        E::NotACallback { .. } => RpcError::new(ErrorKind::InvalidRequest, text),
        E::NoSuchSpan { play, .. } => RpcError::new(ErrorKind::SpanNotFound, text)
            .hint(format!("`hero_logic show {play} --spans` lists them")),
        E::NoSuchWorkflow(_) => RpcError::new(ErrorKind::WorkflowNotFound, text).hint(
            "`hero_logic workflow list` lists them; a file is run by its path, as in `./flow.py`",
        ),
        E::NoSuchVersion { workflow, .. } => RpcError::new(ErrorKind::VersionNotFound, text)
            .hint(format!("`hero_logic workflow versions {workflow}` lists them")),
        E::StillRuns { .. } => RpcError::new(ErrorKind::IllegalTransition, text)
            .hint("wait until it waits or has ended, or cancel it"),
        E::HasParent { parent, .. } => RpcError::new(ErrorKind::IllegalTransition, text)
            .hint(format!("move play `{parent}`, or cancel this one first")),
        E::NoWorkflow { .. } => RpcError::new(ErrorKind::WorkflowNotFound, text)
            .hint("save its file as a workflow, and run that, to have versions"),
        E::InputsMisfit { .. } => RpcError::new(ErrorKind::InputMismatch, text)
            .hint("start a play of that version with other inputs"),
        E::NotEnded { .. } => {
            RpcError::new(ErrorKind::IllegalTransition, text).hint("wait for its end, or cancel it")
        }
        E::Succeeded { .. } => RpcError::new(ErrorKind::IllegalTransition, text)
            .hint("`restart` runs it again from its inputs, `fork` from one of its spans"),
        E::BudgetSpent { .. } => RpcError::new(ErrorKind::InvalidParams, text)
            .hint("give a higher budget: it counts what the play has spent already"),
        E::KeyTaken { .. } => RpcError::new(ErrorKind::IdempotencyConflict, text)
            .hint("ask for it again; the play may have been deleted in this moment"),
        E::NoSuchSchedule(_) => RpcError::new(ErrorKind::ScheduleNotFound, text)
            .hint("`hero_logic schedule list` lists them"),
        E::NameTaken(_) => RpcError::new(ErrorKind::ScheduleExists, text)
            .hint("choose another name, or delete that one first"),
        E::NoSuchTimeZone(_) => RpcError::new(ErrorKind::ScheduleInvalid, text)
            .hint("give its IANA name, such as `Europe/Berlin`"),
        E::NeverFits(Unfit::Expression { .. }) => RpcError::new(ErrorKind::ScheduleInvalid, text)
            .hint("give minute, hour, day of month, month, day of week, as in `30 2 * * MON-FRI`"),
        E::NeverFits(Unfit::Distance { .. }) => RpcError::new(ErrorKind::ScheduleInvalid, text)
            .hint("it may be a second to a thousand years"),
        E::NeverDue { .. } => RpcError::new(ErrorKind::ScheduleInvalid, text)
            .hint("make another one, for a time to come"),
        E::NothingToStart { .. } => RpcError::new(ErrorKind::WorkflowNotFound, text)
            .hint("make another one, for a workflow that is there"),
        E::Refused(refusal) => of_refusal(&refusal),
        E::Store(error) => of_store(error),
        E::Inspect { kind, message, hint } => RpcError { kind, message, hint },
        E::SpanSocket { .. } => RpcError::new(ErrorKind::SocketUnusable, text),
        E::File { .. } => RpcError::new(ErrorKind::StoreUnavailable, text)
            .hint("check the owner, the mode and the free space of the data directory"),
        E::Stopping => RpcError::new(ErrorKind::ShuttingDown, text)
            .hint("start a server and try again; nothing was lost"),
    }
}

/// A decision that the life of a play does not allow.
pub(crate) fn of_refusal(refusal: &Refusal) -> RpcError {
    let text = refusal.to_string();
    match refusal {
        Refusal::Illegal { .. } | Refusal::StaleLaunch { .. } => {
            RpcError::new(ErrorKind::IllegalTransition, text)
        }
        Refusal::Ended { .. } => RpcError::new(ErrorKind::PlayEnded, text)
            .hint("an ended play never changes; start a new one"),
        Refusal::Conflict { .. } => RpcError::new(ErrorKind::ResumeConflict, text)
            .hint("the first answer stands; `hero_logic show` tells who gave it and when"),
        Refusal::ChildOnly => RpcError::new(ErrorKind::IllegalTransition, text)
            .hint("answer or cancel the child play instead"),
        Refusal::Misfit(Misfit::Payload(_)) => RpcError::new(ErrorKind::PayloadMismatch, text)
            .hint("the request is still open: answer again with a payload that fits its schema"),
        Refusal::Misfit(Misfit::Schema(_)) => RpcError::new(ErrorKind::PayloadMismatch, text).hint(
            "the flow gave this pause a schema that nothing can fit; cancel the play and mend it",
        ),
    }
}

/// An error of the store.
pub(crate) fn of_store(error: hero_store::Error) -> RpcError {
    use hero_store::Error as E;
    let text = with_causes(&error);
    match error {
        E::InUse { .. } => RpcError::new(ErrorKind::StoreInUse, text)
            .hint("stop that process, or choose another directory with --data-dir"),
        E::BadCursor(_) => RpcError::new(ErrorKind::InvalidParams, text)
            .hint("hand back the `next_cursor` of the page before, unchanged"),
        E::Format { .. } => RpcError::new(ErrorKind::StoreUnavailable, text)
            .hint("install the version that wrote it, or a newer one"),
        E::DamagedStore { .. } => RpcError::new(ErrorKind::StoreUnavailable, text)
            .hint("`hero_logic doctor` says what is lost, and changes nothing"),
        E::NoSpace { .. } => RpcError::new(ErrorKind::StoreUnavailable, text)
            .hint("free some space; what was accepted before goes on meanwhile"),
        E::Closed => RpcError::new(ErrorKind::ShuttingDown, text),
        E::Conflict { .. } | E::Fenced { .. } => {
            RpcError::new(ErrorKind::IllegalTransition, text).hint("read it again and try again")
        }
        E::Io { source, .. } if is_about_the_path(&source) => {
            RpcError::new(ErrorKind::StoreUnavailable, text)
                .hint("choose a data directory that can be written, with --data-dir or HERO_HOME")
        }
        E::Damaged { .. } | E::Io { .. } | E::Stopped(_) => {
            RpcError::new(ErrorKind::StoreUnavailable, text)
                .hint("check the free space and the health of the disk, then restart the server")
        }
    }
}

/// Whether the directory was never fit to hold a store, rather than failing while it did.
fn is_about_the_path(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        error.kind(),
        K::NotFound | K::NotADirectory | K::PermissionDenied | K::ReadOnlyFilesystem
    )
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
