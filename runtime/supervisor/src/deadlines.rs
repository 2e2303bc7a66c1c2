//! The steps of a launch that must end in time.

use std::time::Duration;

use hero_schema::SpanId;
use hero_schema::frame::StepOutput;
use tokio::time::{Instant, sleep_until};

/// Which those are, and what is stored for each when its time is over.
#[derive(Default)]
pub(crate) struct Deadlines(Vec<(Instant, StepOutput)>);

impl Deadlines {
    /// Starts the clock of a step.
    pub(crate) fn set(&mut self, timeout_micros: u64, output: StepOutput) {
        // A time beyond what the clock can tell never comes.
        if let Some(at) = Instant::now().checked_add(Duration::from_micros(timeout_micros)) {
            self.0.push((at, output));
        }
    }

    /// A span has ended: its step has, or stands at a pause.
    pub(crate) fn forget(&mut self, span: &SpanId) {
        self.0.retain(|(_, output)| output.span_id != *span);
    }

    /// Returns the outcome of the first step whose time is over, once it is; dropped before that, it
    /// has changed nothing.
    pub(crate) async fn passed(&mut self) -> StepOutput {
        let first = (0..self.0.len()).min_by_key(|&index| self.0[index].0);
        match first {
            Some(index) => {
                sleep_until(self.0[index].0).await;
                self.0.swap_remove(index).1
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use hero_schema::{Json, Outcome, StepKey, Timestamp};

    use super::*;

    fn output(span: &str) -> StepOutput {
        StepOutput {
            key: StepKey::new(span),
            parent_path: "main".into(),
            name: "step".into(),
            arguments_hash: String::new(),
            source_hash: String::new(),
            span_id: SpanId::new(span),
            outcome: Outcome::Returned(Json::null()),
            at: Timestamp(0),
            compensable: false,
            plan: false,
            place: None,
        }
    }

    #[tokio::test]
    async fn the_first_deadline_of_an_open_span_passes() {
        let mut deadlines = Deadlines::default();
        deadlines.set(30_000, output("last"));
        deadlines.set(1, output("ended"));
        deadlines.set(20_000, output("first"));
        deadlines.forget(&SpanId::new("ended"));
        assert_eq!(deadlines.passed().await.span_id, SpanId::new("first"));
        assert_eq!(deadlines.passed().await.span_id, SpanId::new("last"));
    }
}
