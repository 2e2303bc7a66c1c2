//! What a launch is handed of its play's memory.

use std::collections::HashSet;

use hero_schema::{LeftOver, OutcomeRecord, StepKey};

/// The outermost completed steps. What lies under one of them is never asked for, because its body
/// is not entered again.
pub fn outermost(records: Vec<OutcomeRecord>) -> Vec<OutcomeRecord> {
    let completed: HashSet<String> = records.iter().map(OutcomeRecord::path).collect();
    records.into_iter().filter(|record| !lies_under(&completed, &record.parent_path)).collect()
}

fn lies_under(completed: &HashSet<String>, path: &str) -> bool {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.into_iter().any(|end| completed.contains(&path[..end]))
}

/// Names the remembered steps that a launch did not ask for.
pub fn left_over(handed: &[OutcomeRecord], not_asked_for: &[StepKey]) -> Vec<LeftOver> {
    let keys: HashSet<&StepKey> = not_asked_for.iter().collect();
    let unused = handed.iter().filter(|record| keys.contains(&record.key));
    unused
        .map(|record| LeftOver {
            name: record.name.clone(),
            parent_path: record.parent_path.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use hero_schema::{Json, LaunchNumber, Outcome, SpanId};

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
            outcome: Outcome::Returned(Json::null()),
        }
    }

    #[test]
    fn what_lies_under_a_completed_step_is_not_handed_over() {
        let kept = outermost(vec![
            record("main", "outer", "aaaaaaaa1111"),
            record("main/outer:aaaaaaaa", "inner", "bbbbbbbb1111"),
            record("main/outer:aaaaaaaa/inner:bbbbbbbb", "innermost", "cccccccc1111"),
            record("main/open:dddddddd", "done", "eeeeeeee1111"),
        ]);
        let names: Vec<_> = kept.iter().map(|record| record.name.as_str()).collect();
        assert_eq!(names, ["outer", "done"]);
    }

    #[test]
    fn a_path_that_only_begins_alike_is_kept() {
        let kept = outermost(vec![
            record("main", "outer", "aaaaaaaa1111"),
            record("main/outer:aaaaaaaabb", "inner", "bbbbbbbb1111"),
        ]);
        assert_eq!(kept.len(), 2);
    }
}
