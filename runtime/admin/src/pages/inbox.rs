//! `GET /inbox`: what waits for a person, over all plays.

use axum::extract::State;
use hero_rpc::Client;
use hero_schema::rpc::{InboxList, InboxPage};
use maud::{Markup, html};

use super::{Failed, layout};
use crate::form;

pub(crate) async fn show(State(client): State<Client>) -> Result<Markup, Failed> {
    let found: InboxPage = client.call("inbox_list", &InboxList::default()).await?;
    let for_people: Vec<_> = found.items.iter().filter(|item| item.request.ui.is_some()).collect();
    let title = format!("({}) Waiting for you", for_people.len());
    Ok(layout::page(
        &title,
        html! {
            h1 { "Waiting for you" }
            @if for_people.is_empty() { p { "Nothing waits for an answer." } }
            @for item in for_people {
                section.card {
                    h2 { a href={ "/plays/" (item.play_sid) } { (item.play_name) } }
                    p.age { "asked " (layout::duration(item.request.asked_at, layout::now())) " ago" }
                    (form::draw(&format!("/plays/{}", item.play_sid), &item.request))
                }
            }
        },
    ))
}
