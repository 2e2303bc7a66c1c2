//! `play_wait`

use std::time::Duration;

use hero_schema::rpc::{PlayWait, Until};
use hero_schema::{Play, PlaySid, RpcError};
use tokio::sync::broadcast::error::RecvError;

use super::play_get;
use crate::service::Service;

pub(crate) async fn run(service: &Service, params: PlayWait) -> Result<Play, RpcError> {
    let waiting = wait(service, &params.play_sid, params.until);
    if params.timeout_ms == 0 {
        return waiting.await;
    }
    match tokio::time::timeout(Duration::from_millis(params.timeout_ms), waiting).await {
        Ok(play) => play,
        Err(_) => play_get::play(service, &params.play_sid).await,
    }
}

async fn wait(service: &Service, sid: &PlaySid, until: Until) -> Result<Play, RpcError> {
    // Listening begins before the first look, so that nothing can happen unseen in between.
    let mut news = service.store.news();
    loop {
        let play = play_get::play(service, sid).await?;
        let is_there = match until {
            Until::Ended => play.status.is_ended(),
            Until::Settled => play.status.is_settled(),
        };
        if is_there {
            return Ok(play);
        }
        loop {
            match news.recv().await {
                Ok(changed) if changed == *sid => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Ok(play),
            }
        }
    }
}
