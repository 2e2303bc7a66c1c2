//! Durable plays behind one trait.
//!
//! [`Store`] says for each method what holds after it returns and what a crash before that leaves.
//! One contract suite runs against every implementation, reopening after each write. A store knows
//! records and indexes; it knows no rule of a play, no process and no socket.

mod api;

pub use api::{Batch, Error, Fence, Page, PageQuery, PlayQuery, Store, Write};
