//! `workflow_get`

use std::collections::BTreeSet;
use std::fmt::Write;

use hero_schema::rpc::{WorkflowDetail, WorkflowGet};
use hero_schema::{Bundle, RpcError, Workflow};
use similar::TextDiff;

use crate::errors;
use crate::service::Service;

/// How many lines that are the same are shown around those that differ.
const CONTEXT_LINES: usize = 3;

pub(crate) async fn run(
    service: &Service,
    params: WorkflowGet,
) -> Result<WorkflowDetail, RpcError> {
    let supervisor = &service.supervisor;
    let shown = supervisor.resolve(&params.workflow).await.map_err(errors::of_supervisor)?;
    let version = supervisor.version(&shown.version.sid).await.map_err(errors::of_supervisor)?;
    let diff = match &params.diff_from {
        Some(other) => {
            let other = supervisor.version_of(&shown.workflow, other).await;
            let other = other.map_err(errors::of_supervisor)?;
            let bundle = supervisor.version(&other.sid).await.map_err(errors::of_supervisor)?;
            let old = Side { number: other.number, bundle: &bundle.bundle };
            let new = Side { number: shown.version.number, bundle: &version.bundle };
            Some(diff(&old, &new))
        }
        None => None,
    };
    let version = version.as_ref().clone();
    let fully_frozen = version.is_fully_frozen();
    let (workflow, number) = (shown.workflow, shown.version.number);
    Ok(WorkflowDetail { workflow, number, version, fully_frozen, diff })
}

/// A workflow that must be there, by sid or name.
pub(crate) async fn find(service: &Service, sid_or_name: &str) -> Result<Workflow, RpcError> {
    service.supervisor.workflow(sid_or_name).await.map_err(errors::of_supervisor)
}

struct Side<'a> {
    number: u32,
    bundle: &'a Bundle,
}

/// A unified diff, file by file; empty where all is the same.
fn diff(old: &Side<'_>, new: &Side<'_>) -> String {
    let mut text = String::new();
    if old.bundle.flow != new.bundle.flow {
        let (old, new) = (&old.bundle.flow, &new.bundle.flow);
        writeln!(text, "flow {old} became flow {new}").expect("text takes all");
    }
    let paths: BTreeSet<_> = old.bundle.files.keys().chain(new.bundle.files.keys()).collect();
    for path in paths {
        let content =
            |side: &Side<'_>| side.bundle.files.get(path).map_or("", String::as_str).to_owned();
        let (before, after) = (content(old), content(new));
        let name = |side: &Side<'_>| match side.bundle.files.contains_key(path) {
            true => format!("{path} (version {})", side.number),
            false => "/dev/null".into(),
        };
        let difference = TextDiff::from_lines(&before, &after);
        let mut unified = difference.unified_diff();
        let unified = unified.context_radius(CONTEXT_LINES).header(&name(old), &name(new));
        write!(text, "{unified}").expect("text takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        let files = files.iter().map(|&(path, text)| (path.into(), text.into())).collect();
        Bundle { entry: "flow.py".into(), flow: "main".into(), files }
    }

    #[test]
    fn a_diff_shows_what_was_added_changed_and_removed_and_nothing_else() {
        let old = bundle(&[("flow.py", "a\nb\n"), ("gone.py", "x\n"), ("same.py", "s\n")]);
        let new = bundle(&[("flow.py", "a\nc\n"), ("new.py", "y\n"), ("same.py", "s\n")]);
        let text = diff(&Side { number: 1, bundle: &old }, &Side { number: 2, bundle: &new });
        assert_eq!(
            text,
            "--- flow.py (version 1)\n+++ flow.py (version 2)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n\
             --- gone.py (version 1)\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
             --- /dev/null\n+++ new.py (version 2)\n@@ -0,0 +1 @@\n+y\n"
        );
    }
}
