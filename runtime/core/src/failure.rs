//! Why a play fails, in words: one function a cause.

use hero_schema::frame::FlowResult;
use hero_schema::{
    Budget, Failure, FailureKind, Outcome, PlayRecord, Raised, ResumeRequest, Usage,
};

use crate::answer;
use crate::launch_end::{LaunchEnd, RELAUNCHES_WITHOUT_PROGRESS_MAX};

/// How much of what a process said last stands in a message, in characters.
const TELLING_LINE_CHARS: usize = 300;

fn failure(kind: FailureKind, message: String, end: &LaunchEnd) -> Failure {
    Failure { kind, message, hint: None, exception: None, span_id: end.open_span.clone() }
}

pub(crate) fn reported(raised: &Raised, is_definition_error: bool, end: &LaunchEnd) -> Failure {
    let kind = if is_definition_error { FailureKind::Definition } else { FailureKind::Exception };
    let class = raised.class.rsplit(':').next().unwrap_or(&raised.class);
    let message = if raised.message.is_empty() {
        class.to_owned()
    } else {
        format!("{class}: {}", raised.message)
    };
    Failure { exception: Some(raised.clone()), ..failure(kind, message, end) }
}

pub(crate) fn pause_without_request(end: &LaunchEnd) -> Failure {
    let message = "the process exited 75 and had asked nothing".to_owned();
    Failure {
        hint: Some(
            "exit code 75 is for pauses; use `flow.pause`, or exit with another code".into(),
        ),
        ..failure(FailureKind::PauseWithoutRequest, message, end)
    }
}

pub(crate) fn request_without_pause(code: i32, end: &LaunchEnd) -> Failure {
    let message = format!("the process stood at a pause and exited {code} instead of 75");
    let failure = failure(FailureKind::RequestWithoutPause, message, end);
    match &end.result {
        // Raised while the pause unwound: in a `finally`, or in another branch.
        Some(FlowResult { outcome: Outcome::Raised(raised), .. }) => {
            Failure { exception: Some(raised.clone()), ..failure }
        }
        _ => Failure {
            hint: Some(
                "something in the flow ended the process by itself: look for `os._exit`".into(),
            ),
            ..failure
        },
    }
}

pub(crate) fn no_result(end: &LaunchEnd) -> Failure {
    let message = "the process exited 0 and reported no result".to_owned();
    Failure {
        hint: Some(
            "something in the flow ended the process by itself: look for `sys.exit` or `os._exit`"
                .into(),
        ),
        ..failure(FailureKind::NoResult, message, end)
    }
}

pub(crate) fn not_started(reason: &str, end: &LaunchEnd) -> Failure {
    failure(FailureKind::NotStarted, format!("the process could not be started: {reason}"), end)
}

pub(crate) fn crashed(end: &LaunchEnd) -> Failure {
    let launches = RELAUNCHES_WITHOUT_PROGRESS_MAX + 1;
    let cause = end.exit.cause();
    let mut message =
        format!("{launches} launches in a row died without progress; the last one {cause}");
    if let Some(line) = telling_line(&end.last_words) {
        message.push_str(&format!("; its last words: {line}"));
    }
    let exception = Some(end.exit.as_raised(&end.last_words));
    Failure { exception, ..failure(FailureKind::Crashed, message, end) }
}

/// The line in which Python says why it gave up, else the last one that says anything.
fn telling_line(words: &str) -> Option<String> {
    let mut lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.clone().find(|line| line.starts_with("Fatal Python error"));
    Some(line.or_else(|| lines.next_back())?.chars().take(TELLING_LINE_CHARS).collect())
}

pub(crate) fn budget_exceeded(play: &PlayRecord, budget: Budget, counted: Usage) -> Failure {
    let mut parts = Vec::new();
    if let Some(usd) =
        budget.cost_usd.filter(|_| Budget { tokens: None, ..budget }.is_exceeded_by(&counted))
    {
        parts.push(format!("the budget is ${usd}, and ${} are spent", rounded(counted.cost_usd)));
    }
    if let Some(tokens) = budget.tokens.filter(|tokens| counted.tokens() > *tokens) {
        parts.push(format!("the budget is {tokens} tokens, and {} are used", counted.tokens()));
    }
    if !play.spent_before.is_nothing() {
        parts.push("what the plays before it spent is counted".into());
    }
    let sid = &play.sid;
    Failure {
        kind: FailureKind::BudgetExceeded,
        message: parts.join("; "),
        hint: Some(format!(
            "what is done is kept: `hero_logic retry {sid} --budget-usd …` (or `--budget-tokens …`) goes on with a higher one"
        )),
        exception: None,
        span_id: None,
    }
}

/// Without what adding up leaves behind the ninth digit.
fn rounded(usd: f64) -> f64 {
    if usd < 1e6 { (usd * 1e9).round() / 1e9 } else { usd }
}

pub(crate) fn prefill_missing(request: &ResumeRequest) -> Failure {
    Failure {
        kind: FailureKind::PrefillMissing,
        message: format!("pause `{}` is not covered by the prefill", request.name),
        hint: Some(format!("add an entry for `{}`, or start without prefill_only", request.name)),
        exception: None,
        span_id: Some(request.asked_at_span_id.clone()),
    }
}

pub(crate) fn prefill_mismatch(
    request: &ResumeRequest,
    pattern: &str,
    misfit: &answer::Misfit,
) -> Failure {
    Failure {
        kind: FailureKind::PrefillMismatch,
        message: format!(
            "the prefill entry `{pattern}` does not fit pause `{}`: {misfit}",
            request.name
        ),
        hint: None,
        exception: None,
        span_id: Some(request.asked_at_span_id.clone()),
    }
}
