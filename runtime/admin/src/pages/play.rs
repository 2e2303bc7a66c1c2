//! `/plays/{sid}`: one play, what it asks, its tree and its log; `POST` answers a question.

use std::collections::HashMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::Redirect;
use hero_rpc::Client;
use hero_schema::rpc::{LogPage, PlayGet, PlayLogs, PlayResume, PlaySpans, Resumed, SpanPage};
use hero_schema::{LogLine, Play, PlaySid, ResumeId, ResumeRequest, Span, SpanId, SpanStatus};
use maud::{Markup, html};

use super::{Failed, layout};
use crate::form;

pub(crate) async fn show(
    State(client): State<Client>,
    Path(sid): Path<String>,
) -> Result<Markup, Failed> {
    let play_sid = PlaySid::new(sid);
    let play: Play = client.call("play_get", &PlayGet { play_sid: play_sid.clone() }).await?;
    let spans = PlaySpans { play_sid: play_sid.clone(), cursor: None, limit: None };
    let spans: SpanPage = client.call("play_spans", &spans).await?;
    let logs = PlayLogs { play_sid, level: None, cursor: None, limit: None };
    let logs: LogPage = client.call("play_logs", &logs).await?;
    Ok(layout::page(
        &play.name,
        html! {
            (head(&play))
            @for request in play.pending_resumes.iter().filter(|request| request.ui.is_some()) {
                section.card { (form::draw(&format!("/plays/{}", play.sid), request)) }
            }
            (waiting(&play, &spans.items))
            (ending(&play))
            h2 { "Steps" }
            (tree(&spans.items))
            h2 { "Log" }
            (log(&logs.items))
        },
    ))
}

/// `POST`: the answer to a question. The page that follows shows what came of it.
pub(crate) async fn answer(
    State(client): State<Client>,
    Path(sid): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Redirect, Failed> {
    let answer = form::read(&fields);
    let resume = PlayResume {
        play_sid: PlaySid::new(sid.clone()),
        resume_id: ResumeId::new(answer.id),
        payload_json: answer.payload_json,
    };
    let _: Resumed = client.call("play_resume", &resume).await?;
    Ok(Redirect::to(&format!("/plays/{sid}")))
}

/// `POST`: ends the play.
pub(crate) async fn cancel(
    State(client): State<Client>,
    Path(sid): Path<String>,
) -> Result<Redirect, Failed> {
    let play_sid = PlaySid::new(sid.clone());
    let _: Play = client.call("play_cancel", &PlayGet { play_sid }).await?;
    Ok(Redirect::to(&format!("/plays/{sid}")))
}

fn head(play: &Play) -> Markup {
    html! {
        h1 { (play.name) " " (layout::status(play.status)) }
        p.age { code { (play.sid) } " · launch " (play.launch) " · started " (layout::duration(play.created_at, layout::now())) " ago" }
        p { "Input " code { (play.input_data) } }
        @if let Some(origin) = &play.origin {
            p.age { "Made of " a href={ "/plays/" (origin.play_sid) } { (origin.play_sid) } }
        }
        @if !play.status.is_ended() {
            form method="post" action={ "/plays/" (play.sid) "/cancel" } { button.quiet { "Cancel" } }
        }
    }
}

/// What goes on by itself: sleeps, waits before another try, child plays.
fn waiting(play: &Play, spans: &[Span]) -> Markup {
    let others = play.pending_resumes.iter().filter(|request| !request.kind.is_question());
    let child = |request: &ResumeRequest| {
        let asked_at = |span: &&Span| span.span_id == request.asked_at_span_id;
        spans.iter().filter(asked_at).find_map(|span| span.child_play_sid.clone())
    };
    html! {
        @if !play.status.is_ended() {
            @for request in others {
                p.age {
                    "“" (request.name) "” "
                    @match (request.expires_at, child(request)) {
                        (Some(at), _) => { "goes on in " (layout::duration(layout::now(), at)) },
                        (None, Some(sid)) => { "waits for " a href={ "/plays/" (sid) } { (sid) } },
                        (None, None) => { "goes on by itself" },
                    }
                }
            }
        }
    }
}

fn ending(play: &Play) -> Markup {
    html! {
        @if let Some(output) = &play.output_data {
            section.card { h2 { "Result" } pre { (form::plain(output)) } }
        }
        @if let Some(failure) = &play.error {
            section.card.failed {
                h2 { (failure.message) }
                @if let Some(hint) = &failure.hint { p { (hint) } }
                @if let Some(exception) = &failure.exception { pre { (exception.traceback) } }
            }
        }
        @for request in &play.received_resumes {
            @if let Some(answer) = &request.answer {
                p.age { "“" (request.name) "” was answered " (layout::duration(answer.resumed_at, layout::now())) " ago" }
            }
        }
    }
}

/// The spans of all launches as one tree: each call once, as the launch that ran it saw it.
fn tree(spans: &[Span]) -> Markup {
    let mut latest: HashMap<&SpanId, &Span> = HashMap::new();
    let mut order: Vec<&SpanId> = Vec::new();
    for span in spans {
        let known = latest.get(&span.span_id);
        if known.is_none() {
            order.push(&span.span_id);
        }
        if known.is_none() || span.status != SpanStatus::Replayed {
            latest.insert(&span.span_id, span);
        }
    }
    let merged: Vec<&Span> = order.into_iter().map(|id| latest[id]).collect();
    html! { ul.tree { (branches(&merged, None)) } }
}

fn branches(spans: &[&Span], parent: Option<&SpanId>) -> Markup {
    html! {
        @for span in spans.iter().filter(|span| span.parent_id.as_ref() == parent) {
            li {
                span class={ "dot " (word(span.status)) } title=(word(span.status)) {}
                code { (span.name) } " "
                small {
                    (word(span.status))
                    @if let Some(ended_at) = span.ended_at { " · " (layout::duration(span.started_at, ended_at)) }
                }
                ul { (branches(spans, Some(&span.span_id))) }
            }
        }
    }
}

fn log(lines: &[LogLine]) -> Markup {
    html! {
        @if lines.is_empty() { p { "Nothing was logged." } }
        @else { pre.log { @for line in lines { (line.text) "\n" } } }
    }
}

fn word(status: SpanStatus) -> &'static str {
    match status {
        SpanStatus::Pending => "pending",
        SpanStatus::Running => "running",
        SpanStatus::Ok => "ok",
        SpanStatus::Failed => "failed",
        SpanStatus::TimedOut => "timed_out",
        SpanStatus::Cancelled => "cancelled",
        SpanStatus::Paused => "paused",
        SpanStatus::Replayed => "replayed",
    }
}
