//! `hero_logic workflow`

use hero_schema::rpc::{
    Keep, WorkflowDetail, WorkflowGet, WorkflowList, WorkflowPage, WorkflowRetention, WorkflowSave,
};
use hero_schema::{ErrorKind, FlowField, Retention, RpcError, Workflow, exit};

use super::Context;
use super::run::{file_and_flow, python_of_this_shell};
use crate::args;
use crate::output::{Paint, Stopped};
use crate::session::{self, Role, Session};
use crate::table::Table;
use crate::text::{moment, short, visible, visible_lines};

const DESCRIPTION_CHARS_MAX: usize = 60;

pub(crate) async fn run(args: args::Workflow, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        match args {
            args::Workflow::Save { file, name } => save(session, &file, name).await?,
            args::Workflow::List => list(session).await?,
            args::Workflow::Retention { name, keep_days, keep_last, keep_all } => {
                let is_set = keep_all || keep_days.is_some() || keep_last.is_some();
                let set = is_set.then_some(Keep { days: keep_days, last: keep_last });
                retention(session, WorkflowRetention { workflow: name, set }).await?;
            }
            args::Workflow::Show { name } => show(session, name).await?,
        }
        Ok(exit::SUCCESS)
    })
    .await
}

async fn save(session: &mut Session, target: &str, name: String) -> Result<(), Stopped> {
    let Some((file, flow)) = file_and_flow(target) else {
        let message = format!("`{target}` is no path of a Python file");
        let error = RpcError::new(ErrorKind::FileUnreadable, message);
        return Err(error.hint("give it as FILE.py or FILE.py:FLOW").into());
    };
    let file = std::path::absolute(file).map_err(|error| {
        let message = format!("failed to find `{}`: {error}", file.display());
        RpcError::new(ErrorKind::FileUnreadable, message)
    })?;
    let save = WorkflowSave {
        name,
        file: file.display().to_string(),
        flow: flow.map(Into::into),
        python: python_of_this_shell(),
    };
    let workflow: Workflow = session.call_again("workflow_save", &save).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&workflow);
    }
    let run = session.place().command(&format!("run {}", workflow.name));
    output
        .tell(&format!("saved {} version {}; run it with: {run}", workflow.name, workflow.version));
    Ok(())
}

async fn list(session: &mut Session) -> Result<(), Stopped> {
    let page: WorkflowPage = session.call("workflow_list", &WorkflowList::default()).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&page);
    }
    if page.items.is_empty() {
        output.tell("no workflows; save one with: hero_logic workflow save FILE.py --name NAME");
        return Ok(());
    }
    let mut table = Table::new(["NAME", "VERSION", "UPDATED", "DESCRIPTION"], output.paint);
    for workflow in &page.items {
        let description = visible(workflow.description.lines().next().unwrap_or_default());
        table.row([
            visible(&workflow.name),
            workflow.version.to_string(),
            moment(workflow.updated_at),
            short(&description, DESCRIPTION_CHARS_MAX),
        ]);
    }
    output.print(&table.to_string())
}

async fn retention(session: &mut Session, wanted: WorkflowRetention) -> Result<(), Stopped> {
    let retention: Retention = session.call_again("workflow_retention", &wanted).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&retention);
    }
    let days = retention.keep_days.map(|days| format!("for {days} days after their end"));
    let last = retention.keep_last.map(|last| format!("at most the newest {last}"));
    let kept: Vec<_> = days.into_iter().chain(last).collect();
    let kept = if kept.is_empty() { "all, for ever".to_owned() } else { kept.join(", ") };
    output.print(&format!("plays that have ended are kept: {kept}"))
}

async fn show(session: &mut Session, name: String) -> Result<(), Stopped> {
    let detail: WorkflowDetail =
        session.call("workflow_get", &WorkflowGet { workflow: name }).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&detail);
    }
    output.print(&shown(&detail, output.paint))
}

fn shown(detail: &WorkflowDetail, paint: Paint) -> String {
    let WorkflowDetail { workflow, version } = detail;
    let title = format!("{}  version {}", paint.bold(&visible(&workflow.name)), workflow.version);
    let mut lines = vec![title];
    lines.extend((!workflow.description.is_empty()).then(|| visible_lines(&workflow.description)));
    let fields = [
        ("sid", workflow.sid.to_string()),
        ("content", workflow.current_version_sid.to_string()),
        ("flow", format!("{} in {}", version.bundle.flow, visible(&version.bundle.entry))),
        ("saved", moment(workflow.updated_at)),
    ];
    let row = |name: &str, value: &str| format!("{} {value}", paint.dim(&format!("{name:<9}")));
    lines.extend(fields.iter().map(|(name, value)| row(name, value)));
    lines.extend(workflow.inputs.iter().map(|input| row("input", &field(input))));
    lines.extend(workflow.outputs.iter().map(|output| row("output", &field(output))));
    lines.join("\n")
}

fn field(field: &FlowField) -> String {
    let declared = field.field_type.map_or(String::new(), |known| format!(": {}", known.word()));
    let default = match &field.default {
        Some(default) => format!(" = {}", visible(default.text())),
        None => String::new(),
    };
    let description = match field.description.as_str() {
        "" => String::new(),
        text => format!("  {}", visible(text)),
    };
    format!("{}{declared}{default}{description}", visible(&field.name))
}
