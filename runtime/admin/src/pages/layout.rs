//! What all pages share.

use hero_schema::{PlayStatus, RpcError, Timestamp};
use maud::{DOCTYPE, Markup, html};

/// A page with its title and content.
pub(crate) fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Hero Logic" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header {
                    strong { "Hero Logic" }
                    nav { a href="/" { "Plays" } a href="/inbox" { "Waiting for you" } }
                }
                main { (content) }
            }
        }
    }
}

/// A page with one sentence.
pub(crate) fn notice(message: &str) -> Markup {
    page("Notice", html! { p.notice { (message) } })
}

/// A page for an error of the RPC.
pub(crate) fn failure(error: &RpcError) -> Markup {
    page(
        "Error",
        html! {
            div.notice role="alert" {
                p { strong { (error.kind.word()) } " " (error.message) }
                @if let Some(hint) = &error.hint { p { (hint) } }
            }
        },
    )
}

/// A status as its word.
pub(crate) fn status(status: PlayStatus) -> Markup {
    html! { span class={ "status " (status.word()) } { (status.word()) } }
}

/// How long a play took so far, or how long ago something was, in the largest unit that says something.
pub(crate) fn duration(from: Timestamp, to: Timestamp) -> String {
    let micros = to.micros_since(from);
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        60_000_000..3_600_000_000 => format!("{} min", micros / 60_000_000),
        3_600_000_000..86_400_000_000 => format!("{} h", micros / 3_600_000_000),
        _ => format!("{} d", micros / 86_400_000_000),
    }
}

/// The clock of this machine, for ages on pages.
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(
        since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)),
    )
}
