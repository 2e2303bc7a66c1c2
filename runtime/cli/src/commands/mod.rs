//! The commands, one file each, in the order of the help.

mod again;
mod cancel;
mod check;
mod completions;
mod delete;
mod doctor;
mod fork;
mod inbox;
mod infocheck;
mod logs;
mod man;
mod moves;
mod plays;
mod resume;
mod run;
mod schedule;
mod show;
mod units;
mod wait;
mod workflow;

use hero_schema::{ErrorKind, RpcError, exit};

use crate::args::{Cli, Command};
use crate::output::{Output, Stopped};
use crate::place::Place;
use crate::services;

/// What every command works with.
pub(crate) struct Context {
    pub(crate) place: Place,
    pub(crate) output: Output,
}

/// Carries out what was asked and returns the exit code.
pub(crate) async fn run(cli: Cli) -> i32 {
    let output = Output::new(cli.global.json, cli.global.color);
    match carry_out(cli, output.clone()).await {
        Ok(code) => code,
        Err(Stopped::Interrupted) => exit::CANCELLED,
        // As if all had been read: whoever closed the pipe had enough.
        Err(Stopped::ReaderGone) => exit::SUCCESS,
        Err(Stopped::Refused(error)) => {
            output.refuse(&error);
            exit::USAGE
        }
    }
}

async fn carry_out(cli: Cli, output: Output) -> Result<i32, Stopped> {
    let place = Place::new(cli.global.data_dir)?;
    let context = Context { place, output };
    let flags = cli.services;
    match cli.command {
        Some(_) if flags.start || flags.stop || flags.status => Err(not_both().into()),
        Some(command) => dispatch(command, context).await,
        None if flags.start => services::start(&context).await,
        None if flags.stop => services::stop(&context).await,
        None if flags.status => services::status(&context).await,
        None => Err(nothing_asked().into()),
    }
}

async fn dispatch(command: Command, context: Context) -> Result<i32, Stopped> {
    match command {
        Command::Run(args) => run::run(args, context).await,
        Command::Plays(args) => plays::run(args, context).await,
        Command::Show(args) => show::run(args, context).await,
        Command::Resume(args) => resume::run(args, context).await,
        Command::Inbox => inbox::run(context).await,
        Command::Wait(args) => wait::run(args, context).await,
        Command::Logs(args) => logs::run(args, context).await,
        Command::Cancel(args) => cancel::run(args, context).await,
        Command::Retry(args) => again::retry(args, context).await,
        Command::Restart(args) => again::restart(args, context).await,
        Command::Move(args) => moves::run(args, context).await,
        Command::Fork(args) => fork::run(args, context).await,
        Command::Delete(args) => delete::run(args, context).await,
        Command::Workflow(args) => workflow::run(args, context).await,
        Command::Check(args) => check::run(args, context).await,
        Command::Schedule(args) => schedule::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Infocheck => infocheck::run(&context).await,
        Command::Completions { shell } => completions::run(shell, &context),
        Command::Man { dir } => man::run(&dir, &context),
        Command::Units { dir } => units::run(&dir, &context),
    }
}

fn not_both() -> RpcError {
    RpcError::new(ErrorKind::InvalidParams, "--start, --stop and --status stand alone")
        .hint("give the command in a line of its own")
}

fn nothing_asked() -> RpcError {
    RpcError::new(ErrorKind::InvalidParams, "there is no command")
        .hint("`hero_logic --help` lists the commands")
}
