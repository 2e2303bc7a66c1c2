//! `hero_logic fork`

use std::collections::{BTreeMap, BTreeSet};

use hero_schema::rpc::PlayFork;
use hero_schema::{ErrorKind, Play, PlaySid, RpcError, Span, SpanId};

use super::Context;
use crate::args;
use crate::follow::{self, all_spans};
use crate::output::Stopped;
use crate::session::{self, Role, Session};
use crate::text::visible;

pub(crate) async fn run(args: args::Fork, context: Context) -> Result<i32, Stopped> {
    let role = if args.detach { Role::Looks } else { Role::Carries };
    session::with(context, role, async |session| {
        let detach = args.detach;
        let order = order(session, args).await?;
        let play: Play = session.call("play_fork", &order).await?;
        follow::carry(session, &play, detach).await
    })
    .await
}

async fn order(session: &mut Session, args: args::Fork) -> Result<PlayFork, RpcError> {
    let spans = match (&args.from, &args.output[..]) {
        (None, []) => Vec::new(),
        _ => all_spans(session, &args.play).await?,
    };
    let find = |wanted: &str| find(&args.play, &spans, wanted);
    let outputs = args.output.iter().map(|(step, output)| Ok((find(step)?, output.clone())));
    Ok(PlayFork {
        from_span: args.from.as_deref().map(find).transpose()?,
        answers: args.answer.iter().cloned().collect(),
        outputs: outputs.collect::<Result<BTreeMap<_, _>, RpcError>>()?,
        play_sid: args.play,
    })
}

/// The span of this id, or the only one of this name.
fn find(play: &PlaySid, spans: &[Span], wanted: &str) -> Result<SpanId, RpcError> {
    if let Some(span) = spans.iter().find(|span| span.span_id.as_str() == wanted) {
        return Ok(span.span_id.clone());
    }
    let named = spans.iter().filter(|span| span.name == wanted).map(|span| &span.span_id);
    let named: Vec<&SpanId> = named.collect::<BTreeSet<_>>().into_iter().collect();
    match named[..] {
        [span] => Ok(span.clone()),
        [] => {
            let message = format!("play `{play}` has no span `{}`", visible(wanted));
            Err(RpcError::new(ErrorKind::SpanNotFound, message)
                .hint(format!("`hero_logic show {play} --spans` lists them")))
        }
        [..] => {
            let ids: Vec<_> = named.iter().map(|span| span.as_str()).collect();
            let message = format!("play `{play}` has {} calls of `{wanted}`", ids.len());
            Err(RpcError::new(ErrorKind::InvalidParams, message)
                .hint(format!("name one by its span: {}", ids.join(" or "))))
        }
    }
}
