//! The glue of a server: a private socket, the HTTP routes, and what carries a call out.
