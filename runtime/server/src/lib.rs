//! The Hero Logic server: supervisor, store and RPC in one program.
