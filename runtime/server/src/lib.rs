//! Store, supervisor and RPC wired into one server, for `hero_logic_server` and for every command
//! that finds no server and becomes one itself.
//!
//! [`doctor`] looks at an installation from outside, whether a server runs on it or not.
//!
//! It has no rules of its own: [`service`] turns each RPC method into calls of the supervisor and the
//! store, one file a method, and [`errors`] maps every inner error to its outside kind once.

mod errors;
mod library;
mod methods;
mod news;
mod retention;
mod server;
mod service;

pub mod doctor;

pub use server::{Config, Server};
