//! `hero_logic`: words, tables, a live tree and exit codes for what the RPC offers.
//!
//! It decides nothing about plays. Where a server answers on the socket it talks to it; where none
//! does, it becomes one for as long as the command takes ([`session`]).

mod args;
mod ask;
mod commands;
mod follow;
mod infocheck;
mod inputs;
mod interrupt;
mod manifest;
mod output;
mod place;
mod questions;
mod screen;
mod services;
mod session;
mod table;
mod text;
mod tree;
mod trial;
mod waits;

use std::ffi::OsString;
use std::io::IsTerminal;

use hero_schema::exit;

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    std::process::exit(run(&arguments));
}

fn run(arguments: &[OsString]) -> i32 {
    if manifest::is_asked_for(arguments) {
        return manifest::print();
    }
    let cli = match args::parse(arguments) {
        Ok(cli) => cli,
        Err(unread) => return unread.print(),
    };
    start_logging();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: failed to start: {error}");
            eprintln!("hint: allow more open files (`ulimit -n`) and threads");
            return exit::USAGE;
        }
    };
    let code = runtime.block_on(commands::run(cli));
    // A question may still sit on the terminal, on a thread that nothing can end.
    runtime.shutdown_background();
    code
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env(hero_schema::env::LOG)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let has_colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(has_colours)
        .init();
}
