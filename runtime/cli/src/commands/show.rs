//! `hero_logic show`

use hero_schema::rpc::{PlayGet, WorkflowDetail, WorkflowGet};
use hero_schema::{
    ErrorKind, FinalCallback, FinalCallbackStatus, OriginKind, Play, PlaySid, ResumeRequest,
    RpcError, Span, Starter, exit,
};
use serde::Serialize;

use super::Context;
use crate::args;
use crate::ask;
use crate::follow::all_spans;
use crate::output::{Paint, Stopped};
use crate::place::Place;
use crate::session::{self, Role, Session};
use crate::text::{ago, duration, moment, now, plain, short, visible, visible_lines};
use crate::tree::{self, Drawing};
use crate::waits;

/// How many child plays are listed; each is asked for on its own.
const CHILDREN_MAX: usize = 50;

pub(crate) async fn run(args: args::Show, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let play: Play = session.call("play_get", &PlayGet { play_sid: args.play }).await?;
        if session.output().is_json && !args.spans {
            session.output().print_json(&play)?;
            return Ok(exit::SUCCESS);
        }
        let spans = all_spans(session, &play.sid).await?;
        if session.output().is_json {
            session.output().print_json(&WithSpans { play, spans })?;
            return Ok(exit::SUCCESS);
        }
        let workflow = workflow_name(session, &play).await;
        let children = children(session, &spans).await?;
        let paint = session.output().paint;
        let mut lines = header(&play, &workflow, paint);
        let notes = waits::notes(&play, &spans, now());
        let drawing = Drawing { notes: &notes, shows_spans: args.spans, paint, now: now() };
        section(&mut lines, paint, "calls", drawing.lines(&tree::grow(&spans)));
        section(&mut lines, paint, "child plays", children);
        section(&mut lines, paint, "open requests", requests(&play, session.place()));
        section(&mut lines, paint, "waits for", waiting(&play, &spans));
        section(&mut lines, paint, "prefill that was never used", unused(&play));
        section(
            &mut lines,
            paint,
            "left over: remembered, and not asked for again",
            left_over(&play),
        );
        section(&mut lines, paint, "the workflow has moved on", moved(&play, session.place()));
        section(&mut lines, paint, "output", output(&play));
        section(&mut lines, paint, "error", error(&play));
        session.output().print(&lines.join("\n"))?;
        Ok(exit::SUCCESS)
    })
    .await
}

/// What `--json --spans` prints: the play, and its spans as `play_spans` gives them.
#[derive(Serialize)]
struct WithSpans {
    #[serde(flatten)]
    play: Play,
    spans: Vec<Span>,
}

/// The plays that it spawned, in the order of their calls.
async fn children(session: &mut Session, spans: &[Span]) -> Result<Vec<String>, RpcError> {
    let paint = session.output().paint;
    let mut sids: Vec<&PlaySid> = Vec::new();
    for child in spans.iter().filter_map(|span| span.child_play_sid.as_ref()) {
        if !sids.contains(&child) {
            sids.push(child);
        }
    }
    let mut lines = Vec::new();
    for &sid in sids.iter().take(CHILDREN_MAX) {
        let get = PlayGet { play_sid: sid.clone() };
        lines.push(match session.call::<_, Play>("play_get", &get).await {
            Ok(child) => {
                format!("{sid}  {}  {}", visible(&child.name), paint.status(child.status))
            }
            Err(error) if error.kind == ErrorKind::PlayNotFound => format!("{sid}  deleted"),
            Err(error) => return Err(error),
        });
    }
    if sids.len() > CHILDREN_MAX {
        lines.push(format!("… and {} more", sids.len() - CHILDREN_MAX));
    }
    Ok(lines)
}

/// The name of the workflow; nothing for a file that was run directly.
async fn workflow_name(session: &mut Session, play: &Play) -> String {
    let Some(sid) = &play.workflow_sid else { return String::new() };
    let get = WorkflowGet { workflow: sid.to_string(), diff_from: None };
    match session.call::<_, WorkflowDetail>("workflow_get", &get).await {
        Ok(detail) => detail.workflow.name,
        // It may have been removed meanwhile; the play still tells its sid.
        Err(_) => sid.to_string(),
    }
}

fn header(play: &Play, workflow: &str, paint: Paint) -> Vec<String> {
    let title = format!("{}  {}", paint.bold(&visible(&play.name)), paint.status(play.status));
    let took = play
        .started_at
        .zip(play.ended_at)
        .map(|(started, ended)| format!(", took {}", duration(ended.micros_since(started))));
    let ended = play.ended_at.map(|at| format!("{}{}", moment(at), took.unwrap_or_default()));
    let origin = play.origin.as_ref().map(|origin| {
        let how = match origin.how {
            OriginKind::Retry => "retry",
            OriginKind::Restart => "restart",
            OriginKind::Fork => "fork",
            OriginKind::CarryOver => "carried over",
        };
        let of = if origin.how == OriginKind::CarryOver { "from" } else { "of" };
        format!("{how} {of} {}", origin.play_sid)
    });
    let deadline = play.deadline.map(|at| {
        let left = at.micros_since(now());
        let is_open = !play.status.is_ended() && left > 0;
        let left = if is_open { format!(", in {}", duration(left)) } else { String::new() };
        format!("{}{left}", moment(at))
    });
    let tags =
        play.tags.iter().map(|(name, tag)| format!("{}={}", visible(name), visible(&plain(tag))));
    let final_callback = play.final_callback.as_ref().map(final_callback);
    let fields = [
        ("play", play.sid.to_string()),
        ("workflow", visible(workflow)),
        ("version", version(play)),
        ("launches", play.launch.to_string()),
        ("created", moment(play.created_at)),
        ("started", play.started_at.map(moment).unwrap_or_default()),
        ("deadline", deadline.unwrap_or_default()),
        ("ended", ended.unwrap_or_default()),
        ("posts", final_callback.unwrap_or_default()),
        ("input", visible(play.input_data.text())),
        ("spent", spent(play)),
        ("tags", tags.collect::<Vec<_>>().join(" ")),
        ("by", play.started_by.as_ref().and_then(starter).unwrap_or_default()),
        ("origin", origin.unwrap_or_default()),
        ("parent", play.parent_play_sid.as_ref().map(ToString::to_string).unwrap_or_default()),
    ];
    let told = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let lines = told.map(|(name, value)| format!("{} {value}", paint.dim(&format!("{name:<9}"))));
    std::iter::once(title).chain(lines).collect()
}

/// `$0.42 of $1, 1200 of 5000 tokens`; nothing where nothing was spent.
fn spent(play: &Play) -> String {
    let budget = play.budget.unwrap_or_default();
    let of = |bound: Option<String>| bound.map_or(String::new(), |bound| format!(" of {bound}"));
    let tokens = play.total_input_tokens.saturating_add(play.total_output_tokens);
    let usd =
        format!("${}{}", play.total_cost_usd, of(budget.cost_usd.map(|usd| format!("${usd}"))));
    let used = format!("{tokens}{} tokens", of(budget.tokens.map(|tokens| tokens.to_string())));
    let has_usd = play.total_cost_usd > 0.0 || budget.cost_usd.is_some();
    let has_tokens = tokens > 0 || budget.tokens.is_some();
    [(has_usd, usd), (has_tokens, used)]
        .into_iter()
        .filter_map(|(is_told, words)| is_told.then_some(words))
        .collect::<Vec<_>>()
        .join(", ")
}

/// As `plays --started-by` takes it; nothing for the usual way.
fn starter(by: &Starter) -> Option<String> {
    let is_usual = matches!(by, Starter::Rpc { .. });
    (!is_usual).then(|| format!("{}:{}", by.word(), visible(&by.who())))
}

/// The version of a play, and whether its workflow has moved on.
fn version(play: &Play) -> String {
    let own = match play.workflow_version {
        Some(number) => format!("{number}, {}", play.workflow_version_sid),
        None => play.workflow_version_sid.to_string(),
    };
    match &play.moved_to {
        Some(current) => format!("{own}; current is {}", current.number),
        None => own,
    }
}

/// What can be done about a play whose workflow has moved on.
fn moved(play: &Play, place: &Place) -> Vec<String> {
    let can_move = !play.status.is_ended() || play.status != hero_schema::PlayStatus::Success;
    let Some(current) = play.moved_to.as_ref().filter(|_| can_move) else { return Vec::new() };
    let command = place.command(&format!("move {} carry-over --dry-run", play.sid));
    vec![format!(
        "version {} is current, and this play stays on its own: {command}",
        current.number
    )]
}

/// `delivered to https://…, in 2 attempts`
fn final_callback(callback: &FinalCallback) -> String {
    let url = visible(&callback.url);
    let tries = match callback.n_attempts {
        0 => String::new(),
        1 => ", tried once".into(),
        n => format!(", tried {n} times"),
    };
    let next = callback.next_at.map(|at| format!(", next at {}", moment(at))).unwrap_or_default();
    let error = callback.last_error.as_ref();
    let error = error.map(|error| format!(": {}", visible(error))).unwrap_or_default();
    let word = match callback.status {
        FinalCallbackStatus::Waiting => "its outcome to",
        FinalCallbackStatus::Due => "due at",
        FinalCallbackStatus::Delivered => "delivered to",
        FinalCallbackStatus::GivenUp => "given up:",
    };
    format!("{word} {url}{tries}{next}{error}")
}

fn section(lines: &mut Vec<String>, paint: Paint, title: &str, content: Vec<String>) {
    if !content.is_empty() {
        lines.push(String::new());
        lines.push(paint.bold(title));
        lines.extend(content);
    }
}

fn requests(play: &Play, place: &Place) -> Vec<String> {
    if play.status.is_ended() {
        return Vec::new();
    }
    let lines = |request: &ResumeRequest| {
        let since = ago(request.asked_at, now());
        let title = short(&ask::title(request), 80);
        let name = visible(&request.name);
        let question = if title == name { String::new() } else { format!("{title}, ") };
        [
            format!("{name}: {question}asked {since}"),
            format!("  {}", place.answering(play, request)),
        ]
    };
    play.questions().flat_map(lines).collect()
}

/// What goes on by itself.
fn waiting(play: &Play, spans: &[Span]) -> Vec<String> {
    if play.status.is_ended() {
        return Vec::new();
    }
    let line = |request: &ResumeRequest| {
        let words = waits::words(request, waits::child(request, spans), now());
        format!("{}: {words}", visible(&request.name))
    };
    let others = play.pending_resumes.iter().filter(|request| !request.kind.is_question());
    others.map(line).collect()
}

fn unused(play: &Play) -> Vec<String> {
    play.prefill_unused.iter().map(|pattern| visible(pattern)).collect()
}

fn left_over(play: &Play) -> Vec<String> {
    let line = |step: &hero_schema::LeftOver| {
        format!("{} below {}", visible(&step.name), visible(&step.parent_path))
    };
    play.left_over.iter().map(line).collect()
}

fn output(play: &Play) -> Vec<String> {
    play.output_data.iter().map(|value| visible_lines(&plain(value))).collect()
}

fn error(play: &Play) -> Vec<String> {
    let Some(failure) = &play.error else { return Vec::new() };
    let mut lines = vec![visible(&failure.message)];
    lines.extend(failure.hint.iter().map(|hint| format!("hint: {}", visible(hint))));
    let traceback = failure.exception.as_ref().map_or("", |raised| raised.traceback.trim_end());
    if !traceback.is_empty() {
        lines.push(visible_lines(traceback));
    }
    lines
}
