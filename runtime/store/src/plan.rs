//! What a batch does: every rule of [`Batch`] and [`Write`], and the upkeep of the lists.
//!
//! Batches that are flushed together are planned one after the other, each against what is stored
//! and what those before it change. A batch that is refused leaves nothing behind.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use hero_schema::{
    Firing, LaunchNumber, NumberedVersion, OutcomeRecord, PlayRecord, PlaySid, PlayStatus,
    ResumeRequest, Schedule, ScheduleSid, ScheduleState, Span, Starter, StepKey, Timestamp,
    Workflow, WorkflowChange, WorkflowSid, WorkflowVersion, tag,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::PlayList;
use crate::record::{self, Tally};
use crate::{Batch, Changes, Engine, Error, Fence, Write, keys};

/// How many plays are remembered from one group to the next.
const PLAYS_KNOWN_MAX: usize = 10_000;

/// How many outcomes are remembered to be stored, of all plays together.
const OUTCOMES_KNOWN_MAX: usize = 200_000;

/// What is known of the plays that were written last, so that an outcome or a span costs no read of
/// its play. Only the one thread that writes may hold it.
#[derive(Default)]
pub(crate) struct KnownPlays {
    plays: HashMap<PlaySid, Known>,
    fresh: FreshPlays,
}

impl KnownPlays {
    /// Forgets what was planned and not done.
    pub(crate) fn forget(&mut self) {
        self.plays.clear();
        self.fresh.forget();
    }
}

/// The outcomes of the plays that began here and have not ended, by their hash: a step that is not
/// among them has none, and need not be looked for. What is here need not be stored.
#[derive(Default)]
struct FreshPlays {
    outcomes: HashMap<PlaySid, HashSet<u64>>,
    n_outcomes: usize,
    hasher: RandomState,
}

impl FreshPlays {
    fn begin(&mut self, play: &PlaySid) {
        self.outcomes.entry(play.clone()).or_default();
    }

    fn end(&mut self, play: &PlaySid) {
        let n_forgotten = self.outcomes.remove(play).map_or(0, |outcomes| outcomes.len());
        self.n_outcomes -= n_forgotten;
    }

    fn forget(&mut self) {
        self.outcomes.clear();
        self.n_outcomes = 0;
    }

    /// Notes an outcome; whether it was certainly not there before.
    fn add(&mut self, play: &PlaySid, step: &StepKey) -> bool {
        let Some(outcomes) = self.outcomes.get_mut(play) else { return false };
        let is_new = outcomes.insert(self.hasher.hash_one(step));
        self.n_outcomes += usize::from(is_new);
        is_new
    }

    fn is_full(&self) -> bool {
        self.n_outcomes > OUTCOMES_KNOWN_MAX || self.outcomes.len() > PLAYS_KNOWN_MAX
    }
}

/// Of a play, what batches are checked against and what its lists are kept by.
#[derive(Clone, Default)]
struct Known {
    /// None where there is no such play.
    play: Option<Head>,
    tally: Tally,
    stored_tally: Tally,
}

#[derive(Clone)]
struct Head {
    revision: u64,
    launch: LaunchNumber,
    status: PlayStatus,
    workflow: Option<WorkflowSid>,
    parent: Option<PlaySid>,
    started_by: Option<Starter>,
    /// By name, as they are looked for.
    tags: Vec<(String, String)>,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    deadline: Option<Timestamp>,
    /// When its outcome is to be posted.
    posted_at: Option<Timestamp>,
    start_key: Option<String>,
}

impl Head {
    fn of(play: &PlayRecord) -> Self {
        Self {
            revision: play.revision,
            launch: play.launch,
            status: play.status,
            workflow: play.workflow_sid.clone(),
            parent: play.parent.clone(),
            started_by: play.started_by.clone(),
            tags: play.tags.iter().map(|(name, tag)| (name.clone(), tag::text(tag))).collect(),
            created_at: play.created_at,
            ended_at: play.ended_at,
            deadline: play.deadline,
            posted_at: play.final_callback.as_ref().and_then(|callback| callback.next_at),
            start_key: play.start_key.as_ref().map(|start| start.key.clone()),
        }
    }

    /// The keys of the play in every list that holds it.
    fn entries(&self, sid: &PlaySid) -> Vec<Vec<u8>> {
        let lists = [
            Some(PlayList::All),
            Some(PlayList::OfStatus(self.status)),
            self.workflow.as_ref().map(PlayList::OfWorkflow),
            self.workflow
                .as_ref()
                .map(|workflow| PlayList::OfWorkflowInStatus(workflow, self.status)),
            self.parent.as_ref().map(PlayList::OfParent),
            self.started_by.as_ref().map(|starter| PlayList::StartedBy(starter.word())),
        ];
        // Of the others, the ways and who went them are listed already, or are nearly all the same.
        let schedule = self.started_by.as_ref().filter(|by| matches!(by, Starter::Schedule { .. }));
        let schedule = schedule.map(|by| (by.word(), by.who()));
        let by_whom = schedule.iter().map(|(word, who)| PlayList::StartedByWhom(word, who));
        let tagged = self.tags.iter().map(|(name, text)| PlayList::WithTag(name, text));
        let has_ended = self.status.is_ended();
        let deadline = self.deadline.filter(|_| !has_ended).map(|at| keys::deadline(at, sid));
        let end = self.ended_at.filter(|_| has_ended).map(|at| keys::ended_play(at, sid));
        let posted = self.posted_at.map(|at| keys::to_be_posted(at, sid));
        let lists = lists.into_iter().flatten().chain(by_whom).chain(tagged);
        let lists = lists.map(|list| list.entry(self.created_at, sid));
        lists.chain(deadline).chain(end).chain(posted).collect()
    }
}

/// The keys of a play in every list that holds it.
pub(crate) fn play_entries(play: &PlayRecord) -> Vec<Vec<u8>> {
    Head::of(play).entries(&play.sid)
}

/// The keys of a schedule in every list that holds it: only those that fire are on any.
fn schedule_entries(schedule: &Schedule) -> Vec<Vec<u8>> {
    if schedule.state != ScheduleState::Active {
        return Vec::new();
    }
    let due = schedule.next_at.map(|at| keys::due_schedule(at, &schedule.sid));
    let of_workflow = keys::schedule_of(&schedule.workflow_sid, &schedule.sid);
    due.into_iter().chain([of_workflow]).collect()
}

/// The keys of an open request in every list that holds it.
pub(crate) fn request_entries(
    play: &PlaySid,
    request: &ResumeRequest,
) -> impl Iterator<Item = Vec<u8>> {
    let is_question = request.kind.is_question();
    let open = is_question.then(|| keys::open_question(request.asked_at, play, &request.id));
    let expiry = request.expires_at.map(|at| keys::expiry(at, play, &request.id));
    open.into_iter().chain(expiry)
}

/// What is to happen to a key. What one group writes again and again is encoded once, at its end.
enum Change<'a> {
    Remove,
    Put(Vec<u8>),
    PutSpan(&'a Span),
    PutTally(Tally),
}

impl Change<'_> {
    /// The value that the key will have; None where it will have none.
    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Remove => None,
            Self::Put(value) => Some(value.clone()),
            Self::PutSpan(span) => Some(record::encode(key, span)),
            Self::PutTally(tally) => Some(record::encode(key, tally)),
        }
    }

    fn into_value(self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Put(value) => Some(value),
            other => other.value(key),
        }
    }
}

/// Batches that are applied together.
pub(crate) struct Group<'a, E> {
    engine: &'a E,
    known: &'a mut KnownPlays,
    changes: BTreeMap<Vec<u8>, Change<'a>>,
}

impl<'a, E: Engine> Group<'a, E> {
    pub(crate) fn new(engine: &'a E, known: &'a mut KnownPlays) -> Self {
        // Forgetting all is simple, and rare enough to cost nothing.
        if known.plays.len() > PLAYS_KNOWN_MAX {
            known.plays.clear();
        }
        if known.fresh.is_full() {
            known.fresh.forget();
        }
        Self { engine, known, changes: BTreeMap::new() }
    }

    /// Adds a batch, or refuses it.
    pub(crate) fn add(&mut self, batch: &'a Batch) -> Result<(), Error> {
        let mut draft = Draft { group: self, changes: BTreeMap::new(), known: HashMap::new() };
        if let Some(fence) = &batch.fence {
            draft.check_fence(fence)?;
        }
        for write in &batch.writes {
            draft.write(write)?;
        }
        draft.keep_tallies();
        let Draft { changes, known, .. } = draft;
        self.changes.extend(changes);
        self.known.plays.extend(known);
        Ok(())
    }

    /// What all added batches come to.
    pub(crate) fn into_changes(self) -> Changes {
        let changes = self.changes.into_iter();
        let encoded = changes.map(|(key, change)| {
            let value = change.into_value(&key);
            (key, value)
        });
        encoded.collect()
    }
}

/// One batch while it may still be refused.
struct Draft<'g, 'a, E> {
    group: &'g mut Group<'a, E>,
    changes: BTreeMap<Vec<u8>, Change<'a>>,
    known: HashMap<PlaySid, Known>,
}

impl<'a, E: Engine> Draft<'_, 'a, E> {
    fn check_fence(&mut self, fence: &Fence) -> Result<(), Error> {
        let Some(head) = &self.known(&fence.play)?.play else {
            return Err(conflict(&keys::play(&fence.play)));
        };
        if head.launch > fence.launch {
            return Err(Error::Fenced {
                play: fence.play.clone(),
                stale: fence.launch,
                current: head.launch,
            });
        }
        Ok(())
    }

    fn write(&mut self, write: &'a Write) -> Result<(), Error> {
        match write {
            Write::Play(play) => self.write_play(play),
            Write::Request(play, request) => self.write_request(play, request),
            Write::Outcome(play, outcome) => self.write_outcome(play, outcome),
            Write::Span(play, span) => {
                let key = keys::span(play, span.launch, span.seq);
                self.changes.insert(key, Change::PutSpan(span));
                Ok(())
            }
            Write::Replayed(play, spans) => {
                let last_seq = spans.n_spans().map_err(|reason| Error::Damaged {
                    record: format!("spans of launch {} of play `{play}`", spans.launch),
                    reason: reason.into(),
                })? - 1
                    + spans.seq;
                self.put(keys::replayed(play, spans.launch, last_seq), spans);
                Ok(())
            }
            Write::Log(play, line) => {
                self.put(keys::log(play, line.launch, line.seq), line);
                Ok(())
            }
            Write::Version(version) => self.write_version(version),
            Write::Workflow(workflow) => self.write_workflow(workflow),
            Write::Retention(retention) => {
                let key = keys::retention(&retention.workflow_sid);
                match retention.is_unlimited() {
                    true => self.remove([key]),
                    false => self.put(key, retention),
                }
                Ok(())
            }
            Write::NumberedVersion(workflow, version) => self.number_version(workflow, version),
            Write::WorkflowChange(workflow, change) => self.note_change(workflow, change),
            Write::RemoveWorkflow(workflow) => self.remove_workflow(workflow),
            Write::Remove(play) => self.remove_play(play),
            Write::Schedule(schedule) => self.write_schedule(schedule),
            Write::Firing(firing) => self.write_firing(firing),
            Write::RemoveSchedule(schedule) => self.remove_schedule(schedule),
        }
    }

    fn write_play(&mut self, play: &PlayRecord) -> Result<(), Error> {
        let key = keys::play(&play.sid);
        let head = Head::of(play);
        let mut listed = Vec::new();
        if let Some(stored) = self.known(&play.sid)?.play.replace(head.clone()) {
            if stored.revision.checked_add(1) != Some(play.revision) {
                return Err(conflict(&key));
            }
            listed = stored.entries(&play.sid);
            if stored.status.is_ended() != head.status.is_ended() {
                self.relist_requests(&play.sid, head.status)?;
                self.group.known.fresh.end(&play.sid);
            }
        } else {
            if let Some(start) = &play.start_key {
                self.take_start_key(&start.key, &play.sid)?;
            }
            if self.known(&play.sid)?.tally.n_outcomes == 0 {
                self.group.known.fresh.begin(&play.sid);
            }
        }
        self.relist(listed, head.entries(&play.sid));
        self.put(key, play);
        Ok(())
    }

    /// Of all plays that are started with a key, the first one is stored.
    fn take_start_key(&mut self, key: &str, play: &PlaySid) -> Result<(), Error> {
        let key = keys::start_key(key);
        if self.has(&key)? {
            return Err(conflict(&key));
        }
        self.put(key, play);
        Ok(())
    }

    fn write_request(&mut self, play: &PlaySid, request: &ResumeRequest) -> Result<(), Error> {
        let key = keys::request(play, &request.id);
        let value = record::encode(&key, request);
        let old = self.read_bytes(&key)?;
        let stored = old.as_deref().map(|bytes| record::decode::<ResumeRequest>(&key, bytes));
        match stored.transpose()? {
            Some(stored)
                if stored.answer.is_some()
                    && !stored.is_carried
                    && stored.answer != request.answer =>
            {
                return Err(conflict(&key));
            }
            Some(stored) => self.remove(request_entries(play, &stored)),
            None => self.known(play)?.tally.n_requests += 1,
        }
        if request.is_open() && !self.has_ended(play)? {
            self.list(request_entries(play, request));
        }
        let tally = &mut self.known(play)?.tally;
        let old = old.as_deref().map_or(0, record::checksum_of);
        let sum = |sum: u32| sum.wrapping_sub(old).wrapping_add(record::checksum_of(&value));
        tally.requests_sum = tally.requests_sum.map(sum);
        self.changes.insert(key, Change::Put(value));
        Ok(())
    }

    /// Takes the open requests of a play off their lists once it has ended, because nobody waits for
    /// the answers any more, and puts them back should it be taken up again.
    fn relist_requests(&mut self, play: &PlaySid, status: PlayStatus) -> Result<(), Error> {
        if self.known(play)?.tally.n_requests == 0 {
            return Ok(());
        }
        let keys = keys::range(&keys::requests(play));
        let stored = self.group.engine.scan(keys.clone(), usize::MAX)?;
        let mut latest: Changes =
            stored.into_iter().map(|(key, value)| (key, value.ok())).collect();
        for changes in [&self.group.changes, &self.changes] {
            let changed = changes.range(keys.clone());
            latest.extend(changed.map(|(key, change)| (key.clone(), change.value(key))));
        }
        for (key, value) in latest {
            // A damaged one is named by whoever reads it; it must not keep the play from ending.
            let request =
                value.and_then(|value| record::decode::<ResumeRequest>(&key, &value).ok());
            // An answered one has left the lists already.
            let Some(request) = request.filter(ResumeRequest::is_open) else { continue };
            let entries = request_entries(play, &request);
            if status.is_ended() { self.remove(entries) } else { self.list(entries) }
        }
        Ok(())
    }

    fn remove_play(&mut self, play: &PlaySid) -> Result<(), Error> {
        let Some(head) = self.known(play)?.play.take() else { return Ok(()) };
        if !head.status.is_ended() {
            return Err(conflict(&keys::play(play)));
        }
        self.remove(head.entries(play));
        self.remove(head.start_key.as_deref().map(keys::start_key));
        for prefix in keys::parts(play) {
            self.remove_range(&prefix)?;
        }
        self.known.insert(play.clone(), Known::default());
        Ok(())
    }

    /// Whether there is anything whose key begins with `prefix`.
    fn has_any(&mut self, prefix: &[u8]) -> Result<bool, Error> {
        let range = keys::range(prefix);
        let stored = self.group.engine.keys(range.clone())?;
        let pending =
            [&self.group.changes, &self.changes].map(|changes| changes.range(range.clone()));
        let pending: Vec<_> = pending.into_iter().flatten().map(|(key, _)| key.clone()).collect();
        for key in stored.into_iter().chain(pending) {
            if self.has(&key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes everything whose key begins with `prefix`.
    fn remove_range(&mut self, prefix: &[u8]) -> Result<(), Error> {
        let range = keys::range(prefix);
        self.remove(self.group.engine.keys(range.clone())?);
        // What is not stored yet is not stored at all.
        let pending =
            [&self.group.changes, &self.changes].map(|changes| changes.range(range.clone()));
        let keys: Vec<_> = pending.into_iter().flatten().map(|(key, _)| key.clone()).collect();
        self.remove(keys);
        Ok(())
    }

    fn has_ended(&mut self, play: &PlaySid) -> Result<bool, Error> {
        let head = self.known(play)?.play.as_ref();
        Ok(head.is_some_and(|head| head.status.is_ended()))
    }

    fn write_outcome(&mut self, play: &PlaySid, outcome: &OutcomeRecord) -> Result<(), Error> {
        let key = keys::outcome(play, &outcome.key);
        let is_fresh = self.group.known.fresh.add(play, &outcome.key);
        if is_fresh || !self.has(&key)? {
            let tally = &mut self.known(play)?.tally;
            tally.n_outcomes += 1;
            tally.usage += outcome.usage;
            self.put(key, outcome);
        }
        Ok(())
    }

    fn write_version(&mut self, version: &WorkflowVersion) -> Result<(), Error> {
        let key = keys::version(&version.sid);
        if !self.has(&key)? {
            self.put(key, version);
        }
        Ok(())
    }

    fn write_workflow(&mut self, workflow: &Workflow) -> Result<(), Error> {
        let name = keys::workflow_name(&workflow.name);
        let holder = self.read::<WorkflowSid>(&name)?;
        if holder.is_some_and(|holder| holder != workflow.sid) {
            return Err(conflict(&name));
        }
        let key = keys::workflow(&workflow.sid);
        if let Some(stored) = self.read::<Workflow>(&key)? {
            if stored.revision.checked_add(1) != Some(workflow.revision) {
                return Err(conflict(&key));
            }
            self.changes.insert(keys::workflow_name(&stored.name), Change::Remove);
        }
        self.put(name, &workflow.sid);
        self.put(key, workflow);
        Ok(())
    }

    fn number_version(
        &mut self,
        workflow: &WorkflowSid,
        version: &NumberedVersion,
    ) -> Result<(), Error> {
        let key = keys::numbered_version(workflow, version.number);
        let by_sid = keys::version_number(workflow, &version.sid);
        let holder = self.read::<NumberedVersion>(&key)?;
        let number = self.read::<u32>(&by_sid)?;
        if holder.is_some_and(|holder| holder.sid != version.sid)
            || number.is_some_and(|number| number != version.number)
        {
            return Err(conflict(&key));
        }
        self.put(by_sid, &version.number);
        self.put(key, version);
        Ok(())
    }

    fn note_change(
        &mut self,
        workflow: &WorkflowSid,
        change: &WorkflowChange,
    ) -> Result<(), Error> {
        let key = keys::workflow_change(workflow, change.revision);
        if !self.has(&key)? {
            self.put(key, change);
        }
        Ok(())
    }

    fn remove_workflow(&mut self, workflow: &Workflow) -> Result<(), Error> {
        let key = keys::workflow(&workflow.sid);
        let Some(stored) = self.read::<Workflow>(&key)? else { return Ok(()) };
        let is_scheduled = self.has_any(&keys::schedules_of(&workflow.sid))?;
        if stored.revision != workflow.revision || is_scheduled {
            return Err(conflict(&key));
        }
        self.remove([key, keys::workflow_name(&stored.name)]);
        for prefix in [
            keys::numbered_versions(&workflow.sid),
            keys::version_numbers(&workflow.sid),
            keys::workflow_changes(&workflow.sid),
        ] {
            self.remove_range(&prefix)?;
        }
        Ok(())
    }

    fn write_schedule(&mut self, schedule: &Schedule) -> Result<(), Error> {
        let key = keys::schedule(&schedule.sid);
        let name = keys::schedule_name(&schedule.name);
        let stored = self.read::<Schedule>(&key)?;
        let expected = stored.as_ref().map_or(Some(0), |stored| stored.revision.checked_add(1));
        if expected != Some(schedule.revision) {
            return Err(conflict(&key));
        }
        let holder = self.read::<ScheduleSid>(&name)?;
        if holder.is_some_and(|holder| holder != schedule.sid) {
            return Err(conflict(&name));
        }
        if let Some(stored) = &stored {
            self.changes.insert(keys::schedule_name(&stored.name), Change::Remove);
        }
        let listed = stored.as_ref().map_or(Vec::new(), schedule_entries);
        self.relist(listed, schedule_entries(schedule));
        self.put(name, &schedule.sid);
        self.put(key, schedule);
        Ok(())
    }

    fn write_firing(&mut self, firing: &Firing) -> Result<(), Error> {
        let schedule = keys::schedule(&firing.schedule_sid);
        if !self.has(&schedule)? {
            return Err(conflict(&schedule));
        }
        let key = keys::firing(&firing.schedule_sid, firing.due_at, &firing.id);
        let stored = self.read::<Firing>(&key)?;
        if stored.is_some_and(|stored| !stored.outcome.is_open() && stored != *firing) {
            return Err(conflict(&key));
        }
        let entry = keys::open_firing(&firing.schedule_sid, firing.due_at, &firing.id);
        match firing.outcome.is_open() {
            true => self.list([entry]),
            false => self.remove([entry]),
        }
        self.put(key, firing);
        Ok(())
    }

    fn remove_schedule(&mut self, sid: &ScheduleSid) -> Result<(), Error> {
        let key = keys::schedule(sid);
        let Some(schedule) = self.read::<Schedule>(&key)? else { return Ok(()) };
        self.remove(schedule_entries(&schedule));
        self.remove([key, keys::schedule_name(&schedule.name)]);
        for prefix in [keys::firings(sid), keys::open_firings_of(sid)] {
            self.remove_range(&prefix)?;
        }
        Ok(())
    }

    /// Stores the tallies that this batch has changed.
    fn keep_tallies(&mut self) {
        for (play, known) in &mut self.known {
            if known.tally != known.stored_tally {
                known.stored_tally = known.tally;
                self.changes.insert(keys::tally(play), Change::PutTally(known.tally));
            }
        }
    }

    /// What is known of a play, to look at or to change within this batch.
    fn known(&mut self, play: &PlaySid) -> Result<&mut Known, Error> {
        if !self.known.contains_key(play) {
            let known = match self.group.known.plays.get(play) {
                Some(known) => known.clone(),
                None => self.read_known(play)?,
            };
            self.known.insert(play.clone(), known);
        }
        Ok(self.known.get_mut(play).expect("it was put there above"))
    }

    fn read_known(&self, play: &PlaySid) -> Result<Known, Error> {
        let record = self.read::<PlayRecord>(&keys::play(play))?;
        let tally = self.read(&keys::tally(play))?.unwrap_or_default();
        Ok(Known { play: record.as_ref().map(Head::of), tally, stored_tally: tally })
    }

    /// Takes something off the lists that it leaves, and puts it on those that it joins.
    fn relist(&mut self, listed: Vec<Vec<u8>>, entries: Vec<Vec<u8>>) {
        let joined: Vec<_> =
            entries.iter().filter(|entry| !listed.contains(entry)).cloned().collect();
        self.remove(listed.into_iter().filter(|entry| !entries.contains(entry)));
        self.list(joined);
    }

    /// Puts something on lists.
    fn list(&mut self, entries: impl IntoIterator<Item = Vec<u8>>) {
        self.changes.extend(entries.into_iter().map(|entry| (entry, Change::Put(Vec::new()))));
    }

    /// Takes something off lists, or away.
    fn remove(&mut self, keys: impl IntoIterator<Item = Vec<u8>>) {
        self.changes.extend(keys.into_iter().map(|key| (key, Change::Remove)));
    }

    fn put(&mut self, key: Vec<u8>, record: &impl Serialize) {
        let value = record::encode(&key, record);
        self.changes.insert(key, Change::Put(value));
    }

    fn read<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        self.read_bytes(key)?.map(|bytes| record::decode(key, &bytes)).transpose()
    }

    fn read_bytes(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.pending(key) {
            Some(pending) => Ok(pending.value(key)),
            None => self.group.engine.get(key),
        }
    }

    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        match self.pending(key) {
            Some(pending) => Ok(!matches!(pending, Change::Remove)),
            None => self.group.engine.has(key),
        }
    }

    /// What this batch or one before it in the group does to a key.
    fn pending(&self, key: &[u8]) -> Option<&Change<'a>> {
        self.changes.get(key).or_else(|| self.group.changes.get(key))
    }
}

fn conflict(key: &[u8]) -> Error {
    Error::Conflict { record: keys::describe(key) }
}
