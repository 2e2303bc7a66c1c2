//! What becomes of a workflow when content is saved under its name, or an older version is asked for.
//!
//! A version is its content and keeps the number that it was first given. Which one is current is a
//! history of its own: going back adds to it and removes nothing.

use hero_schema::{
    NumberedVersion, Timestamp, Workflow, WorkflowChange, WorkflowChangeKind, WorkflowSid,
    WorkflowVersion,
};

/// What to store, all of it or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The workflow after it.
    pub workflow: Workflow,
    /// The numbers that are new.
    pub numbered: Vec<NumberedVersion>,
    /// Its entry in the history.
    pub entry: WorkflowChange,
}

/// The first version of a workflow.
pub fn first(sid: WorkflowSid, name: &str, version: &WorkflowVersion, now: Timestamp) -> Change {
    let workflow = Workflow {
        sid,
        name: name.to_owned(),
        description: String::new(),
        current_version_sid: version.sid.clone(),
        version: 0,
        inputs: Vec::new(),
        outputs: Vec::new(),
        created_at: now,
        updated_at: now,
        revision: 0,
        n_versions: 0,
    };
    let numbered = NumberedVersion { number: 1, sid: version.sid.clone(), saved_at: now };
    let change = current(workflow, &numbered, version, WorkflowChangeKind::Saved, now);
    Change { numbered: vec![numbered], ..change }
}

/// What saving a version changes; None where it is the current one. `known` is the number that the
/// workflow has given this content, if it has: that version becomes current again, and none is made.
pub fn saved(
    workflow: Workflow,
    known: Option<NumberedVersion>,
    version: &WorkflowVersion,
    now: Timestamp,
) -> Option<Change> {
    if workflow.current_version_sid == version.sid {
        return None;
    }
    let adopted = unnumbered(&workflow);
    if let Some(known) = known {
        let change = current(workflow, &known, version, WorkflowChangeKind::SavedAgain, now);
        return Some(Change { numbered: adopted.into_iter().collect(), ..change });
    }
    let number = workflow.n_versions.max(workflow.version) + 1;
    let new = NumberedVersion { number, sid: version.sid.clone(), saved_at: now };
    let change = current(workflow, &new, version, WorkflowChangeKind::Saved, now);
    Some(Change { numbered: adopted.into_iter().chain([new]).collect(), ..change })
}

/// What asking for a version changes; None where it is the current one.
pub fn rolled_back(
    workflow: Workflow,
    to: &NumberedVersion,
    version: &WorkflowVersion,
    now: Timestamp,
) -> Option<Change> {
    if workflow.current_version_sid == to.sid {
        return None;
    }
    Some(current(workflow, to, version, WorkflowChangeKind::RolledBack, now))
}

/// The one version of a workflow that was saved when versions were not kept yet.
pub fn unnumbered(workflow: &Workflow) -> Option<NumberedVersion> {
    (workflow.revision == 0).then(|| NumberedVersion {
        number: workflow.version,
        sid: workflow.current_version_sid.clone(),
        saved_at: workflow.updated_at,
    })
}

fn current(
    workflow: Workflow,
    numbered: &NumberedVersion,
    version: &WorkflowVersion,
    how: WorkflowChangeKind,
    now: Timestamp,
) -> Change {
    let workflow = Workflow {
        description: version.signature.description.clone(),
        current_version_sid: numbered.sid.clone(),
        version: numbered.number,
        inputs: version.signature.inputs.clone(),
        outputs: version.signature.outputs.clone(),
        updated_at: now,
        revision: workflow.revision + 1,
        n_versions: workflow.n_versions.max(workflow.version).max(numbered.number),
        ..workflow
    };
    let entry = WorkflowChange {
        revision: workflow.revision,
        version: numbered.number,
        version_sid: numbered.sid.clone(),
        how,
        at: now,
    };
    Change { workflow, numbered: Vec::new(), entry }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hero_schema::{Bundle, FlowSignature, VersionSid};

    use super::*;

    fn version(sid: &str) -> WorkflowVersion {
        WorkflowVersion {
            sid: VersionSid::new(sid),
            bundle: Bundle { entry: "f.py".into(), flow: "f".into(), files: BTreeMap::new() },
            signature: FlowSignature { description: sid.into(), ..FlowSignature::default() },
            saved: None,
            created_at: Timestamp(0),
        }
    }

    fn with(sids: &[&str]) -> (Workflow, Vec<NumberedVersion>) {
        let mut known: Vec<NumberedVersion> = Vec::new();
        let mut workflow = None;
        for sid in sids {
            let version = version(sid);
            let change = match workflow.take() {
                None => first(WorkflowSid::new("w"), "ship", &version, Timestamp(1)),
                Some(workflow) => {
                    let number = known.iter().find(|known| known.sid == version.sid).cloned();
                    saved(workflow, number, &version, Timestamp(2)).expect("it changes")
                }
            };
            known.extend(change.numbered);
            workflow = Some(change.workflow);
        }
        (workflow.expect("there is one"), known)
    }

    #[test]
    fn new_content_gets_the_next_number_and_old_content_keeps_its_own() {
        let (workflow, known) = with(&["a", "b", "a", "c"]);
        let numbers: Vec<_> = known.iter().map(|v| (v.sid.as_str(), v.number)).collect();
        assert_eq!(numbers, [("a", 1), ("b", 2), ("c", 3)]);
        assert_eq!((workflow.version, workflow.n_versions, workflow.revision), (3, 3, 4));
        assert_eq!(workflow.description, "c");
    }

    #[test]
    fn what_is_current_already_changes_nothing() {
        let (workflow, known) = with(&["a", "b"]);
        assert_eq!(saved(workflow.clone(), None, &version("b"), Timestamp(9)), None);
        assert_eq!(rolled_back(workflow, &known[1], &version("b"), Timestamp(9)), None);
    }

    #[test]
    fn going_back_adds_to_the_history_and_the_next_number_is_still_new() {
        let (workflow, known) = with(&["a", "b"]);
        let back = rolled_back(workflow, &known[0], &version("a"), Timestamp(9)).expect("changes");
        assert_eq!((back.entry.revision, back.entry.version), (3, 1));
        assert_eq!(back.entry.how, WorkflowChangeKind::RolledBack);
        assert_eq!((back.workflow.version, back.workflow.updated_at), (1, Timestamp(9)));
        let next = saved(back.workflow, None, &version("c"), Timestamp(10)).expect("changes");
        assert_eq!(next.workflow.version, 3);
    }

    #[test]
    fn a_workflow_from_before_versions_were_kept_keeps_its_number() {
        let (workflow, _) = with(&["a", "b"]);
        let old = Workflow { revision: 0, n_versions: 0, version: 7, ..workflow };
        let change = saved(old, None, &version("c"), Timestamp(9)).expect("changes");
        let numbers: Vec<_> = change.numbered.iter().map(|v| (v.sid.as_str(), v.number)).collect();
        assert_eq!(numbers, [("b", 7), ("c", 8)]);
    }
}
