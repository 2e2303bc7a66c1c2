//! `play_list`

use hero_schema::RpcError;
use hero_schema::rpc::{PlayList, PlayPage};
use hero_store::PlayQuery;

use super::{page, workflow_get};
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayList) -> Result<PlayPage, RpcError> {
    let workflow = match &params.workflow {
        Some(workflow) => Some(workflow_get::find(service, workflow).await?.sid),
        None => None,
    };
    let page = page::query(params.cursor, params.limit)?;
    let query = PlayQuery { status: params.status, workflow, parent: None, page };
    let page = service.store.plays(query).await.map_err(errors::of_store)?;
    let next_cursor = page::next(&page);
    let items = page.items.into_iter().map(Into::into).collect();
    Ok(PlayPage { items, next_cursor, damaged: page.damaged })
}
