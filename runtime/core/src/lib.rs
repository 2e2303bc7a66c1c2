//! Pure decisions: what an event does to a play.
//!
//! [`lifecycle::apply`] is the whole life of a play as one total function
//! `(play, event, now) → (play, effects)`. Nothing here waits, reads a clock, opens a file or draws a
//! random number; a shell stores the new play first and performs the effects after.

pub mod lifecycle;

mod failure;
mod launch_end;

pub mod answer;
pub mod callback;
pub mod carry_over;
pub mod final_callback;
pub mod library;
pub mod prefill;
pub mod replay;
pub mod rerun;
pub mod schedule;
pub mod template;

pub use launch_end::{Exit, LaunchEnd, Spent};
pub use lifecycle::{Decision, Effect, Event, Refusal, Transition, apply};
