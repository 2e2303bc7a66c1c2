//! `play_wait`

use std::time::Duration;

use hero_rpc::server::Caller;
use hero_schema::rpc::{PlayWait, Until};
use hero_schema::{Play, PlaySid, RpcError};
use tokio::sync::broadcast::error::RecvError;

use super::play_get;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: PlayWait,
    mut caller: Caller,
) -> Result<Play, RpcError> {
    let deadline = async {
        match params.timeout_ms {
            0 => std::future::pending().await,
            timeout_ms => tokio::time::sleep(Duration::from_millis(timeout_ms)).await,
        }
    };
    tokio::select! {
        play = wait(service, &params.play_sid, params.until) => return play,
        () = deadline => {}
        // Nobody reads the answer; it is given all the same, to end the wait.
        () = caller.gone() => {}
        () = service.stopping() => return at_the_stop(service, &params).await,
    }
    play_get::play(service, &params.play_sid).await
}

/// The last look: a play that has got there in this very moment is not kept from whoever waited for it.
async fn at_the_stop(service: &Service, params: &PlayWait) -> Result<Play, RpcError> {
    let play = play_get::play(service, &params.play_sid).await?;
    if is_there(&play, params.until) {
        Ok(play)
    } else {
        Err(errors::of_supervisor(hero_supervisor::Error::Stopping))
    }
}

fn is_there(play: &Play, until: Until) -> bool {
    match until {
        Until::Ended => play.status.is_ended(),
        Until::Settled => play.status.is_settled(),
    }
}

async fn wait(service: &Service, sid: &PlaySid, until: Until) -> Result<Play, RpcError> {
    // Listening begins before the first look, so that nothing can happen unseen in between.
    let mut news = service.store.news();
    loop {
        let play = play_get::play(service, sid).await?;
        if is_there(&play, until) {
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
