//! `hero_logic workflow`

use std::collections::BTreeMap;

use hero_schema::rpc::{
    Deleted, Keep, SavedWorkflow, VersionPage, WorkflowDelete, WorkflowDetail, WorkflowGet,
    WorkflowHistory, WorkflowList, WorkflowPage, WorkflowRetention, WorkflowRollback, WorkflowSave,
    WorkflowSaveFromPlay, WorkflowVersions,
};
use hero_schema::{ErrorKind, FlowField, Retention, RpcError, Workflow, WorkflowChangeKind, exit};

use super::Context;
use super::delete::is_meant;
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
            args::Workflow::Save { name, from_play: Some(play_sid), inputs, set, .. } => {
                let input_data: BTreeMap<_, _> = set.into_iter().collect();
                let inputs = (!inputs.is_empty() || !input_data.is_empty()).then_some(inputs);
                let save = WorkflowSaveFromPlay { play_sid, name, inputs, input_data };
                save_from_play(session, &save).await?;
            }
            args::Workflow::Save { inputs, set, .. } if !(inputs.is_empty() && set.is_empty()) => {
                return Err(of_a_play_only().into());
            }
            args::Workflow::Save { file, name, .. } => {
                save(session, &file.unwrap_or_default(), name).await?;
            }
            args::Workflow::List => list(session).await?,
            args::Workflow::Retention { name, keep_days, keep_last, keep_all } => {
                let is_set = keep_all || keep_days.is_some() || keep_last.is_some();
                let set = is_set.then_some(Keep { days: keep_days, last: keep_last });
                retention(session, WorkflowRetention { workflow: name, set }).await?;
            }
            args::Workflow::Show { name, source, diff } => {
                show(session, name, source, diff).await?;
            }
            args::Workflow::Versions { name, history: false } => versions(session, name).await?,
            args::Workflow::Versions { name, history: true } => history(session, name).await?,
            args::Workflow::Rollback { name, version } => roll_back(session, name, version).await?,
            args::Workflow::Delete { name, yes } => return delete(session, name, yes).await,
        }
        Ok(exit::SUCCESS)
    })
    .await
}

async fn save(session: &mut Session, target: &str, name: String) -> Result<(), Stopped> {
    let (file, flow) = absolute_file(target)?;
    let save = WorkflowSave { name, file, flow, python: python_of_this_shell() };
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

fn of_a_play_only() -> RpcError {
    let message = "--input and --set go with --from-play";
    RpcError::new(ErrorKind::InvalidParams, message).hint("a file declares its inputs itself")
}

async fn save_from_play(session: &mut Session, save: &WorkflowSaveFromPlay) -> Result<(), Stopped> {
    let saved: SavedWorkflow = session.call_again("workflow_save_from_play", save).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&saved);
    }
    let SavedWorkflow { workflow, frozen, missing_plans, .. } = saved;
    let run = session.place().command(&format!("run {}", workflow.name));
    output
        .tell(&format!("saved {} version {}; run it with: {run}", workflow.name, workflow.version));
    if !frozen.is_empty() {
        output.tell(&format!(
            "frozen plans: {}",
            frozen.iter().map(|place| visible(place)).collect::<Vec<_>>().join(", ")
        ));
    }
    if !missing_plans.is_empty() {
        let missing: Vec<_> = missing_plans.iter().map(|name| visible(name)).collect();
        output.tell(&format!("not frozen, and planned anew: {}", missing.join(", ")));
    }
    Ok(())
}

/// The absolute path, and the flow, of `FILE.py` or `FILE.py:FLOW`.
pub(super) fn absolute_file(target: &str) -> Result<(String, Option<String>), Stopped> {
    let Some((file, flow)) = file_and_flow(target) else {
        let message = format!("`{target}` is no path of a Python file");
        let error = RpcError::new(ErrorKind::FileUnreadable, message);
        return Err(error.hint("give it as FILE.py or FILE.py:FLOW").into());
    };
    let file = std::path::absolute(file).map_err(|error| {
        let message = format!("failed to find `{}`: {error}", file.display());
        RpcError::new(ErrorKind::FileUnreadable, message)
    })?;
    Ok((file.display().to_string(), flow.map(Into::into)))
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

async fn show(
    session: &mut Session,
    workflow: String,
    shows_source: bool,
    diff_from: Option<String>,
) -> Result<(), Stopped> {
    let get = WorkflowGet { workflow, diff_from };
    let detail: WorkflowDetail = session.call("workflow_get", &get).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&detail);
    }
    if let Some(diff) = &detail.diff {
        return output.print(visible_lines(diff.trim_end_matches('\n')).as_str());
    }
    let mut text = shown(&detail, output.paint);
    if shows_source {
        for (path, source) in &detail.version.bundle.files {
            let title = output.paint.bold(&visible(path));
            text.push_str(&format!(
                "\n\n{title}\n{}",
                visible_lines(source.trim_end_matches('\n'))
            ));
        }
    }
    output.print(&text)
}

async fn versions(session: &mut Session, workflow: String) -> Result<(), Stopped> {
    let list = WorkflowVersions { workflow, ..WorkflowVersions::default() };
    let page: VersionPage = session.call("workflow_versions", &list).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&page);
    }
    let mut table = Table::new(["VERSION", "SAVED", "CONTENT", ""], output.paint);
    for version in &page.items {
        let is_current = version.number == page.current;
        table.row([
            version.number.to_string(),
            moment(version.saved_at),
            version.sid.to_string(),
            if is_current { "current".into() } else { String::new() },
        ]);
    }
    output.print(&table.to_string())
}

async fn history(session: &mut Session, workflow: String) -> Result<(), Stopped> {
    let list = WorkflowVersions { workflow, ..WorkflowVersions::default() };
    let page: WorkflowHistory = session.call("workflow_history", &list).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&page);
    }
    let mut table = Table::new(["CURRENT FROM", "VERSION", "HOW", "CONTENT"], output.paint);
    for change in &page.items {
        let how = match change.how {
            WorkflowChangeKind::Saved => "saved",
            WorkflowChangeKind::SavedAgain => "saved again",
            WorkflowChangeKind::RolledBack => "rolled back",
        };
        table.row([
            moment(change.at),
            change.version.to_string(),
            how.into(),
            change.version_sid.to_string(),
        ]);
    }
    output.print(&table.to_string())
}

async fn roll_back(
    session: &mut Session,
    workflow: String,
    version: Option<String>,
) -> Result<(), Stopped> {
    let order = WorkflowRollback { workflow, version };
    let workflow: Workflow = session.call("workflow_rollback", &order).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&workflow);
    }
    output.tell(&format!("{} is at version {}", visible(&workflow.name), workflow.version));
    Ok(())
}

async fn delete(session: &mut Session, workflow: String, yes: bool) -> Result<i32, Stopped> {
    let get = WorkflowGet { workflow: workflow.clone(), diff_from: None };
    let detail: WorkflowDetail = session.call("workflow_get", &get).await?;
    let name = visible(&detail.workflow.name);
    let what = format!("workflow {name} with its {} versions", detail.workflow.n_versions);
    if !yes && !is_meant(session, &what)? {
        session.output().tell("nothing was deleted");
        return Ok(exit::USAGE);
    }
    let deleted: Deleted = session.call("workflow_delete", &WorkflowDelete { workflow }).await?;
    if session.output().is_json {
        session.output().print_json(&deleted)?;
    }
    session.output().tell(&format!("deleted {name}; its plays stay"));
    Ok(exit::SUCCESS)
}

fn shown(detail: &WorkflowDetail, paint: Paint) -> String {
    let WorkflowDetail { workflow, number, version, fully_frozen, .. } = detail;
    let is_current = version.sid == workflow.current_version_sid;
    let current = match is_current {
        true => String::new(),
        false => format!(", current is {}", workflow.version),
    };
    let title = format!("{}  version {number}{current}", paint.bold(&visible(&workflow.name)));
    let mut lines = vec![title];
    let signature = &version.signature;
    let description = &signature.description;
    lines.extend((!description.is_empty()).then(|| visible_lines(description)));
    let fields = [
        ("sid", workflow.sid.to_string()),
        ("content", version.sid.to_string()),
        ("flow", format!("{} in {}", version.bundle.flow, visible(&version.bundle.entry))),
        ("saved", moment(version.created_at)),
    ];
    let row = |name: &str, value: &str| format!("{} {value}", paint.dim(&format!("{name:<9}")));
    lines.extend(fields.iter().map(|(name, value)| row(name, value)));
    if !version.signature.plans.is_empty() {
        let state = if *fully_frozen { "frozen" } else { "not all frozen" };
        lines.push(row(
            "plans",
            &format!("{}, {state}", visible(&version.signature.plans.join(", "))),
        ));
    }
    lines.extend(signature.inputs.iter().map(|input| row("input", &field(input))));
    lines.extend(signature.outputs.iter().map(|output| row("output", &field(output))));
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
