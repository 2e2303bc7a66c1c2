//! `hero_logic check`

use hero_schema::exit;
use hero_schema::rpc::{Checked, Finding, WorkflowCheck};

use super::Context;
use super::run::python_of_this_shell;
use super::workflow::absolute_file;
use crate::args;
use crate::output::Stopped;
use crate::session::{self, Role};
use crate::text::visible;

pub(crate) async fn run(args: args::Check, context: Context) -> Result<i32, Stopped> {
    let (file, flow) = absolute_file(&args.file)?;
    session::with(context, Role::Looks, async |session| {
        let order = WorkflowCheck { file, flow, python: python_of_this_shell() };
        let checked: Checked = session.call_again("workflow_check", &order).await?;
        let output = session.output();
        if output.is_json {
            output.print_json(&checked)?;
        } else if checked.findings.is_empty() {
            output.tell("nothing was found");
        } else {
            output.print(&checked.findings.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        }
        Ok(if checked.findings.is_empty() { exit::SUCCESS } else { exit::FAILED })
    })
    .await
}

fn line(found: &Finding) -> String {
    let Finding { file, line, column, message, hint, .. } = found;
    let (file, message, hint) = (visible(file), visible(message), visible(hint));
    format!("{file}:{line}:{column}: {message}\n  hint: {hint}")
}
