//! JSON-RPC 2.0 over HTTP on a Unix socket: a client, and the glue of a server.
//!
//! This room carries methods and knows none of them: no play, no store. [`Client`] is what programs
//! talk with; [`server`] turns a socket and a [`server::Dispatch`] into a service; [`paths`] says where
//! the sockets and the data of an installation are. On both ends the peer must belong to the same
//! user of the machine.

pub mod client;
pub mod health;
pub mod paths;
pub mod server;
pub mod socket;
pub mod version;

mod envelope;
mod routes;

pub use client::Client;
