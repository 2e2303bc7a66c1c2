//! JSON-RPC 2.0 over HTTP on a Unix socket: server glue and a client.
//!
//! This room knows envelopes, sockets and peers, and no plays: what a method does is behind a trait
//! that the server implements.

pub mod paths;
