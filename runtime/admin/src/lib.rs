//! The Hero Logic web UI: an RPC client like any other.
