//! `hero_logic man`

use std::path::Path;

use clap::CommandFactory;
use hero_schema::{ErrorKind, RpcError, exit};

use super::Context;
use crate::args::Cli;
use crate::output::Stopped;

/// A page for the program and one for each of its commands.
pub(crate) fn run(dir: &Path, context: &Context) -> Result<i32, Stopped> {
    let written =
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map_err(|error| {
        let message = format!("failed to write man pages to `{}`: {error}", dir.display());
        RpcError::new(ErrorKind::FileUnreadable, message)
            .hint("choose a directory of your own, such as ~/.local/share/man/man1")
    })?;
    context.output.tell(&format!("man -l {}", dir.join("hero_logic.1").display()));
    Ok(exit::SUCCESS)
}
