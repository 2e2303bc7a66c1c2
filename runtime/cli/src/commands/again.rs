//! `hero_logic retry` and `restart`

use hero_schema::Play;
use hero_schema::rpc::{PlayGet, PlayRetry};
use serde::Serialize;

use super::Context;
use crate::args;
use crate::follow;
use crate::output::Stopped;
use crate::session::{self, Role};

/// `hero_logic retry`
pub(crate) async fn retry(args: args::Retry, context: Context) -> Result<i32, Stopped> {
    let args::Retry { again, budget } = args;
    let retry = PlayRetry { play_sid: again.play, budget: budget.budget() };
    run("play_retry", retry, again.detach, context).await
}

/// `hero_logic restart`
pub(crate) async fn restart(args: args::Again, context: Context) -> Result<i32, Stopped> {
    run("play_restart", PlayGet { play_sid: args.play }, args.detach, context).await
}

/// Starts the new play by this method, and follows it.
async fn run(
    method: &str,
    params: impl Serialize,
    is_detached: bool,
    context: Context,
) -> Result<i32, Stopped> {
    let role = if is_detached { Role::Looks } else { Role::Carries };
    session::with(context, role, async |session| {
        let play: Play = session.call(method, &params).await?;
        follow::carry(session, &play, is_detached).await
    })
    .await
}
