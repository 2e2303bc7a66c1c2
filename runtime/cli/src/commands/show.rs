//! `hero_logic show`

use hero_schema::rpc::{PlayGet, WorkflowDetail, WorkflowGet};
use hero_schema::{Play, ResumeRequest, exit};

use super::Context;
use crate::args;
use crate::ask;
use crate::follow::all_spans;
use crate::output::{Paint, Stopped};
use crate::place::Place;
use crate::session::{self, Role, Session};
use crate::text::{ago, duration, moment, now, plain, short, visible, visible_lines};
use crate::tree;

pub(crate) async fn run(args: args::Show, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let play: Play = session.call("play_get", &PlayGet { play_sid: args.play }).await?;
        if session.output().is_json {
            session.output().print_json(&play)?;
            return Ok(exit::SUCCESS);
        }
        let workflow = workflow_name(session, &play).await;
        let spans = all_spans(session, &play.sid).await?;
        let paint = session.output().paint;
        let mut lines = header(&play, &workflow, paint);
        let tree = tree::lines(&tree::grow(&spans), paint, now());
        section(&mut lines, paint, "calls", tree);
        section(&mut lines, paint, "open requests", requests(&play, session.place()));
        section(&mut lines, paint, "prefill that was never used", unused(&play));
        section(
            &mut lines,
            paint,
            "left over: remembered, and not asked for again",
            left_over(&play),
        );
        section(&mut lines, paint, "output", output(&play));
        section(&mut lines, paint, "error", error(&play));
        session.output().print(&lines.join("\n"))?;
        Ok(exit::SUCCESS)
    })
    .await
}

/// The name of the workflow; nothing for a file that was run directly.
async fn workflow_name(session: &mut Session, play: &Play) -> String {
    let Some(sid) = &play.workflow_sid else { return String::new() };
    let get = WorkflowGet { workflow: sid.to_string() };
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
    let fields = [
        ("play", play.sid.to_string()),
        ("workflow", visible(workflow)),
        ("version", play.workflow_version_sid.to_string()),
        ("launches", play.launch.to_string()),
        ("created", moment(play.created_at)),
        ("started", play.started_at.map(moment).unwrap_or_default()),
        ("ended", ended.unwrap_or_default()),
        ("input", visible(play.input_data.text())),
        ("parent", play.parent_play_sid.as_ref().map(ToString::to_string).unwrap_or_default()),
    ];
    let told = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let lines = told.map(|(name, value)| format!("{} {value}", paint.dim(&format!("{name:<9}"))));
    std::iter::once(title).chain(lines).collect()
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
    play.pending_resumes.iter().flat_map(lines).collect()
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
