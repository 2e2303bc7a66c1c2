//! Durable plays behind one trait.
//!
//! [`Store`] says for each method what holds after it returns and what a crash before that leaves.
//! One contract suite runs against every implementation, reopening after each write. A store knows
//! records and indexes; it knows no rule of a play, no process and no socket.
//!
//! [`MemoryStore`] and [`SledStore`] are one store ([`KeyedStore`]) over two ordered sets of pairs: what
//! a key is, what a batch may do and how a list is paged is written once. A store over a database
//! of its own kind implements [`Store`] itself. [`doctor`] looks after directories that are damaged.

mod api;
mod clock;
mod committer;
mod engine;
mod keyed_store;
mod keys;
mod lists;
mod memory_store;
mod migration;
mod plan;
mod record;
mod sled_store;
mod spans;

pub use api::{
    Batch, Commit, Due, Error, Fence, Page, PageQuery, PlayQuery, StartedBy, Store, Write,
};
pub use engine::{Changes, Engine, Pair};
pub use keyed_store::KeyedStore;
pub use memory_store::{MemoryEngine, MemoryStore};
pub use sled_store::doctor;
pub use sled_store::{SledEngine, SledStore};
