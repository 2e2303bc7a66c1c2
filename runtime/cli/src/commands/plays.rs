//! `hero_logic plays`

use hero_schema::rpc::{PlayList, PlayPage, PlaySummary};
use hero_schema::{RpcError, exit};

use super::Context;
use crate::args;
use crate::output::{Paint, Stopped};
use crate::session::{self, Role, Session};
use crate::table::Table;
use crate::text::{ago, duration, now, visible};

pub(crate) async fn run(args: args::Plays, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let is_search = args.is_search();
        let (limit, list) = (args.limit, wanted(args));
        let page = pages(session, list, limit).await?;
        let output = session.output();
        if output.is_json {
            output.print_json(&page)?;
        } else if page.items.is_empty() && is_search {
            output.tell("no such plays");
        } else if page.items.is_empty() {
            output.tell("no plays; start one with: hero_logic run FILE.py");
        } else {
            output.print(&table(&page.items, output.paint))?;
            if page.next_cursor.is_some() {
                output.tell(&format!("only the newest {limit}; --limit shows more"));
            }
        }
        Ok(exit::SUCCESS)
    })
    .await
}

fn wanted(args: args::Plays) -> PlayList {
    PlayList {
        status: args.status,
        workflow: args.workflow,
        tags: args.tags.into_iter().collect(),
        text: args.text,
        since: args.since,
        until: args.until,
        parent: args.parent,
        started_by: args.started_by,
        cursor: None,
        limit: Some(args.limit),
    }
}

/// As many plays as are wanted: where few of a list fit, a page of it may be short.
async fn pages(
    session: &mut Session,
    mut list: PlayList,
    limit: u32,
) -> Result<PlayPage, RpcError> {
    let mut page: PlayPage = session.call("play_list", &list).await?;
    loop {
        let n_missing = (limit as usize).saturating_sub(page.items.len() + page.damaged.len());
        let Some(cursor) = page.next_cursor.take_if(|_| n_missing > 0) else { return Ok(page) };
        list.cursor = Some(cursor);
        list.limit = Some(u32::try_from(n_missing).unwrap_or(limit));
        let next: PlayPage = session.call("play_list", &list).await?;
        page.items.extend(next.items);
        page.damaged.extend(next.damaged);
        page.next_cursor = next.next_cursor;
    }
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
