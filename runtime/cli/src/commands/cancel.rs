//! `hero_logic cancel`

use hero_schema::rpc::PlayGet;
use hero_schema::{Play, exit};

use super::Context;
use crate::args;
use crate::output::Stopped;
use crate::session::{self, Role};

pub(crate) async fn run(args: args::Cancel, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let get = PlayGet { play_sid: args.play };
        let play: Play = session.call("play_cancel", &get).await?;
        let output = session.output();
        if output.is_json {
            output.print_json(&play)?;
        } else {
            output.tell(&format!("cancelled {}", play.sid));
        }
        Ok(exit::SUCCESS)
    })
    .await
}
