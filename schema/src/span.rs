//! Spans: the nodes of a play's call tree, one record for each launch that reached them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Json, LaunchNumber, PlaySid, Raised, SpanId, StepKey, Timestamp};

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// The play's own flow.
    FlowRoot,
    /// A `@flow` call, or a `flow.step` block (which has no `step_key`: a block is not remembered).
    Step,
    /// `flow.rpc`.
    Rpc,
    /// `flow.invoke`.
    Subflow,
    /// `flow.pause` and what is built on it.
    Pause,
    /// Anything else, such as one attempt of a retried step.
    Other,
}

/// How far a span got in one launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    /// Declared, not begun.
    Pending,
    /// Begun.
    Running,
    /// Ended, and ran in this launch.
    Ok,
    /// Ended with an exception.
    Failed,
    /// Ended by its deadline.
    TimedOut,
    /// Open when the launch was ended from outside.
    Cancelled,
    /// Open when the launch ended at a pause.
    Paused,
    /// Took its outcome from memory; its body did not run in this launch.
    Replayed,
}

/// One node of the call tree as one launch saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Span {
    /// The same for the same call in every launch.
    pub span_id: SpanId,
    /// The enclosing span; None for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<SpanId>,
    /// The launch that this record tells of.
    pub launch: LaunchNumber,
    /// Where it stands among the frames of its launch: orders siblings.
    pub seq: u64,
    /// The flow, block or pause.
    pub name: String,
    /// What it stands for.
    pub kind: SpanKind,
    /// How far it got.
    pub status: SpanStatus,
    /// The step whose outcome it produced or replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_key: Option<StepKey>,
    /// The arguments as a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Json>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; None while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What `flow.annotate` attached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Json>,
    /// The exception it ended with, or `hero_logic:ProcessDied`: how its process died, with the last
    /// lines of its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Raised>,
    /// The play that this span started and waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_play_sid: Option<PlaySid>,
    /// The file of the called function, relative to the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_file: Option<String>,
    /// The line of its definition, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_line: Option<u32>,
}

/// A span as it is stored: which launch began it, and with which frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanPlace {
    /// The launch.
    pub launch: LaunchNumber,
    /// The place of its `span_start` among the frames of that launch.
    pub seq: u64,
}

/// Spans that one launch began at regular intervals, as a loop of steps does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct SpanRange {
    /// The launch.
    pub launch: LaunchNumber,
    /// The `seq` of the first.
    pub seq: u64,
    /// How far the `seq` of each lies from that of the one before.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: u64,
    /// How many they are.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub n: u64,
}

fn one() -> u64 {
    1
}

fn is_one(number: &u64) -> bool {
    *number == 1
}

impl SpanRange {
    /// A range of one.
    pub fn of(place: SpanPlace) -> Self {
        Self { launch: place.launch, seq: place.seq, stride: 1, n: 1 }
    }

    /// Appends a span where it lies as far from the last as that from the one before it.
    pub fn extend(&mut self, place: SpanPlace) -> bool {
        if place.launch != self.launch || place.seq <= self.last() {
            return false;
        }
        if self.n == 1 {
            self.stride = place.seq - self.seq;
        } else if place.seq - self.last() != self.stride {
            return false;
        }
        self.n += 1;
        true
    }

    /// The `seq` of each from that of this index on. Only of a sound range.
    pub fn seqs(&self, first: u64) -> impl Iterator<Item = u64> + use<> {
        let Self { seq, stride, .. } = *self;
        (first..self.n).map(move |index| seq + index * stride)
    }

    /// Whether it names spans at all, each once.
    fn is_sound(&self) -> bool {
        let last = self.n.checked_sub(1).and_then(|n| n.checked_mul(self.stride));
        self.stride > 0 && last.and_then(|last| last.checked_add(self.seq)).is_some()
    }

    fn last(&self) -> u64 {
        self.seq + (self.n - 1) * self.stride
    }
}

/// How many spans one record of them tells of at most.
pub const REPLAYED_SPANS_MAX: u64 = 100_000;

/// Spans of replayed steps, as many as one `replayed` frame has told of. Each shows what the span shows in
/// which the step ran, except for what is said here: its status is `replayed`, and it was over at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ReplayedSpans {
    /// The launch that has replayed them.
    pub launch: LaunchNumber,
    /// The place of the first among the frames of that launch; each takes one.
    pub seq: u64,
    /// The span that encloses all of them.
    pub parent_id: SpanId,
    /// When the first of them was called.
    pub at: Timestamp,
    /// The spans in which they ran, in the order of the calls.
    pub ran_as: Vec<SpanRange>,
}

impl ReplayedSpans {
    /// How many they are.
    ///
    /// # Errors
    /// Why they cannot be the spans of replayed steps.
    pub fn n_spans(&self) -> Result<u64, &'static str> {
        let mut n_spans = 0_u64;
        for range in &self.ran_as {
            if !range.is_sound() {
                return Err("it names no spans");
            }
            if range.launch >= self.launch {
                return Err("it names a launch that is no earlier one");
            }
            n_spans = n_spans.saturating_add(range.n);
        }
        match n_spans {
            0 => Err("it tells of no step"),
            1..=REPLAYED_SPANS_MAX => {
                let last = self.seq.checked_add(n_spans);
                last.map(|_| n_spans).ok_or("its places are beyond all numbers")
            }
            _ => Err("it tells of too many steps"),
        }
    }

    /// The span of a step, given the one in which it ran.
    pub fn shown(&self, index: u64, ran_as: Span) -> Span {
        Span {
            parent_id: Some(self.parent_id.clone()),
            launch: self.launch,
            seq: self.seq + index,
            status: SpanStatus::Replayed,
            started_at: self.at,
            ended_at: Some(self.at),
            tags: BTreeMap::new(),
            error: None,
            child_play_sid: None,
            ..ran_as
        }
    }
}

/// Where a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// `flow.log`.
    Log,
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// The supervisor, about this launch.
    Supervisor,
}

/// How loud a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For everyone.
    #[default]
    Info,
    /// Unexpected, and handled.
    Warning,
    /// Something failed.
    Error,
}

/// One line of a play's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// The launch that wrote it.
    pub launch: LaunchNumber,
    /// Orders the lines of a launch.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// How loud it is.
    pub level: LogLevel,
    /// The span it belongs to; None for what the process as a whole wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
    /// The text, without its line end.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(launch: u32, seq: u64) -> SpanPlace {
        SpanPlace { launch: LaunchNumber(launch), seq }
    }

    fn range(launch: u32, seq: u64, stride: u64, n: u64) -> SpanRange {
        SpanRange { launch: LaunchNumber(launch), seq, stride, n }
    }

    #[test]
    fn spans_at_regular_intervals_are_one_range() {
        let mut loop_of_steps = SpanRange::of(place(1, 3));
        assert!((1..1000).all(|n| loop_of_steps.extend(place(1, 3 + 2 * n))));
        assert_eq!(loop_of_steps, range(1, 3, 2, 1000));
        for other in [place(2, 2003), place(1, 2002), place(1, 2004), place(1, 3), place(1, 0)] {
            assert!(!loop_of_steps.extend(other), "{other:?}");
        }
        assert_eq!(loop_of_steps.seqs(997).collect::<Vec<_>>(), [1997, 1999, 2001]);
    }

    #[test]
    fn what_cannot_have_been_replayed_is_told() {
        let spans = |seq, ran_as: &[SpanRange]| ReplayedSpans {
            launch: LaunchNumber(2),
            seq,
            parent_id: SpanId::new("a1"),
            at: Timestamp(7),
            ran_as: ran_as.to_vec(),
        };
        assert_eq!(spans(1, &[range(1, 3, 2, 10), range(1, 30, 1, 1)]).n_spans(), Ok(11));
        let most = range(1, 1, 1, REPLAYED_SPANS_MAX);
        assert_eq!(spans(1, &[most]).n_spans(), Ok(REPLAYED_SPANS_MAX));
        for (seq, ran_as) in [
            (1, &[][..]),
            (1, &[range(1, 3, 1, 0)]),
            (1, &[range(1, 3, 0, 2)]),
            (1, &[range(2, 3, 1, 1)]),
            (1, &[range(1, u64::MAX, 1, 2)]),
            (1, &[range(1, 1, u64::MAX, 3)]),
            (1, &[most, range(1, 1, 1, 1)]),
            (1, &[range(1, 1, 1, u64::MAX); 2]),
            (u64::MAX, &[range(1, 3, 1, 1)]),
        ] {
            assert!(spans(seq, ran_as).n_spans().is_err(), "{ran_as:?}");
        }
    }
}
