//! `hero_logic doctor`

use hero_logic_server::doctor::{self, Check, CheckStatus, Checkup};
use hero_schema::exit;
use serde::Serialize;

use super::Context;
use crate::args;
use crate::output::{Paint, Stopped};
use crate::text::visible;

/// What `--json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    /// The worst of all.
    status: CheckStatus,
    #[serde(flatten)]
    checkup: &'a Checkup,
}

/// Becomes no server and opens no store: what it looks at stays as it is.
pub(crate) async fn run(args: args::Doctor, context: Context) -> Result<i32, Stopped> {
    let Context { place, output } = context;
    let checkup = doctor::examine(&place.paths, args.repair).await;
    if output.is_json {
        output.print_json(&Shown { status: checkup.status(), checkup: &checkup })?;
    } else {
        let lines = checkup.checks.iter().map(|check| shown(check, output.paint));
        output.print(&lines.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(match checkup.status() {
        CheckStatus::Ok | CheckStatus::Warn => exit::SUCCESS,
        CheckStatus::Fail => exit::FAILED,
    })
}

fn shown(check: &Check, paint: Paint) -> String {
    let status = match check.status {
        CheckStatus::Ok => paint.green("ok  "),
        CheckStatus::Warn => paint.yellow("warn"),
        CheckStatus::Fail => paint.red("fail"),
    };
    let line = format!("{status}  {:<11}  {}", check.name, visible(&check.message));
    match &check.hint {
        Some(hint) => format!("{line}\n{:19}{} {}", "", paint.cyan("hint:"), visible(hint)),
        None => line,
    }
}
