//! What of a play goes over to another version of its workflow.
//!
//! A step is kept where nothing has changed of what it is recognised by, nor of the source of its
//! function. What depends on a step that runs again is asked for with other arguments, if those have
//! changed, and is then another step; so nothing has to be known here of how data flows. What *calls* a
//! step that runs again has to run again itself, or that would never be reached.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hero_schema::{OutcomeRecord, RequestKind, ResumeRequest, StepKey};

use crate::rerun::{Memory, is_step};

/// What the files of a version say of its functions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// The name of its root flow.
    pub root: String,
    /// Name of a step → the hashes of the functions that are called so.
    pub by_name: BTreeMap<String, BTreeSet<String>>,
}

impl Sources {
    fn has_source(&self, hash: &str) -> bool {
        self.by_name.values().any(|hashes| hashes.contains(hash))
    }
}

/// What becomes of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its outcome stands.
    Kept,
    /// It runs again, should the flow come to it.
    Rerun(Why),
    /// No code of the other version stands for it.
    Orphaned,
}

/// Why a step runs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The source of its function has changed.
    Changed,
    /// It failed, or was undone.
    Failed,
    /// It calls this step, which runs again or is gone.
    Calls(String),
    /// It was asked for.
    Asked,
}

/// A play seen from another version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CarriedOver {
    /// What the new play is given.
    pub memory: Memory,
    /// What becomes of each step, in the order of the memory.
    pub fates: Vec<(OutcomeRecord, Fate)>,
}

/// Compares two versions for a play of the older one.
///
/// * `memory`: all that the play remembers.
/// * `usable`: what of it still holds, without what failed or was undone.
/// * `rerun`: the names of steps that are to run again although they are unchanged.
pub fn compare(
    memory: &Memory,
    usable: Memory,
    old: &Sources,
    new: &Sources,
    rerun: &[String],
) -> CarriedOver {
    let usable_keys: HashSet<&StepKey> = usable.outcomes.iter().map(|record| &record.key).collect();
    let comparison = Comparison { old, new, rerun };
    let mut fates: HashMap<StepKey, Fate> = HashMap::new();
    for record in memory.outcomes.iter().filter(|record| is_step(record)) {
        let fate = match comparison.fate(record) {
            Fate::Kept if !usable_keys.contains(&record.key) => Fate::Rerun(Why::Failed),
            fate => fate,
        };
        fates.insert(record.key.clone(), fate);
    }
    let callers = callers_of_what_goes(&memory.outcomes, &fates);
    for record in memory.outcomes.iter().filter(|record| is_step(record)) {
        if let Some(called) = callers.get(&record.path())
            && fates.get(&record.key) == Some(&Fate::Kept)
        {
            fates.insert(record.key.clone(), Fate::Rerun(Why::Calls(called.clone())));
        }
    }
    let is_kept = |record: &OutcomeRecord| fates.get(&record.key) == Some(&Fate::Kept);
    let outcomes = usable.outcomes.into_iter().filter(is_kept).collect();
    let requests = usable.requests.into_iter().filter_map(carried).collect();
    let told = memory.outcomes.iter();
    let told = told.filter_map(|record| Some((record.clone(), fates.get(&record.key)?.clone())));
    CarriedOver { memory: Memory { outcomes, requests }, fates: told.collect() }
}

struct Comparison<'a> {
    old: &'a Sources,
    new: &'a Sources,
    rerun: &'a [String],
}

impl Comparison<'_> {
    fn fate(&self, record: &OutcomeRecord) -> Fate {
        let mut callers = record.parent_path.split('/');
        // The root has no key in its path: what stands below another one is never asked for.
        let root = callers.next().map(without_branches);
        if root != Some(&self.new.root) || callers.any(|call| self.is_gone(name_in(call))) {
            return Fate::Orphaned;
        }
        if self.rerun.contains(&record.name) {
            return Fate::Rerun(Why::Asked);
        }
        let hash = &record.source_hash;
        match self.new.by_name.get(&record.name) {
            Some(hashes) if hashes.contains(hash) => Fate::Kept,
            Some(_) => Fate::Rerun(Why::Changed),
            None if self.is_gone(&record.name) => Fate::Orphaned,
            // A name that is made while the flow runs: the source tells whose it is.
            None if self.new.has_source(hash) => Fate::Kept,
            None if self.old.has_source(hash) => Fate::Rerun(Why::Changed),
            // What is no code of the workflow, such as `flow.now()`, is not new with a version of it.
            None => Fate::Kept,
        }
    }

    fn is_gone(&self, name: &str) -> bool {
        self.old.by_name.contains_key(name) && !self.new.by_name.contains_key(name)
    }
}

/// The paths of everything that a step was called in which does not stay, and one such step of each.
fn callers_of_what_goes(
    outcomes: &[OutcomeRecord],
    fates: &HashMap<StepKey, Fate>,
) -> HashMap<String, String> {
    let mut callers = HashMap::new();
    for record in outcomes {
        if !matches!(fates.get(&record.key), Some(Fate::Rerun(_) | Fate::Orphaned)) {
            continue;
        }
        let ends = record.parent_path.match_indices('/').map(|(end, _)| end);
        for end in ends.chain([record.parent_path.len()]) {
            let path = without_branches(&record.parent_path[..end]);
            callers.entry(path.to_owned()).or_insert_with(|| record.name.clone());
        }
    }
    callers
}

/// A question with its answer, to be confirmed once it is asked again; a sleep that is not over goes on.
/// What was asked and not answered is asked anew, and attempts are counted anew. A callback has another URL
/// in another play: what it was given to is asked for again, and answers again.
fn carried(request: ResumeRequest) -> Option<ResumeRequest> {
    match (request.kind, request.is_open()) {
        (RequestKind::Retry | RequestKind::Callback, _) => None,
        (RequestKind::Timer, true) => Some(request),
        (_, true) => None,
        (_, false) => Some(ResumeRequest { is_carried: true, ..request }),
    }
}

/// A path without the branch that its last call stands in: `main/each:6ba0210c[3]`.
fn without_branches(path: &str) -> &str {
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    path[last..].find('[').map_or(path, |branch| &path[..last + branch])
}

/// The name of a call in a path.
fn name_in(call: &str) -> &str {
    call.rfind(':').map_or(call, |colon| &call[..colon])
}

#[cfg(test)]
mod tests {
    use hero_schema::{Answer, Answerer, Json, LaunchNumber, Outcome, ResumeId, SpanId, Timestamp};

    use super::*;

    fn step(parent_path: &str, name: &str, key: &str, source: &str) -> OutcomeRecord {
        OutcomeRecord {
            key: StepKey::new(format!("{key:0<8}")),
            parent_path: parent_path.into(),
            name: name.into(),
            arguments_hash: String::new(),
            source_hash: source.into(),
            span_id: SpanId::new(key),
            launch: LaunchNumber(1),
            seq: 0,
            span_seq: None,
            compensable: false,
            plan: false,
            usage: Default::default(),
            place: Default::default(),
            outcome: Outcome::Returned(Json::null()),
        }
    }

    fn sources(root: &str, functions: &[(&str, &str)]) -> Sources {
        let mut by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for &(name, hash) in functions {
            by_name.entry(name.into()).or_default().insert(hash.into());
        }
        Sources { root: root.into(), by_name }
    }

    /// `step: fate` of each step.
    fn fates(steps: &[OutcomeRecord], old: &Sources, new: &Sources, rerun: &[&str]) -> Vec<String> {
        let memory = Memory { outcomes: steps.to_vec(), requests: Vec::new() };
        let usable = memory.clone().without_undone();
        let rerun: Vec<String> = rerun.iter().map(|name| (*name).to_owned()).collect();
        let compared = compare(&memory, usable, old, new, &rerun);
        let kept = compared.memory.outcomes.iter().map(|record| record.name.clone());
        let said = compared.fates.iter().filter(|(_, fate)| *fate == Fate::Kept);
        assert!(kept.eq(said.map(|(record, _)| record.name.clone())), "told and done are the same");
        let told = compared.fates.iter().map(|(record, fate)| format!("{}: {fate:?}", record.name));
        told.collect()
    }

    #[test]
    fn only_what_has_changed_runs_again() {
        let steps = [
            step("main", "fetch", "aa", "1"),
            step("main", "write", "bb", "2"),
            step("main", "gone", "cc", "3"),
            step("main", "pyhero.now", "dd", "9"),
            step("main", "made-1", "ee", "4"),
            step("main", "made-2", "ff", "5"),
        ];
        let old = [("fetch", "1"), ("write", "2"), ("gone", "3"), ("make", "4"), ("other", "5")];
        let new = [("fetch", "1"), ("write", "2b"), ("make", "4"), ("other", "5b")];
        let (old, new) = (sources("main", &old), sources("main", &new));
        let expected = [
            "fetch: Kept",
            "write: Rerun(Changed)",
            "gone: Orphaned",
            "pyhero.now: Kept",
            "made-1: Kept",
            "made-2: Rerun(Changed)",
        ];
        assert_eq!(fates(&steps, &old, &new, &[]), expected);
        assert_eq!(fates(&steps, &old, &new, &["fetch"])[0], "fetch: Rerun(Asked)");
    }

    #[test]
    fn what_calls_a_step_that_runs_again_does_so_too_and_what_it_calls_beside_stays() {
        let steps = [
            step("main/outer:bb000000[1]", "inner", "aa", "1"),
            step("main/outer:bb000000[2]", "beside", "cc", "2"),
            step("main/outer:bb000000[2]/beside:cc000000", "below", "ee", "5"),
            step("main", "outer", "bb", "3"),
            step("main", "other", "dd", "4"),
        ];
        let functions = [("beside", "2"), ("outer", "3"), ("other", "4"), ("below", "5")];
        let old = sources(
            "main",
            &[("inner", "1"), functions[0], functions[1], functions[2], functions[3]],
        );
        let new = sources(
            "main",
            &[("inner", "1b"), functions[0], functions[1], functions[2], functions[3]],
        );
        let expected = [
            "inner: Rerun(Changed)",
            "beside: Kept",
            "below: Kept",
            "outer: Rerun(Calls(\"inner\"))",
            "other: Kept",
        ];
        assert_eq!(fates(&steps, &old, &new, &[]), expected);
        // A caller that has changed itself runs again, and what it calls is kept.
        let new = sources(
            "main",
            &[("inner", "1"), functions[0], ("outer", "3b"), functions[2], functions[3]],
        );
        assert_eq!(
            fates(&steps, &old, &new, &[]),
            ["inner: Kept", "beside: Kept", "below: Kept", "outer: Rerun(Changed)", "other: Kept"]
        );
        // One that is gone takes along what only it called.
        let new = sources("main", &[("inner", "1"), functions[0], functions[2], functions[3]]);
        let told = fates(&steps, &old, &new, &[]);
        assert_eq!(
            told[..4],
            ["inner: Orphaned", "beside: Orphaned", "below: Orphaned", "outer: Orphaned"]
        );
    }

    #[test]
    fn nothing_is_kept_under_another_root() {
        let steps = [step("main", "fetch", "aa", "1"), step("main[1]", "fetch", "bb", "1")];
        let (old, new) = (sources("main", &[("fetch", "1")]), sources("other", &[("fetch", "1")]));
        assert_eq!(fates(&steps, &old, &new, &[]), ["fetch: Orphaned", "fetch: Orphaned"]);
        assert_eq!(fates(&steps, &old, &old, &[]), ["fetch: Kept", "fetch: Kept"]);
    }

    #[test]
    fn answers_are_to_be_confirmed_and_a_sleep_goes_on() {
        let request = |kind, is_answered: bool| ResumeRequest {
            id: ResumeId::new("r"),
            name: format!("{kind:?} {is_answered}"),
            kind,
            schema: None,
            ui: None,
            asked_at_span_id: SpanId::new("s"),
            asked_at: Timestamp(1),
            expires_at: None,
            default: None,
            answer: is_answered.then(|| Answer {
                outcome: Outcome::Returned(Json::null()),
                resumed_at: Timestamp(2),
                resumed_by: Answerer::Timer,
            }),
            is_carried: false,
            is_ahead: false,
            url: None,
        };
        use RequestKind::{Callback, Child, Pause, Retry, Timer};
        let kinds = [Pause, Timer, Retry, Child, Callback];
        let requests = kinds.iter().flat_map(|&kind| [request(kind, true), request(kind, false)]);
        let memory = Memory { outcomes: Vec::new(), requests: requests.collect() };
        let (old, new) = (sources("main", &[]), sources("main", &[]));
        let kept = compare(&memory, memory.clone(), &old, &new, &[]).memory.requests;
        let told: Vec<_> = kept.iter().map(|kept| (kept.name.as_str(), kept.is_carried)).collect();
        assert_eq!(
            told,
            [
                ("Pause true", true),
                ("Timer true", true),
                ("Timer false", false),
                ("Child true", true)
            ]
        );
    }
}
