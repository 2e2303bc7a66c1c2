//! What a launch is handed of its play's memory.

use std::collections::HashSet;

use hero_schema::child::Compensable;
use hero_schema::{Outcome, OutcomeRecord};

/// The outermost completed steps. What lies under one of them is never asked for, because its body
/// is not entered again.
pub fn outermost(records: Vec<OutcomeRecord>) -> Vec<OutcomeRecord> {
    let completed: HashSet<String> = records.iter().map(OutcomeRecord::path).collect();
    let lies_under_one = |path: &str| {
        let ends = path.match_indices(['/', '[']).map(|(at, _)| at).chain([path.len()]);
        ends.into_iter().any(|end| completed.contains(&path[..end]))
    };
    records.into_iter().filter(|record| !lies_under_one(&record.parent_path)).collect()
}

/// Whether a path is that of a step, or of something that it calls, at whatever remove.
pub fn lies_under(step: &str, path: &str) -> bool {
    path.strip_prefix(step).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
}

/// The completed steps that have an undo, in the order they completed, wherever they stand: a launch
/// whose flow fails must undo also what lies under a completed step.
pub fn compensable(records: &[OutcomeRecord]) -> Vec<Compensable> {
    let mut completed: Vec<_> = records
        .iter()
        .filter(|record| record.compensable)
        .filter_map(|record| match &record.outcome {
            Outcome::Returned(output) => Some((record, output)),
            Outcome::Raised(_) => None,
        })
        .collect();
    completed.sort_by_key(|(record, _)| (record.launch, record.seq));
    completed
        .into_iter()
        .map(|(record, output)| Compensable {
            key: record.key.clone(),
            name: record.name.clone(),
            output: output.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use hero_schema::{Json, LaunchNumber, SpanId, StepKey};

    use super::*;

    fn record(parent_path: &str, name: &str, key: &str) -> OutcomeRecord {
        OutcomeRecord {
            key: StepKey::new(key),
            parent_path: parent_path.into(),
            name: name.into(),
            arguments_hash: String::new(),
            source_hash: String::new(),
            span_id: SpanId::new("0"),
            launch: LaunchNumber(1),
            seq: 0,
            span_seq: None,
            compensable: false,
            plan: false,
            place: None,
            usage: Default::default(),
            outcome: Outcome::Returned(Json::null()),
        }
    }

    #[test]
    fn what_lies_under_a_completed_step_is_not_handed_over() {
        let kept = outermost(vec![
            record("main", "outer", "aaaaaaaa1111"),
            record("main/outer:aaaaaaaa", "inner", "bbbbbbbb1111"),
            record("main/outer:aaaaaaaa/inner:bbbbbbbb", "innermost", "cccccccc1111"),
            record("main/outer:aaaaaaaa[0]", "branch", "ffffffff1111"),
            record("main/outer:aaaaaaaa[1][2]/inner:bbbbbbbb", "nested", "gggggggg1111"),
            record("main/open:dddddddd", "done", "eeeeeeee1111"),
            record("main[0]", "beside", "hhhhhhhh1111"),
        ]);
        let names: Vec<_> = kept.iter().map(|record| record.name.as_str()).collect();
        assert_eq!(names, ["outer", "done", "beside"]);
    }

    #[test]
    fn what_can_be_undone_comes_in_the_order_it_completed_and_failures_do_not() {
        let at = |key: &str, launch: u32, seq: u64, compensable: bool| OutcomeRecord {
            launch: LaunchNumber(launch),
            seq,
            compensable,
            ..record("main/outer:aaaaaaaa", key, key)
        };
        let mut failed = at("failed", 1, 9, true);
        failed.outcome = Outcome::Raised(hero_schema::Raised {
            class: "shop:Declined".into(),
            message: String::new(),
            traceback: String::new(),
            args: None,
        });
        let found = compensable(&[
            at("third", 2, 1, true),
            at("second", 1, 8, true),
            at("plain", 1, 5, false),
            failed,
            at("first", 1, 4, true),
        ]);
        let names: Vec<_> = found.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "third"]);
    }

    #[test]
    fn a_path_that_only_begins_alike_is_kept() {
        let kept = outermost(vec![
            record("main", "outer", "aaaaaaaa1111"),
            record("main/outer:aaaaaaaabb", "inner", "bbbbbbbb1111"),
        ]);
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn a_path_lies_under_the_step_that_it_begins_with() {
        let lies = |path: &str| lies_under("main/outer:aaaaaaaa", path);
        assert!(
            ["", "/inner:bbbbbbbb", "[0]"]
                .into_iter()
                .all(|rest| lies(&format!("main/outer:aaaaaaaa{rest}")))
        );
        assert!(!["main", "main/outer:aaaaaaaabb", "main/other:aaaaaaaa"].into_iter().any(lies));
    }
}
