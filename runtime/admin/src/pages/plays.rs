//! `GET /`: the plays, newest first.

use axum::extract::{Query, State};
use hero_rpc::Client;
use hero_schema::PlayStatus;
use hero_schema::rpc::{PlayList, PlayPage};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Failed, layout};

const PAGE_SIZE: u32 = 50;

#[derive(Default, Deserialize)]
pub(crate) struct Filter {
    status: Option<PlayStatus>,
    cursor: Option<String>,
}

pub(crate) async fn show(
    State(client): State<Client>,
    Query(filter): Query<Filter>,
) -> Result<Markup, Failed> {
    let asked = PlayList {
        status: filter.status,
        cursor: filter.cursor,
        limit: Some(PAGE_SIZE),
        ..PlayList::default()
    };
    let found: PlayPage = client.call("play_list", &asked).await?;
    let now = layout::now();
    Ok(layout::page(
        "Plays",
        html! {
            h1 { "Plays" }
            nav.filter {
                a href="/" { "all" }
                @for status in PlayStatus::ALL { a href={ "/?status=" (status.word()) } { (status.word()) } }
            }
            @if found.items.is_empty() { (teach()) }
            @else {
                table {
                    thead { tr { th { "Play" } th { "Status" } th { "Started" } th { "Took" } } }
                    tbody {
                        @for play in &found.items {
                            tr {
                                td { a href={ "/plays/" (play.sid) } { (play.name) } }
                                td { (layout::status(play.status)) }
                                td { (layout::duration(play.created_at, now)) " ago" }
                                td { (layout::duration(play.created_at, play.ended_at.unwrap_or(now))) }
                            }
                        }
                    }
                }
            }
            @if let Some(cursor) = &found.next_cursor {
                @let status = filter.status.map_or(String::new(), |status| format!("status={status}&"));
                p { a href={ "/?" (status) "cursor=" (cursor) } { "older plays" } }
            }
        },
    ))
}

fn teach() -> Markup {
    html! {
        p { "No plays here. Save this as " code { "hello.py" } " and start it with " code { "hero_logic run hello.py" } ":" }
        pre { "from pyhero import ask_user, flow\n\n@flow\ndef hello() -> str:\n    name = ask_user.text(\"name\", \"Who are you?\")\n    return f\"Hello, {name}\"\n" }
    }
}
