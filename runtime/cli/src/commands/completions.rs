//! `hero_logic completions`

use clap::CommandFactory;
use clap_complete::Shell;
use hero_schema::exit;

use super::Context;
use crate::args::Cli;
use crate::output::Stopped;

pub(crate) fn run(shell: Shell, context: &Context) -> Result<i32, Stopped> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hero_logic", &mut script);
    let script = String::from_utf8(script).expect("completions are text");
    context.output.print(script.trim_end())?;
    Ok(exit::SUCCESS)
}
