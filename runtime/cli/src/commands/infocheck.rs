//! `hero_logic infocheck`

use hero_schema::exit;
use serde::Serialize;

use super::Context;
use crate::infocheck::{self, Finding};
use crate::output::{Paint, Stopped};
use crate::text::visible;

/// What `--json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    issues: &'a [Finding],
}

pub(crate) async fn run(context: &Context) -> Result<i32, Stopped> {
    let output = &context.output;
    let findings = infocheck::findings().await;
    if output.is_json {
        output.print_json(&Shown { issues: &findings })?;
    } else {
        let count = match findings.len() {
            1 => "1 issue".to_owned(),
            n => format!("{n} issues"),
        };
        let lines = findings.iter().map(|finding| shown(finding, output.paint)).chain([count]);
        output.print(&lines.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(if findings.is_empty() { exit::SUCCESS } else { exit::FAILED })
}

fn shown(finding: &Finding, paint: Paint) -> String {
    let Finding { program, message, hint } = finding;
    let program = paint.red(program);
    format!("{program}: {}; {} {}", visible(message), paint.cyan("hint:"), visible(hint))
}
