//! The one representation of time.

use serde::{Deserialize, Serialize};

/// Whole microseconds since the Unix epoch, UTC. On the wire a plain integer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How many microseconds lie between an earlier moment and this one; 0 if it was not earlier.
    pub fn micros_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// The moment so many microseconds later; the last one there is where the sum is beyond it.
    #[must_use]
    pub fn after_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add_unsigned(micros))
    }
}
