//! `hero_logic retry` and `restart`

use hero_schema::Play;
use hero_schema::rpc::PlayGet;

use super::Context;
use crate::args;
use crate::follow;
use crate::output::Stopped;
use crate::session::{self, Role};

/// Starts the new play by this method, and follows it.
pub(crate) async fn run(method: &str, args: args::Again, context: Context) -> Result<i32, Stopped> {
    let role = if args.detach { Role::Looks } else { Role::Carries };
    session::with(context, role, async |session| {
        let play: Play = session.call(method, &PlayGet { play_sid: args.play }).await?;
        follow::carry(session, &play, args.detach).await
    })
    .await
}
