//! The call tree of a play: the spans of all launches as one tree, and its lines.
//!
//! A call has the same span id in every launch, so what ran in one and was replayed in the next is
//! one node that says so.

use std::collections::BTreeMap;

use hero_schema::{Json, LaunchNumber, Span, SpanId, SpanKind, SpanStatus, Timestamp};

use crate::output::Paint;
use crate::text;
use crate::waits::Notes;

const NAME_CHARS_MAX: usize = 60;
const ERROR_CHARS_MAX: usize = 100;
const ARGUMENT_CHARS_MAX: usize = 24;
const ARGUMENTS_CHARS_MAX: usize = 60;

/// One call, over all launches that reached it.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// The records of the call, by launch.
    records: Vec<&'a Span>,
    children: Vec<Node<'a>>,
}

/// The spans of a play as trees: one for each root, in the order in which calls were first reached.
pub(crate) fn grow(spans: &[Span]) -> Vec<Node<'_>> {
    let mut calls: BTreeMap<&SpanId, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        calls.entry(&span.span_id).or_default().push(span);
    }
    let mut below: BTreeMap<Option<&SpanId>, Vec<Vec<&Span>>> = BTreeMap::new();
    for mut records in calls.values().cloned() {
        records.sort_by_key(|span| (span.launch, span.seq));
        // A parent that is not there is no reason to hide what lies below it.
        let parent = records[0].parent_id.as_ref().filter(|id| calls.contains_key(id));
        below.entry(parent).or_default().push(records);
    }
    nodes(None, &mut below)
}

fn nodes<'a>(
    parent: Option<&'a SpanId>,
    below: &mut BTreeMap<Option<&'a SpanId>, Vec<Vec<&'a Span>>>,
) -> Vec<Node<'a>> {
    let mut calls = below.remove(&parent).unwrap_or_default();
    calls.sort_by_key(|records| (records[0].launch, records[0].seq));
    let node = |records: Vec<&'a Span>| {
        let children = nodes(Some(&records[0].span_id), below);
        Node { records, children }
    };
    calls.into_iter().map(node).collect()
}

impl Node<'_> {
    fn last(&self) -> &Span {
        self.records.last().expect("a call has at least one record")
    }

    /// The record that tells how the call stands: the last one, and for a replayed call the one whose
    /// outcome was remembered.
    fn telling(&self) -> &Span {
        let has_outcome =
            |span: &&&Span| matches!(span.status, SpanStatus::Ok | SpanStatus::Failed);
        match self.last().status {
            SpanStatus::Replayed => {
                self.records.iter().rev().find(has_outcome).copied().unwrap_or(self.last())
            }
            _ => self.last(),
        }
    }

    fn status(&self) -> SpanStatus {
        match self.telling().status {
            // It was replayed and did not fail: the answer of a pause, for one, comes that way.
            SpanStatus::Replayed | SpanStatus::Paused if self.is_replayed() => SpanStatus::Ok,
            status => status,
        }
    }

    fn is_replayed(&self) -> bool {
        self.last().status == SpanStatus::Replayed
    }

    fn replays(&self) -> Vec<LaunchNumber> {
        let replayed = self.records.iter().filter(|span| span.status == SpanStatus::Replayed);
        replayed.map(|span| span.launch).collect()
    }
}

/// How trees are drawn.
pub(crate) struct Drawing<'a> {
    /// What there is to say about calls that wait or have waited.
    pub(crate) notes: &'a Notes,
    /// Whether each line begins with the span.
    pub(crate) shows_spans: bool,
    pub(crate) paint: Paint,
    /// Tells how long open calls have been running.
    pub(crate) now: Timestamp,
}

impl Drawing<'_> {
    /// The lines of the trees.
    pub(crate) fn lines(&self, trees: &[Node<'_>]) -> Vec<String> {
        let mut lines = Vec::new();
        for tree in trees {
            lines.push(format!("{}{}", self.span(tree), self.line(tree)));
            self.add_below(tree, "", &mut lines);
        }
        lines
    }

    fn span(&self, node: &Node<'_>) -> String {
        match self.shows_spans {
            true => self.paint.dim(&format!("{}  ", node.last().span_id)),
            false => String::new(),
        }
    }

    fn add_below(&self, node: &Node<'_>, indent: &str, lines: &mut Vec<String>) {
        for (index, child) in node.children.iter().enumerate() {
            let is_last = index + 1 == node.children.len();
            let (branch, trunk) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let prefix = self.paint.dim(&format!("{indent}{branch}"));
            lines.push(format!("{}{prefix}{}", self.span(child), self.line(child)));
            self.add_below(child, &format!("{indent}{trunk}"), lines);
        }
    }

    fn line(&self, node: &Node<'_>) -> String {
        let paint = self.paint;
        let telling = node.telling();
        let name = text::short(&text::visible(&telling.name), NAME_CHARS_MAX);
        let mut line = format!("{} {name}", mark(node.status(), paint));
        if let Some(arguments) = telling.arguments.as_ref().and_then(arguments) {
            line.push_str(&paint.dim(&format!("({arguments})")));
        }
        let notes: Vec<String> =
            [duration(node, self.now), self.history(node)].into_iter().flatten().collect();
        if !notes.is_empty() {
            line.push_str(&paint.dim(&format!("  {}", notes.join("  "))));
        }
        if let Some(error) = &telling.error {
            let class = error.class.rsplit(':').next().unwrap_or_default();
            let told = text::visible(&format!("{class}: {}", error.message));
            line.push_str(&paint.red(&format!("  {}", text::short(&told, ERROR_CHARS_MAX))));
        }
        line
    }

    /// `ran in launch 1, replayed in 2 to 4`, or what it waits for, where there is something to tell.
    fn history(&self, node: &Node<'_>) -> Option<String> {
        let replays = node.replays();
        let replayed = match replays[..] {
            [] => String::new(),
            [launch] => format!("replayed in {launch}"),
            [first, .., last] => format!("replayed in {first} to {last}"),
        };
        let span = node.telling();
        if let Some(note) = self.notes.get(&span.span_id) {
            return Some(note.clone());
        }
        match node.status() {
            SpanStatus::Paused => {
                (span.kind == SpanKind::Pause).then(|| "waits for an answer".into())
            }
            SpanStatus::Cancelled => Some("interrupted".into()),
            _ if replays.is_empty() => None,
            _ if span.kind == SpanKind::Pause => Some("answered".into()),
            _ if span.status == SpanStatus::Replayed => Some(replayed),
            _ => Some(format!("ran in launch {}, {replayed}", span.launch)),
        }
    }
}

/// `version=1.4, dry_run=false`, each and all cut to a length; None where there are none.
fn arguments(arguments: &Json) -> Option<String> {
    let members: BTreeMap<String, Json> = arguments.read().ok()?;
    let member = |(key, value): (&String, &Json)| {
        let shown = text::short(&text::visible(value.text()), ARGUMENT_CHARS_MAX);
        format!("{}={shown}", text::visible(key))
    };
    let shown: Vec<String> = members.iter().map(member).collect();
    (!shown.is_empty()).then(|| text::short(&shown.join(", "), ARGUMENTS_CHARS_MAX))
}

fn mark(status: SpanStatus, paint: Paint) -> String {
    match status {
        SpanStatus::Ok | SpanStatus::Replayed => paint.green("✓"),
        SpanStatus::Failed | SpanStatus::TimedOut => paint.red("✗"),
        SpanStatus::Cancelled => paint.red("■"),
        SpanStatus::Paused => paint.yellow("?"),
        SpanStatus::Running => paint.cyan("▸"),
        SpanStatus::Pending => paint.dim("·"),
    }
}

/// How long the call took, where that says something: not for a root that began anew in each launch,
/// and not for what waits, which takes as long as people do.
fn duration(node: &Node<'_>, now: Timestamp) -> Option<String> {
    let telling = node.telling();
    let is_repeated = telling.kind == SpanKind::FlowRoot && node.records.len() > 1;
    let is_waiting = telling.kind == SpanKind::Pause || telling.status == SpanStatus::Paused;
    if is_repeated || is_waiting || telling.status == SpanStatus::Replayed {
        return None;
    }
    let until = match telling.status {
        SpanStatus::Running => now,
        _ => telling.ended_at?,
    };
    Some(text::duration(until.micros_since(telling.started_at)))
}

#[cfg(test)]
mod tests {
    use hero_schema::Raised;

    use super::*;

    use SpanKind as K;
    use SpanStatus as S;

    fn span(id: &str, parent: &str, launch: u32, seq: u64, kind: K, status: S) -> Span {
        let text = format!(
            r#"{{"span_id":"{id}","launch":{launch},"seq":{seq},"name":"{id}","kind":"step",
                "status":"ok","started_at":1000000,"ended_at":1012000}}"#
        );
        let mut span: Span = serde_json::from_str(&text).expect("a span");
        span.parent_id = (!parent.is_empty()).then(|| SpanId::new(parent));
        (span.kind, span.status) = (kind, status);
        span
    }

    fn drawn(spans: &[Span]) -> Vec<String> {
        drawn_with(spans, &Notes::new(), false)
    }

    fn drawn_with(spans: &[Span], notes: &Notes, shows_spans: bool) -> Vec<String> {
        let (paint, now) = (Paint { is_on: false }, Timestamp(3_000_000));
        Drawing { notes, shows_spans, paint, now }.lines(&grow(spans))
    }

    #[test]
    fn a_call_of_several_launches_is_one_line_that_tells_its_history() {
        let spans = [
            span("main", "", 1, 1, K::FlowRoot, S::Paused),
            span("look_up", "main", 1, 2, K::Step, S::Ok),
            span("approve", "main", 1, 3, K::Pause, S::Paused),
            span("main", "", 2, 1, K::FlowRoot, S::Ok),
            span("look_up", "main", 2, 2, K::Step, S::Replayed),
            span("approve", "main", 2, 3, K::Pause, S::Replayed),
            span("pay", "main", 2, 4, K::Step, S::Ok),
        ];
        assert_eq!(
            drawn(&spans),
            [
                "✓ main",
                "├─ ✓ look_up  12 ms  ran in launch 1, replayed in 2",
                "├─ ✓ approve  answered",
                "└─ ✓ pay  12 ms",
            ]
        );
        assert_eq!(
            drawn(&spans[..3]),
            ["? main", "├─ ✓ look_up  12 ms", "└─ ? approve  waits for an answer"]
        );
    }

    #[test]
    fn what_waits_says_for_what_and_each_call_its_span_where_that_is_wanted() {
        let spans = [
            span("main", "", 1, 1, K::FlowRoot, S::Paused),
            span("sleep", "main", 1, 2, K::Pause, S::Paused),
        ];
        let notes = Notes::from([(SpanId::new("sleep"), "sleeps until noon".to_owned())]);
        assert_eq!(
            drawn_with(&spans, &notes, true),
            ["main  ? main", "sleep  └─ ? sleep  sleeps until noon"]
        );
    }

    #[test]
    fn children_stand_below_their_caller_in_the_order_of_their_calls() {
        let spans = [
            span("b", "main", 1, 4, K::Step, S::Running),
            span("a2", "a", 1, 3, K::Step, S::Ok),
            span("a", "main", 1, 2, K::Step, S::Ok),
            span("main", "", 1, 1, K::FlowRoot, S::Running),
            span("lost", "unknown", 1, 9, K::Step, S::Pending),
        ];
        assert_eq!(
            drawn(&spans),
            [
                "▸ main  2.0 s",
                "├─ ✓ a  12 ms",
                "│  └─ ✓ a2  12 ms",
                "└─ ▸ b  2.0 s",
                "· lost  12 ms"
            ]
        );
    }

    #[test]
    fn a_remembered_failure_stays_a_failure_and_its_text_is_made_safe() {
        let mut failed = span("charge", "", 1, 1, K::Step, S::Failed);
        failed.error = Some(Raised {
            class: "shop:Declined".into(),
            message: "no\x1b[2J".into(),
            traceback: String::new(),
            args: None,
        });
        let spans = [failed, span("charge", "", 2, 1, K::Step, S::Replayed)];
        assert_eq!(
            drawn(&spans),
            ["✗ charge  12 ms  ran in launch 1, replayed in 2  Declined: no\\u{1b}[2J"]
        );
    }

    #[test]
    fn arguments_are_shown_and_many_replays_are_one_range() {
        let mut first = span("notes", "", 1, 1, K::Step, S::Ok);
        let long = format!(r#"{{"version":"1.4","text":"{}"}}"#, "x".repeat(99));
        first.arguments = Some(Json::parse(long).expect("JSON"));
        let replay = |launch| span("notes", "", launch, 1, K::Step, S::Replayed);
        let expected = format!(
            "✓ notes(text=\"{}…, version=\"1.4\")  12 ms  ran in launch 1, replayed in 2 to 4",
            "x".repeat(22)
        );
        assert_eq!(drawn(&[first, replay(2), replay(3), replay(4)]), [expected]);
    }

    #[test]
    fn the_order_in_which_spans_come_does_not_matter() {
        let mut spans = vec![
            span("main", "", 1, 1, K::FlowRoot, S::Cancelled),
            span("main", "", 2, 1, K::FlowRoot, S::Ok),
            span("a", "main", 2, 2, K::Step, S::Ok),
        ];
        let expected = drawn(&spans);
        spans.reverse();
        assert_eq!(drawn(&spans), expected);
    }
}
