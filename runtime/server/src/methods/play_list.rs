//! `play_list`

use std::collections::BTreeMap;

use hero_schema::rpc::{PlayList, PlayPage};
use hero_schema::{ErrorKind, Json, RpcError, Starter, tag};
use hero_store::{PlayQuery, StartedBy};

use super::{page, workflow_get};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayList) -> Result<PlayPage, RpcError> {
    let workflow = match &params.workflow {
        Some(workflow) => Some(workflow_get::find(service, workflow).await?.sid),
        None => None,
    };
    let query = PlayQuery {
        status: params.status,
        workflow,
        parent: params.parent,
        tags: texts(&params.tags)?,
        started_by: params.started_by.as_deref().map(started_by).transpose()?,
        text: params.text,
        since: params.since,
        until: params.until,
        page: page::query(params.cursor, params.limit)?,
    };
    let page = service.store.plays(query).await.map_err(errors::of_store)?;
    let next_cursor = page::next(&page);
    let items = page.items.into_iter().map(Into::into).collect();
    Ok(PlayPage { items, next_cursor, damaged: page.damaged })
}

/// What the tags are compared by. What no play has as a tag is refused: it would look as if there were
/// none.
fn texts(tags: &BTreeMap<String, Json>) -> Result<BTreeMap<String, String>, RpcError> {
    if let Some((name, _)) = tags.iter().find(|(name, value)| !tag::is_of_plays(name, value)) {
        let message = format!("no play is found by the tag {name:?}");
        return Err(RpcError::new(ErrorKind::InvalidParams, message).hint(
            "plays are found by what `flow.annotate` attached to their root flow: not cost, tokens or progress, nor anything long",
        ));
    }
    Ok(tags.iter().map(|(name, value)| (name.clone(), tag::text(value))).collect())
}

/// Reads `WAY` or `WAY:WHO`.
fn started_by(text: &str) -> Result<StartedBy, RpcError> {
    let (word, who) = match text.split_once(':') {
        Some((word, who)) => (word, Some(who.to_owned())),
        None => (text, None),
    };
    if !Starter::WORDS.contains(&word) {
        let message = format!("no play is started by {word:?}");
        let hint = format!("one of {}, perhaps with `:` and who", Starter::WORDS.join(", "));
        return Err(RpcError::new(ErrorKind::InvalidParams, message).hint(hint));
    }
    Ok(StartedBy { word: word.to_owned(), who })
}
