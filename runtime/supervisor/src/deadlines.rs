//! The steps of a launch that must end in time.

use std::time::Duration;

use hero_schema::StepKey;
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

    /// A step has ended.
    pub(crate) fn forget(&mut self, step: &StepKey) {
        self.0.retain(|(_, output)| output.key != *step);
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
