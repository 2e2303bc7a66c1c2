//! JSON-RPC 2.0 over HTTP on a Unix socket: server glue and a client.
