//! `hero_logic delete`

use hero_schema::rpc::{Deleted, PlayGet};
use hero_schema::{ErrorKind, Play, PlaySid, RpcError, exit};
use serde::Serialize;

use super::Context;
use crate::args;
use crate::output::Stopped;
use crate::screen::Screen;
use crate::session::{self, Role, Session};
use crate::text::visible;

#[derive(Serialize)]
struct Removed {
    deleted: Vec<PlaySid>,
}

pub(crate) async fn run(args: args::Delete, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let plays = all_of(session, &args.plays).await?;
        if !args.yes && !is_meant(session, &what(&plays))? {
            session.output().tell("nothing was deleted");
            return Ok(exit::USAGE);
        }
        let mut removed = Removed { deleted: Vec::new() };
        for play in plays {
            let get = PlayGet { play_sid: play.sid.clone() };
            let _: Deleted = session.call("play_delete", &get).await?;
            session.output().tell(&format!("deleted {}", play.sid));
            removed.deleted.push(play.sid);
        }
        if session.output().is_json {
            session.output().print_json(&removed)?;
        }
        Ok(exit::SUCCESS)
    })
    .await
}

/// All of them can be deleted, or none is: a list with a mistake in it changes nothing.
async fn all_of(session: &mut Session, sids: &[PlaySid]) -> Result<Vec<Play>, RpcError> {
    let mut plays: Vec<Play> = Vec::new();
    for sid in sids {
        let play: Play = session.call("play_get", &PlayGet { play_sid: sid.clone() }).await?;
        if !play.status.is_ended() {
            let message = format!("play `{sid}` has not ended: it is `{}`", play.status);
            let cancel = session.place().command(&format!("cancel {sid}"));
            return Err(RpcError::new(ErrorKind::IllegalTransition, message)
                .hint(format!("end it first: {cancel}")));
        }
        if !plays.iter().any(|known| known.sid == play.sid) {
            plays.push(play);
        }
    }
    Ok(plays)
}

fn what(plays: &[Play]) -> String {
    match plays {
        [play] => format!(
            "play {} ({}, {}) with all that is stored of it",
            play.sid,
            visible(&play.name),
            play.status
        ),
        _ => format!("{} plays with all that is stored of them", plays.len()),
    }
}

/// Asks whether something is to be deleted.
pub(super) fn is_meant(session: &Session, what: &str) -> Result<bool, RpcError> {
    if !session.output().can_ask {
        return Err(RpcError::new(
            ErrorKind::InvalidParams,
            "what is deleted cannot be brought back, and nobody can be asked",
        )
        .hint("say --yes to delete without a question"));
    }
    let question = format!("Delete {what}? y/N ");
    let typed = Screen::new().read_line(&question).map_err(|error| {
        RpcError::new(ErrorKind::Internal, format!("failed to use the terminal: {error}"))
    })?;
    Ok(typed.is_some_and(|typed| matches!(typed.trim().to_lowercase().as_str(), "y" | "yes")))
}
