//! Keeps plays going: the only room that starts processes.
//!
//! A [`Supervisor`] turns events into stored decisions ([`decide`]) and performs what follows from
//! them: it starts the processes of launches, listens to them on one span socket, and relaunches a
//! play whose process died or whose question was answered. It knows no RPC and no HTML, and decides
//! nothing itself: rules are in the core, durability is in the store.

mod supervisor;

mod callbacks;
mod deadlines;
mod decide;
mod family;
mod keys;
mod launch;
mod moves;
mod outbox;
mod recorder;
mod rerun;
mod schedules;
mod spawn;
mod tagging;
mod timers;
mod versions;
mod workflows;

mod bundle;
mod cause;
mod environment;
mod interpreter;
mod last_words;
mod launch_dir;
mod memory;
mod memory_index;
mod orphans;
mod output;
mod procfs;
mod span_socket;
mod spawner;

mod fork_server;
mod process;

mod inspect;

pub mod checkup;

mod error;

pub use callbacks::Posted;
pub use error::Error;
pub use hero_outbound::Allowed;
pub use moves::{Plan, Target};
pub use rerun::Fork;
pub use schedules::calendar;
pub use supervisor::{Answered, NewPlay, Settings, Supervisor, VersionChoice};
pub use workflows::Resolved;
