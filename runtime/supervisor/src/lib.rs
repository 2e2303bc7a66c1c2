//! Keeps plays going: the only room that starts processes.
