//! A store's content: what was acknowledged, and what is left of it.

use std::collections::{BTreeMap, BTreeSet};

use hero_schema::{
    OutcomeRecord, PlayRecord, PlaySid, PlayStatus, ResumeRequest, Timestamp, VersionSid, Workflow,
    WorkflowVersion,
};
use hero_store::{Batch, Error, Page, PageQuery, PlayQuery, Store, Write};

use crate::samples;

/// Everything that was acknowledged, in its latest state.
#[derive(Clone, Default)]
pub(crate) struct Content {
    pub(crate) plays: BTreeMap<PlaySid, PlayRecord>,
    pub(crate) outcomes: BTreeMap<PlaySid, BTreeMap<String, OutcomeRecord>>,
    pub(crate) requests: BTreeMap<PlaySid, BTreeMap<String, ResumeRequest>>,
    pub(crate) versions: Vec<WorkflowVersion>,
    pub(crate) workflows: Vec<Workflow>,
}

/// What became of a store's content.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// How many losses the store told of.
    pub(crate) n_reported: usize,
}

impl Content {
    /// Writes a batch, and remembers it once it is acknowledged.
    pub(crate) async fn commit(&mut self, store: &dyn Store, writes: Vec<Write>) {
        let batch = Batch { fence: None, writes: writes.clone() };
        store.commit(batch).await.expect("it is accepted");
        self.remember(writes);
    }

    pub(crate) fn remember(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Play(play) => drop(self.plays.insert(play.sid.clone(), *play)),
                Write::Outcome(play, outcome) => {
                    let key = outcome.key.as_str().to_owned();
                    self.outcomes.entry(play).or_default().entry(key).or_insert(*outcome);
                }
                Write::Request(play, request) => {
                    let id = request.id.as_str().to_owned();
                    self.requests.entry(play).or_default().insert(id, *request);
                }
                Write::Version(version) => self.versions.push(*version),
                Write::Workflow(workflow) => self.workflows.push(*workflow),
                Write::Remove(play) => {
                    self.plays.remove(&play);
                    self.outcomes.remove(&play);
                    self.requests.remove(&play);
                }
                Write::Span(..)
                | Write::Replayed(..)
                | Write::Retention(_)
                | Write::Log(..)
                | Write::NumberedVersion(..)
                | Write::WorkflowChange(..)
                | Write::RemoveWorkflow(_) => {}
                Write::Schedule(_) | Write::Firing(_) | Write::RemoveSchedule(_) => {}
            }
        }
    }

    /// Whether both hold the same plays with all that they remember.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.plays == other.plays
            && self.outcomes == other.outcomes
            && self.requests == other.requests
    }

    /// How much it is, in a line.
    pub(crate) fn summary(&self) -> String {
        let plays = self.plays.values().map(|play| {
            let n_outcomes = self.outcomes.get(&play.sid).map_or(0, BTreeMap::len);
            format!(
                "{} ({}, revision {}, {n_outcomes} outcomes)",
                play.sid, play.status, play.revision
            )
        });
        plays.collect::<Vec<_>>().join(", ")
    }

    /// Plays in every status, with steps large and small, questions open and answered.
    pub(crate) async fn fill(&mut self, store: &dyn Store, n_plays: usize) {
        let version = samples::version("v1", &"pass\n".repeat(2000));
        let workflow = samples::workflow("w", "ship");
        let first = vec![Write::Version(Box::new(version)), Write::Workflow(Box::new(workflow))];
        self.commit(store, first).await;
        for number in 0..n_plays {
            let sid = format!("play-{number:03}");
            let mut play = samples::play(&sid);
            play.created_at = Timestamp(number as i64);
            play.deadline = (number % 3 == 0).then_some(Timestamp(number as i64 + 1000));
            self.commit(store, vec![Write::Play(Box::new(play.clone()))]).await;
            for step in 0..10 {
                self.commit(store, step_of(&play.sid, step, number)).await;
            }
            self.commit(store, questions_of(&play, number)).await;
            if number % 2 == 0 {
                play.revision += 1;
                play.status = *PlayStatus::ALL.get(number % 7).expect("there are seven");
                self.commit(store, vec![Write::Play(Box::new(play))]).await;
            }
        }
    }

    /// Holds a store against this: what reads must be what was written, and what does not read must
    /// be told of.
    pub(crate) async fn check(&self, store: &dyn Store) -> Verdict {
        let mut verdict = Verdict::default();
        for (sid, written) in &self.plays {
            if let Some(read) = verdict.told(store.play(sid).await) {
                assert_eq!(read.as_ref(), Some(written), "play {sid}");
            }
            if let Some(read) = verdict.told(store.outcomes(sid).await) {
                let read: BTreeMap<_, _> = read
                    .into_iter()
                    .map(|record| (record.key.as_str().to_owned(), record))
                    .collect();
                assert_eq!(Some(&read), self.outcomes.get(sid), "outcomes of {sid}");
            }
            if let Some(read) = verdict.told(store.requests(sid).await) {
                let read: BTreeMap<_, _> = read
                    .into_iter()
                    .map(|request| (request.id.as_str().to_owned(), request))
                    .collect();
                let written = self.requests.get(sid).cloned().unwrap_or_default();
                assert_eq!(read, written, "requests of {sid}");
            }
            for page in [PageQuery::default()] {
                verdict.told(store.spans(sid, page.clone()).await.map(drop));
                verdict.told(store.logs(sid, page).await.map(drop));
            }
        }
        self.check_lists(store, &mut verdict).await;
        for written in &self.versions {
            if let Some(read) =
                verdict.told(store.version(&VersionSid::new(written.sid.as_str())).await)
            {
                assert_eq!(read.as_ref(), Some(written));
            }
        }
        for written in &self.workflows {
            if let Some(read) = verdict.told(store.workflow(&written.name).await) {
                assert_eq!(read.as_ref(), Some(written));
            }
        }
        verdict
    }

    /// Holds a repaired store against this: a play is there as it was written, or it is not there at
    /// all and, unless no trace of it was left, in quarantine. Returns how many are there.
    pub(crate) async fn check_repaired(&self, store: &dyn Store, quarantined: &[PlaySid]) -> usize {
        let mut n_kept = 0;
        for (sid, written) in &self.plays {
            let Some(read) = store.play(sid).await.expect("a repaired store is whole") else {
                continue;
            };
            assert!(!quarantined.contains(sid), "{sid} is both kept and in quarantine");
            n_kept += 1;
            // What has ended does nothing any more, even where it is not the latest of it.
            assert!(read == *written || read.status.is_ended(), "play {sid}");
            let outcomes = store.outcomes(sid).await.expect("a repaired store is whole");
            let outcomes: BTreeMap<_, _> = outcomes
                .into_iter()
                .map(|record| (record.key.as_str().to_owned(), record))
                .collect();
            assert_eq!(Some(&outcomes), self.outcomes.get(sid), "outcomes of {sid}");
            let requests = store.requests(sid).await.expect("a repaired store is whole");
            let requests: BTreeMap<_, _> = requests
                .into_iter()
                .map(|request| (request.id.as_str().to_owned(), request))
                .collect();
            assert_eq!(Some(&requests), self.requests.get(sid), "requests of {sid}");
        }
        n_kept
    }

    /// The same as [`Self::check`]; but of the play that was stopped by an error, the step may be there
    /// that nobody was told of.
    pub(crate) async fn check_steps(&self, store: &dyn Store, stopped: &PlaySid) -> Verdict {
        let mut content = self.clone();
        let outcomes = store.outcomes(stopped).await.expect("readable");
        let known = content.outcomes.entry(stopped.clone()).or_default();
        let untold: Vec<_> =
            outcomes.into_iter().filter(|read| !known.contains_key(read.key.as_str())).collect();
        assert!(untold.len() <= 1, "{} steps that nobody was told of", untold.len());
        known.extend(untold.into_iter().map(|read| (read.key.as_str().to_owned(), read)));
        content.check(store).await
    }

    async fn check_lists(&self, store: &dyn Store, verdict: &mut Verdict) {
        let all = PageQuery { cursor: None, limit: usize::MAX };
        for status in PlayStatus::ALL.map(Some).into_iter().chain([None]) {
            let query = PlayQuery { status, page: all.clone(), ..PlayQuery::default() };
            let expected = self
                .plays
                .values()
                .filter(|play| status.is_none_or(|status| play.status == status));
            let expected: BTreeSet<_> = expected.map(|play| play.sid.as_str().to_owned()).collect();
            let Some(page) = verdict.told(store.plays(query).await) else { continue };
            let listed = page.items.iter().map(|play| play.sid.as_str().to_owned()).collect();
            verdict.compare(&page, &listed, &expected, &format!("the list of {status:?}"));
        }
        let is_waiting =
            |play: &PlaySid| self.plays.get(play).is_none_or(|play| !play.status.is_ended());
        let open = self.requests.iter().filter(|(play, _)| is_waiting(play));
        let open =
            open.flat_map(|(play, requests)| requests.values().map(move |request| (play, request)));
        let open: Vec<_> = open.filter(|(_, request)| request.is_open()).collect();
        let named = |play: &PlaySid, request: &ResumeRequest| format!("{play}/{}", request.id);
        let expected = open.iter().map(|(play, request)| named(play, request)).collect();
        if let Some(page) = verdict.told(store.open_questions(all).await) {
            let listed = page.items.iter().map(|(play, request)| named(play, request)).collect();
            verdict.compare(&page, &listed, &expected, "the list of open requests");
        }
        let expiring = open.iter().filter(|(_, request)| request.expires_at.is_some()).count();
        let ending =
            self.plays.values().filter(|play| !play.status.is_ended() && play.deadline.is_some());
        let n_due = expiring + ending.count();
        if let Some(due) = verdict.told(store.due(10_000).await) {
            assert!(
                due.len() == n_due || verdict.n_reported > 0,
                "{} of {n_due} are due",
                due.len()
            );
        }
    }
}

impl Verdict {
    /// What was read; None where the store says that it is damaged.
    fn told<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(Error::Damaged { .. }) => {
                self.n_reported += 1;
                None
            }
            Err(other) => panic!("it is neither there nor damaged: {other}"),
        }
    }

    fn compare<T>(
        &mut self,
        page: &Page<T>,
        listed: &BTreeSet<String>,
        expected: &BTreeSet<String>,
        list: &str,
    ) {
        self.n_reported += page.damaged.len();
        assert!(listed.is_subset(expected), "{list} holds what was never there: {listed:?}");
        // A damaged play may belong to another list than its record would say.
        let n_missing = expected.len() - listed.len();
        assert!(n_missing <= page.damaged.len(), "{list} lacks {n_missing} without a word");
    }
}

fn step_of(play: &PlaySid, step: usize, number: usize) -> Vec<Write> {
    let n_bytes = match (number * 10 + step) % 37 {
        0 => 9000,
        1..5 => 3000,
        _ => 150,
    };
    let text = format!("{number}.{step} {}", "x".repeat(n_bytes));
    vec![
        Write::Outcome(play.clone(), Box::new(samples::outcome(&format!("{step:040}"), &text))),
        Write::Span(play.clone(), Box::new(samples::span(1, step as u64))),
    ]
}

fn questions_of(play: &PlayRecord, number: usize) -> Vec<Write> {
    let mut open = samples::request("open", number as i64);
    open.expires_at = number.is_multiple_of(2).then_some(Timestamp(number as i64 + 500));
    let asked = samples::request("answered", number as i64);
    let answered = samples::answered(&asked, "true");
    let requests = [open, asked, answered].map(Box::new);
    requests.map(|request| Write::Request(play.sid.clone(), request)).into()
}
