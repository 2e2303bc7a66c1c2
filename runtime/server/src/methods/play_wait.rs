//! `play_wait`

use std::collections::HashSet;
use std::time::Duration;

use hero_rpc::server::Caller;
use hero_schema::rpc::{PlayWait, Until};
use hero_schema::{Play, PlaySid, PlayStatus, RequestKind, RpcError};

use super::play_get;
use crate::errors;
use crate::service::Service;

/// How long the news of spawned plays are taken together: a family may be large.
const FAMILY_NEWS: Duration = Duration::from_millis(50);

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
    let look = look(service, &params.play_sid, params.until).await?;
    if look.is_there {
        Ok(look.play)
    } else {
        Err(errors::of_supervisor(hero_supervisor::Error::Stopping))
    }
}

async fn wait(service: &Service, sid: &PlaySid, until: Until) -> Result<Play, RpcError> {
    // Listening begins before the first look, so that nothing can happen unseen in between.
    let (mut play, mut family) = (service.news.listener(), service.news.listener());
    play.listen_to([sid.clone()]);
    loop {
        let look = look(service, sid, until).await?;
        if look.is_there || service.news.are_over() {
            return Ok(look.play);
        }
        if family.listen_to(look.family) {
            continue;
        }
        tokio::select! {
            () = play.heard() => {}
            () = family.heard() => tokio::time::sleep(FAMILY_NEWS).await,
        }
    }
}

/// What one look at a play has found.
struct Look {
    play: Play,
    /// Whether it has got to where it is waited for.
    is_there: bool,
    /// The spawned plays whose change may change that.
    family: HashSet<PlaySid>,
}

/// Looks at a play. It settles with a question of its own, or with one of a play that it waits for.
async fn look(service: &Service, sid: &PlaySid, until: Until) -> Result<Look, RpcError> {
    let play = play_get::play(service, sid).await?;
    let mut look = Look { is_there: play.status.is_ended(), play, family: HashSet::new() };
    if look.is_there || until == Until::Ended || look.play.status != PlayStatus::AwaitingResume {
        return Ok(look);
    }
    let mut parents = vec![sid.clone()];
    while let Some(parent) = parents.pop() {
        let requests = service.store.requests(&parent).await.map_err(errors::of_store)?;
        let open: Vec<_> = requests.iter().filter(|request| request.is_open()).collect();
        if open.iter().any(|request| request.is_awaited_question()) {
            look.is_there = true;
            return Ok(look);
        }
        if !open.iter().any(|request| request.kind == RequestKind::Child) {
            continue;
        }
        let children = service.supervisor.children(&parent).await;
        for child in children.map_err(errors::of_supervisor)? {
            look.family.insert(child.sid.clone());
            parents.extend((child.status == PlayStatus::AwaitingResume).then_some(child.sid));
        }
    }
    Ok(look)
}
