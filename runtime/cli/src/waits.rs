//! What a play waits for, in words: an answer, the clock, another play.

use std::collections::BTreeMap;

use hero_schema::{Play, PlaySid, RequestKind, ResumeRequest, Span, SpanId, Timestamp};

use crate::text::{duration, moment};

/// What there is to say about the waiting of calls, by their span.
pub(crate) type Notes = BTreeMap<SpanId, String>;

/// `sleeps until 2026-11-20 21:34:33 UTC, in 3 h 0 min`.
pub(crate) fn words(request: &ResumeRequest, child: Option<&PlaySid>, now: Timestamp) -> String {
    let until = request.expires_at.map(|at| {
        let left = at.micros_since(now);
        let left = if left == 0 { "now".into() } else { format!("in {}", duration(left)) };
        format!("{}, {left}", moment(at))
    });
    match (request.kind, until) {
        (RequestKind::Timer, Some(until)) => format!("sleeps until {until}"),
        (RequestKind::Retry, Some(until)) => format!("tries again at {until}"),
        (RequestKind::Child, _) => match child {
            Some(child) => format!("waits for play {child}"),
            None => "waits for a play".into(),
        },
        (RequestKind::Timer | RequestKind::Retry, None) => "waits for the clock".into(),
        (RequestKind::Pause | RequestKind::Callback, None) => "waits for an answer".into(),
        (RequestKind::Pause | RequestKind::Callback, Some(until)) => {
            format!("waits for an answer until {until}")
        }
    }
}

/// The child play that a request waits for, as the span in which it was asked names it.
pub(crate) fn child<'a>(request: &ResumeRequest, spans: &'a [Span]) -> Option<&'a PlaySid> {
    let asked_at = |span: &&Span| span.span_id == request.asked_at_span_id;
    spans.iter().filter(asked_at).find_map(|span| span.child_play_sid.as_ref())
}

/// What to say in the tree of a play.
pub(crate) fn notes(play: &Play, spans: &[Span], now: Timestamp) -> Notes {
    let note = |request: &ResumeRequest| {
        let text = match request.kind {
            _ if request.is_open() && play.status.is_ended() => "never answered".into(),
            _ if request.is_open() => words(request, child(request, spans), now),
            RequestKind::Pause | RequestKind::Callback => "answered".into(),
            RequestKind::Timer => "slept".into(),
            RequestKind::Child | RequestKind::Retry => return None,
        };
        Some((request.asked_at_span_id.clone(), text))
    };
    let requests = play.received_resumes.iter().chain(&play.pending_resumes);
    let mut notes: Notes = requests.filter_map(note).collect();
    for span in spans {
        if let Some(child) = &span.child_play_sid {
            notes.entry(span.span_id.clone()).or_insert_with(|| format!("play {child}"));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_is_waited_for_and_how_long() {
        let request = |kind: &str, expires_at: &str| -> ResumeRequest {
            let text = format!(
                r#"{{"id":"0f","name":"q","kind":"{kind}","asked_at_span_id":"0a","asked_at":0{expires_at}}}"#
            );
            serde_json::from_str(&text).expect("a request")
        };
        let soon = r#","expires_at":60000000"#;
        let child = PlaySid::new("01jq");
        let cases = [
            ("timer", soon, "sleeps until 1970-01-01 00:01:00 UTC, in 50.0 s"),
            ("retry", soon, "tries again at 1970-01-01 00:01:00 UTC, in 50.0 s"),
            ("timer", r#","expires_at":1"#, "sleeps until 1970-01-01 00:00:00 UTC, now"),
            ("child", "", "waits for play 01jq"),
            ("pause", "", "waits for an answer"),
            ("pause", soon, "waits for an answer until 1970-01-01 00:01:00 UTC, in 50.0 s"),
        ];
        for (kind, expires_at, expected) in cases {
            let request = request(kind, expires_at);
            assert_eq!(words(&request, Some(&child), Timestamp(10_000_000)), expected);
        }
    }
}
