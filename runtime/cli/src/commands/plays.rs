//! `hero_logic plays`

use hero_schema::exit;
use hero_schema::rpc::{PlayList, PlayPage, PlaySummary};

use super::Context;
use crate::args;
use crate::output::{Paint, Stopped};
use crate::session::{self, Role};
use crate::table::Table;
use crate::text::{ago, duration, now, visible};

pub(crate) async fn run(args: args::Plays, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let list = PlayList {
            status: args.status,
            workflow: args.workflow,
            cursor: None,
            limit: Some(args.limit),
        };
        let page: PlayPage = session.call("play_list", &list).await?;
        let output = session.output();
        if output.is_json {
            output.print_json(&page)?;
        } else if page.items.is_empty() {
            output.tell("no plays; start one with: hero_logic run FILE.py");
        } else {
            output.print(&table(&page.items, output.paint))?;
            if page.next_cursor.is_some() {
                output.tell(&format!("only the newest {}; --limit shows more", args.limit));
            }
        }
        Ok(exit::SUCCESS)
    })
    .await
}

fn table(plays: &[PlaySummary], paint: Paint) -> String {
    let now = now();
    let mut table = Table::new(["PLAY", "NAME", "STATUS", "OPEN", "CREATED", "TOOK"], paint);
    for play in plays {
        let n_open = match play.n_open_requests {
            n if n > 0 && !play.status.is_ended() => n.to_string(),
            _ => String::new(),
        };
        let took = play
            .started_at
            .zip(play.ended_at)
            .map(|(started, ended)| duration(ended.micros_since(started)));
        table.row([
            play.sid.to_string(),
            visible(&play.name),
            paint.status(play.status),
            n_open,
            ago(play.created_at, now),
            took.unwrap_or_default(),
        ]);
    }
    table.to_string()
}
