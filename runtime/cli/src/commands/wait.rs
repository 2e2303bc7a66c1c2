//! `hero_logic wait`

use std::time::Instant;

use hero_schema::rpc::{PlayWait, Until};
use hero_schema::{Play, exit};

use super::Context;
use crate::args;
use crate::follow;
use crate::output::Stopped;
use crate::questions;
use crate::session::{self, Role, Session};

pub(crate) async fn run(args: args::Wait, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Carries, async |session| {
        let interrupted = session.interrupted();
        let waited = tokio::select! {
            play = waited(session, &args) => play?,
            () = interrupted => return Err(Stopped::Interrupted),
        };
        let code = follow::report(session, &waited).await?;
        if waited.status.is_ended() || has_settled(session, &waited).await? {
            return Ok(code);
        }
        session.output().tell(&format!("still {}", waited.status));
        Ok(exit::TIMED_OUT)
    })
    .await
}

/// Whether the play stands at a question, its own or that of a play it waits for.
async fn has_settled(session: &mut Session, play: &Play) -> Result<bool, Stopped> {
    let spans = follow::all_spans(session, &play.sid).await?;
    Ok(!questions::of(session, play, &spans).await?.is_empty())
}

async fn waited(session: &mut Session, args: &args::Wait) -> Result<Play, Stopped> {
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let until = Until::from(args.until);
    let timeout_ms = deadline.map_or(0, |at| {
        let left = at.saturating_duration_since(Instant::now());
        // 0 would wait for ever.
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
    });
    let wait = PlayWait { play_sid: args.play.clone(), timeout_ms, until };
    Ok(session.call_again("play_wait", &wait).await?)
}
