//! Following a play until it settles: the live tree, the questions on the terminal, the report.

use std::time::Duration;

use hero_schema::rpc::{PlayGet, PlayResume, PlaySpans, PlayWait, Resumed, SpanPage, Until};
use hero_schema::{
    ErrorKind, Failure, Json, Play, PlaySid, PlayStatus, ResumeId, ResumeRequest, RpcError, Span,
    exit,
};

use crate::output::Stopped;
use crate::questions::Question;
use crate::screen::Screen;
use crate::session::Session;
use crate::text::{now, plain, shell_word, visible, visible_lines};
use crate::tree::{self, Drawing};
use crate::{ask, questions, waits};

/// How often the tree is drawn anew.
const REDRAW_AFTER: Duration = Duration::from_millis(150);

/// Follows a play that was just started, or leaves it where the command is to `detach`. Returns the
/// exit code.
pub(crate) async fn carry(
    session: &mut Session,
    play: &Play,
    detach: bool,
) -> Result<i32, Stopped> {
    if detach {
        return leave(session, play);
    }
    let has_begun_before = play.created == Some(false);
    let told = if has_begun_before { "started before:" } else { "started" };
    session.output().tell(&format!("{told} {}", play.sid));
    to_the_end(session, &play.sid).await
}

fn leave(session: &Session, play: &Play) -> Result<i32, Stopped> {
    let output = session.output();
    if output.is_json {
        output.print_json(play)?;
        return Ok(exit::SUCCESS);
    }
    output.print(play.sid.as_str())?;
    if session.is_embedded() {
        let (wait, start) = (
            session.place().command(&format!("wait {}", play.sid)),
            session.place().command("--start"),
        );
        output.tell(&format!("no server runs: the play goes on with `{start}` or `{wait}`"));
    }
    Ok(exit::SUCCESS)
}

/// Follows a play until it settles, asking on the terminal what it asks, and reports how it stands.
/// Returns the exit code.
pub(crate) async fn to_the_end(session: &mut Session, play: &PlaySid) -> Result<i32, Stopped> {
    let interrupted = session.interrupted();
    let followed = tokio::select! {
        settled = settled(session, play) => Some(settled?),
        () = interrupted => None,
    };
    match followed {
        Some(play) => report(session, &play).await,
        None => {
            tell_of_leaving(session, play);
            Err(Stopped::Interrupted)
        }
    }
}

async fn settled(session: &mut Session, sid: &PlaySid) -> Result<Play, Stopped> {
    if !session.output().is_live {
        let until = PlayWait { play_sid: sid.clone(), timeout_ms: 0, until: Until::Settled };
        return Ok(session.call_again("play_wait", &until).await?);
    }
    let mut screen = Screen::new();
    let mut left_open: Vec<ResumeId> = Vec::new();
    loop {
        let (play, questions) = watch(session, sid, &mut screen).await?;
        let is_to_ask = |question: &Question| {
            let request = &question.request;
            request.ui.is_some() && !left_open.contains(&request.id)
        };
        let question = questions.into_iter().find(is_to_ask);
        match question.filter(|_| session.output().can_ask) {
            None => return Ok(play),
            Some(Question { play, request }) => {
                let answered;
                (screen, answered) = ask_here(session, &play.sid, &request, screen).await?;
                if answered.is_none() {
                    left_open.push(request.id);
                }
            }
        }
    }
}

/// Draws the tree until the play has ended or asks something.
async fn watch(
    session: &mut Session,
    sid: &PlaySid,
    screen: &mut Screen,
) -> Result<(Play, Vec<Question>), Stopped> {
    let paint = session.output().paint_stderr;
    let params = PlayGet { play_sid: sid.clone() };
    loop {
        // The play first: spans that are read after it has settled are complete.
        let play: Play = session.call_again("play_get", &params).await?;
        let spans = all_spans(session, sid).await?;
        let questions = questions::of(session, &play, &spans).await?;
        let notes = waits::notes(&play, &spans, now());
        let drawing = Drawing { notes: &notes, shows_spans: false, paint, now: now() };
        let rows = drawing.lines(&tree::grow(&spans));
        screen.draw(&rows).map_err(|error| no_terminal(&error))?;
        if play.status.is_ended() || !questions.is_empty() {
            return Ok((play, questions));
        }
        tokio::time::sleep(REDRAW_AFTER).await;
    }
}

/// Every span of a play.
pub(crate) async fn all_spans(session: &mut Session, sid: &PlaySid) -> Result<Vec<Span>, RpcError> {
    let mut spans = Vec::new();
    let mut params = PlaySpans { play_sid: sid.clone(), cursor: None, limit: None };
    loop {
        let page: SpanPage = session.call_again("play_spans", &params).await?;
        spans.extend(page.items);
        params.cursor = page.next_cursor;
        if params.cursor.is_none() {
            return Ok(spans);
        }
    }
}

/// Puts a question until its answer is taken. None where the person leaves it open; an answer that
/// someone else gave meanwhile counts as one.
pub(crate) async fn ask_here(
    session: &mut Session,
    play: &PlaySid,
    request: &ResumeRequest,
    mut screen: Screen,
) -> Result<(Screen, Option<Json>), Stopped> {
    let paint = session.output().paint_stderr;
    loop {
        let asked = request.clone();
        // A thread of its own: reading the keyboard cannot be called off.
        let put = tokio::task::spawn_blocking(move || {
            let payload = ask::put(&mut screen, &asked, paint);
            (screen, payload)
        });
        let (returned, payload) = put.await.expect("asking does not panic");
        screen = returned;
        let Some(payload) = payload.map_err(|error| no_terminal(&error))? else {
            return Ok((screen, None));
        };
        let told = match answer(session, play, request, &payload).await {
            Err(error) if error.kind == ErrorKind::PayloadMismatch => {
                screen
                    .write_line(&paint.red(&visible(&error.message)))
                    .map_err(|error| no_terminal(&error))?;
                continue;
            }
            Err(error) if is_over(&error) => visible(&error.message),
            Err(error) => return Err(error.into()),
            Ok(_) => {
                format!("? {} {}", ask::title(request), paint.cyan(&visible(&plain(&payload))))
            }
        };
        screen.keep(&told).map_err(|error| no_terminal(&error))?;
        return Ok((screen, Some(payload)));
    }
}

/// Gives an answer. The same one again changes nothing, so a lost server is no reason to fail.
pub(crate) async fn answer(
    session: &mut Session,
    play: &PlaySid,
    request: &ResumeRequest,
    payload: &Json,
) -> Result<Resumed, RpcError> {
    let params = PlayResume {
        play_sid: play.clone(),
        resume_id: request.id.clone(),
        payload_json: payload.text().to_owned(),
    };
    session.call_again("play_resume", &params).await.map_err(|mut error: RpcError| {
        error.message = format!("failed to answer \"{}\": {}", request.name, error.message);
        error
    })
}

fn is_over(error: &RpcError) -> bool {
    matches!(error.kind, ErrorKind::ResumeConflict | ErrorKind::PlayEnded)
}

fn no_terminal(error: &std::io::Error) -> RpcError {
    RpcError::new(ErrorKind::Internal, format!("failed to use the terminal: {error}"))
        .hint("`--json` and pipes do without one")
}

/// Reports how a play stands, and returns the exit code.
pub(crate) async fn report(session: &mut Session, play: &Play) -> Result<i32, Stopped> {
    let output = session.output().clone();
    let code = exit::of_status(play.status);
    if output.is_json {
        output.print_json(play)?;
        return Ok(code);
    }
    match (&play.output_data, &play.error) {
        (Some(value), _) => output.print(&plain(value))?,
        (None, Some(failure)) => tell_of_failure(session, play, failure),
        (None, None) => {}
    }
    if play.status == PlayStatus::AwaitingResume {
        tell_of_waiting(session, play).await?;
    } else if play.status == PlayStatus::Cancelled {
        output.tell(&format!("cancelled: {}", play.sid));
    }
    for pattern in &play.prefill_unused {
        output.tell(&format!("prefill {} was never used", shell_word(&visible(pattern))));
    }
    Ok(code)
}

fn tell_of_failure(session: &Session, play: &Play, failure: &Failure) {
    let output = session.output();
    let traceback = failure.exception.as_ref().map_or("", |raised| &raised.traceback);
    if output.is_live && !traceback.is_empty() {
        output.tell(&output.paint_stderr.dim(&visible_lines(traceback)));
    }
    let word = output.paint_stderr.red(&format!("{}:", play.status));
    output.tell(&format!("{word} {}", visible(&failure.message)));
    let hint = match &failure.hint {
        Some(hint) => visible(hint),
        None => format!("`{}` tells more", session.place().command(&format!("show {}", play.sid))),
    };
    output.tell(&format!("{} {hint}", output.paint_stderr.cyan("hint:")));
}

async fn tell_of_waiting(session: &mut Session, play: &Play) -> Result<(), RpcError> {
    let spans = all_spans(session, &play.sid).await?;
    for Question { play, request } in questions::of(session, play, &spans).await? {
        let command = session.place().answering(&play, &request);
        session.output().tell(&format!("waiting for \"{}\": {command}", visible(&request.name)));
    }
    let others = play.pending_resumes.iter().filter(|request| !request.kind.is_question());
    for request in others {
        let words = waits::words(request, waits::child(request, &spans), now());
        session.output().tell(&format!("{}: {words}", visible(&request.name)));
    }
    Ok(())
}

fn tell_of_leaving(session: &Session, play: &PlaySid) {
    let output = session.output();
    let command = session.place().command(&format!("wait {play}"));
    if output.is_live {
        // The cursor may stand behind a question.
        output.tell("");
    }
    if session.is_embedded() {
        output.tell(&format!("left play {play} where it stands; it goes on with: {command}"));
    } else {
        output.tell(&format!("play {play} goes on in the server; follow it with: {command}"));
    }
}
