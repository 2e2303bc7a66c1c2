//! `play_delete`

use hero_schema::RpcError;
use hero_schema::rpc::{Deleted, PlayGet};

use crate::errors;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayGet) -> Result<Deleted, RpcError> {
    service.supervisor.delete(&params.play_sid).await.map_err(errors::of_supervisor)?;
    Ok(Deleted { ok: true })
}
