//! `hero_logic resume`

use hero_schema::rpc::{PlayGet, Resumed};
use hero_schema::{ErrorKind, Json, Play, ResumeRequest, RpcError, exit};

use super::Context;
use crate::args;
use crate::follow;
use crate::output::Stopped;
use crate::place::Place;
use crate::screen::Screen;
use crate::session::{self, Role, Session};
use crate::text::shell_word;

pub(crate) async fn run(args: args::Resume, context: Context) -> Result<i32, Stopped> {
    let given = args.answer.as_deref().map(payload).transpose()?;
    let role = if args.detach { Role::Looks } else { Role::Carries };
    session::with(context, role, async |session| {
        let get = PlayGet { play_sid: args.play.clone() };
        let play: Play = session.call_again("play_get", &get).await?;
        let request = find(&play, &args.request, session.place())?;
        let resumed = match &given {
            Some(payload) => Some(follow::answer(session, &play.sid, request, payload).await?),
            None => ask(session, &play, request).await?,
        };
        match resumed {
            Some(resumed) if args.detach && session.output().is_json => {
                session.output().print_json(&resumed)?;
                Ok(exit::SUCCESS)
            }
            _ if args.detach => Ok(exit::SUCCESS),
            _ => follow::to_the_end(session, &play.sid).await,
        }
    })
    .await
}

fn payload(typed: &str) -> Result<Json, RpcError> {
    Json::parse(typed).map_err(|error| {
        RpcError::new(
            ErrorKind::PayloadNotJson,
            format!("the answer `{typed}` is not JSON: {error}"),
        )
        .hint(format!("text is written in both quotes: {}", shell_word(&quoted(typed))))
    })
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Asks on the terminal; the question has then been answered there, or left open.
async fn ask(
    session: &mut Session,
    play: &Play,
    request: &ResumeRequest,
) -> Result<Option<Resumed>, Stopped> {
    if !session.output().can_ask || !request.is_open() {
        let command = session.place().answering(play, request);
        let message = format!("no answer to \"{}\" is given", request.name);
        let error = RpcError::new(ErrorKind::InvalidParams, message);
        return Err(error.hint(format!("give it as JSON: {command}")).into());
    }
    let interrupted = session.interrupted();
    tokio::select! {
        asked = follow::ask_here(session, &play.sid, request, Screen::new()) => asked.map(|_| None),
        () = interrupted => Err(Stopped::Interrupted),
    }
}

/// The request of this id or name: among those that are open, then among those that were answered.
fn find<'a>(play: &'a Play, wanted: &str, place: &Place) -> Result<&'a ResumeRequest, RpcError> {
    let all = || play.pending_resumes.iter().chain(&play.received_resumes);
    if let Some(request) = all().find(|request| request.id.as_str() == wanted) {
        return Ok(request);
    }
    for requests in [&play.pending_resumes, &play.received_resumes] {
        let named: Vec<_> = requests.iter().filter(|request| request.name == wanted).collect();
        match named[..] {
            [] => {}
            [request] => return Ok(request),
            [..] => return Err(ambiguous(play, wanted, &named)),
        }
    }
    Err(unknown(play, wanted, place))
}

fn ambiguous(play: &Play, wanted: &str, named: &[&ResumeRequest]) -> RpcError {
    let ids: Vec<_> = named.iter().map(|request| request.id.as_str()).collect();
    let message = format!("play `{}` has {} requests named `{wanted}`", play.sid, named.len());
    RpcError::new(ErrorKind::InvalidParams, message)
        .hint(format!("name one by its id: {}", ids.join(" or ")))
}

fn unknown(play: &Play, wanted: &str, place: &Place) -> RpcError {
    let message = format!("play `{}` has asked nothing named `{wanted}`", play.sid);
    let open: Vec<_> = play.pending_resumes.iter().map(|request| request.name.as_str()).collect();
    let hint = if play.status.is_ended() {
        format!("the play has ended: {}", play.status)
    } else if open.is_empty() {
        let run = place.command(&format!("run … --prefill {}=JSON", shell_word(wanted)));
        format!("nothing is open now; to answer before it is asked, start a play with: {run}")
    } else {
        format!("open are: {}", open.join(", "))
    };
    RpcError::new(ErrorKind::RequestNotFound, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A play with these open and answered requests, each as (id, name).
    fn play(open: &[(&str, &str)], answered: &[(&str, &str)]) -> Play {
        let request = |(id, name): &(&str, &str)| {
            serde_json::json!({
                "id": id, "name": name, "kind": "pause", "asked_at_span_id": "0a", "asked_at": 1,
            })
        };
        let value = serde_json::json!({
            "sid": "01jq", "name": "p", "workflow_sid": null, "workflow_version_sid": "00",
            "status": "awaiting_resume", "input_data": {}, "prefill_unused": [], "left_over": [],
            "pending_resumes": open.iter().map(request).collect::<Vec<_>>(),
            "received_resumes": answered.iter().map(request).collect::<Vec<_>>(),
            "total_cost_usd": 0.0, "launch": 1, "created_at": 1,
        });
        serde_json::from_str(&value.to_string()).expect("a play")
    }

    #[test]
    fn a_name_means_the_open_request_and_else_the_answered_one() {
        let place = Place::new(None).expect("a place");
        let play =
            play(&[("1", "a"), ("2", "b"), ("3", "b")], &[("4", "a"), ("5", "c"), ("6", "2")]);
        let cases = [
            ("a", Ok("1")),
            ("4", Ok("4")),
            ("c", Ok("5")),
            ("2", Ok("2")),
            ("b", Err(("2 requests named `b`", "2 or 3"))),
            ("d", Err(("asked nothing named `d`", "open are: a, b, b"))),
        ];
        for (wanted, expected) in cases {
            match (find(&play, wanted, &place), expected) {
                (Ok(found), Ok(id)) => assert_eq!(found.id.as_str(), id, "{wanted}"),
                (Err(error), Err((message, hint))) => {
                    assert!(error.message.contains(message), "{}", error.message);
                    assert!(error.hint.expect("a hint").contains(hint));
                }
                (found, _) => panic!("{wanted}: {found:?}"),
            }
        }
    }
}
