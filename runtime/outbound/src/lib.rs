//! Posts to addresses that others chose: what may be reached, and for how long.
//!
//! Whoever may name an address must not thereby reach what only this machine can. So an address is looked
//! at as it is written ([`Target`]) and again once its name is resolved, and the connection goes to the very
//! address that was looked at: a name that resolves to something else a moment later gains nothing.
//! Redirects are not followed, and proxies are not used.

mod address;
mod post;
mod target;

pub use post::{Failed, Outbound};
pub use target::{Allowed, Refused};
