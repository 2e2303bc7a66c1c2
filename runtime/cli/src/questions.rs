//! What a play asks: itself, or by the plays that it has spawned and waits for.

use hero_schema::rpc::PlayGet;
use hero_schema::{Play, PlayStatus, RequestKind, ResumeRequest, RpcError, Span};

use crate::follow::all_spans;
use crate::session::Session;
use crate::waits;

/// An open request, and the play that asks.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) play: Play,
    pub(crate) request: ResumeRequest,
}

/// Every open question that keeps a play from going on, its own ones first. None where it has a process,
/// or waits for the clock alone.
pub(crate) async fn of(
    session: &mut Session,
    play: &Play,
    spans: &[Span],
) -> Result<Vec<Question>, RpcError> {
    let mut questions = Vec::new();
    let mut waiting = vec![(play.clone(), spans.to_vec())];
    while let Some((play, spans)) = waiting.pop() {
        if play.status != PlayStatus::AwaitingResume {
            continue;
        }
        let asked = play.questions().filter(|request| request.is_awaited_question()).cloned();
        questions.extend(asked.map(|request| Question { play: play.clone(), request }));
        for request in &play.pending_resumes {
            if request.kind != RequestKind::Child {
                continue;
            }
            let Some(child) = waits::child(request, &spans) else { continue };
            let get = PlayGet { play_sid: child.clone() };
            let child: Play = session.call_again("play_get", &get).await?;
            let spans = all_spans(session, &child.sid).await?;
            waiting.push((child, spans));
        }
    }
    Ok(questions)
}
