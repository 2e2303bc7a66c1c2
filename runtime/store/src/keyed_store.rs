//! The store over an ordered set of pairs.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use hero_schema::{
    Firing, FiringPlace, LogLine, NumberedVersion, OutcomeRecord, PlayRecord, PlaySid, ResumeId,
    ResumeRequest, Retention, Schedule, ScheduleSid, Span, StepKey, Timestamp, Usage, VersionSid,
    Workflow, WorkflowChange, WorkflowSid, WorkflowVersion, tag,
};
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use crate::committer::{Committer, Shared};
use crate::keys::PlayList;
use crate::lists;
use crate::record::{self, Tally};
use crate::spans;
use crate::{
    Batch, Commit, Due, Engine, Error, Page, PageQuery, PlayQuery, StartedBy, Store, clock, keys,
};

/// How many news a receiver may fall behind before it is told that it lags.
const NEWS_KEPT: usize = 4096;

/// How many damages are logged: whoever has more needs no longer list.
const DAMAGES_TOLD_MAX: usize = 1000;

/// A [`Store`] over any [`Engine`]: see [`crate::MemoryStore`] and [`crate::SledStore`].
///
/// Dropped without `close`, it stores what was posted, makes no promise about it, and gives the
/// engine free before the drop returns.
pub struct KeyedStore<E: Engine> {
    engine: Shared<E>,
    committer: Committer<E>,
    news: broadcast::Sender<PlaySid>,
    /// The damages that were logged: each is once, however often it is met.
    told: Mutex<HashSet<String>>,
}

impl<E: Engine> KeyedStore<E> {
    /// Starts writing to an engine.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn over(engine: E) -> std::io::Result<Self> {
        let engine = Arc::new(RwLock::new(Some(engine)));
        let (news, _) = broadcast::channel(NEWS_KEPT);
        let committer = Committer::start(engine.clone(), news.clone())?;
        Ok(Self { engine, committer, news, told: Mutex::default() })
    }

    /// Reads; what is read may be about to become durable rather than be so.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&E) -> Result<T, Error>) -> Result<T, Error> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        read(engine.as_ref().ok_or(Error::Closed)?)
    }

    /// A page of a list, see [`lists::page`].
    fn page<T>(
        &self,
        prefix: &[u8],
        query: &PageQuery,
        item: impl Fn(&E, &[u8], &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Page<T>, Error> {
        self.page_within(prefix, keys::range(prefix), query, item)
    }

    /// As `page`, of a part of the list.
    fn page_within<T>(
        &self,
        prefix: &[u8],
        keys: Range<Vec<u8>>,
        query: &PageQuery,
        item: impl Fn(&E, &[u8], &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Page<T>, Error> {
        let page = self.read(|engine| {
            lists::page(engine, prefix, keys, query, |suffix, value| item(engine, suffix, value))
        })?;
        Ok(self.noted(page))
    }

    /// The page, once what is damaged on it is logged.
    fn noted<T>(&self, page: Page<T>) -> Page<T> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for damaged in &page.damaged {
            if told.len() < DAMAGES_TOLD_MAX && told.insert(damaged.clone()) {
                tracing::error!(damaged, "a list is shown without one of its items");
            }
        }
        page
    }

    /// What comes first of a list of moments, as far as `holds` still says so of it.
    fn next_of(
        &self,
        prefix: &[u8],
        limit: usize,
        holds: impl Fn(&E, &Due) -> Result<bool, Error>,
    ) -> Result<Vec<Due>, Error> {
        self.every(prefix, limit, |engine, suffix| {
            let due = keys::listed_due(suffix).ok_or_else(|| damaged_list(prefix))?;
            Ok(holds(engine, &due)?.then_some(due))
        })
    }

    /// The first of a list, at most `limit`, read to its end where need be: what is damaged must not keep
    /// what is behind it from being found.
    fn every<T>(
        &self,
        prefix: &[u8],
        limit: usize,
        item: impl Fn(&E, &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        let mut query = PageQuery { cursor: None, limit };
        loop {
            let page = self.page(prefix, &query, |engine, suffix, _| item(engine, suffix))?;
            found.extend(page.items);
            if found.len() >= limit || !page.has_more {
                return Ok(found);
            }
            query = PageQuery { cursor: page.next_cursor, limit: limit - found.len() };
        }
    }

    /// A page of the records whose key begins with `prefix`.
    fn records<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
        query: &PageQuery,
    ) -> Result<Page<T>, Error> {
        self.page(prefix, query, |_, suffix, value| {
            record::decode(&[prefix, suffix].concat(), value).map(Some)
        })
    }
}

#[async_trait]
impl<E: Engine> Store for KeyedStore<E> {
    fn commit(&self, batch: Batch) -> Commit {
        self.committer.commit(batch)
    }

    fn commit_here(&self, batch: Batch) -> Commit {
        self.committer.commit_here(batch)
    }

    fn post(&self, batch: Batch) {
        self.committer.post(batch);
    }

    async fn play(&self, play: &PlaySid) -> Result<Option<PlayRecord>, Error> {
        self.read(|engine| get(engine, &keys::play(play)))
    }

    async fn play_started_with(&self, key: &str) -> Result<Option<PlayRecord>, Error> {
        self.read(|engine| match get::<_, PlaySid>(engine, &keys::start_key(key))? {
            Some(sid) => get(engine, &keys::play(&sid)),
            None => Ok(None),
        })
    }

    async fn plays(&self, query: PlayQuery) -> Result<Page<PlayRecord>, Error> {
        let list = shortest_list(&query);
        let (prefix, created) = (list.prefix(), list.created(query.since, query.until));
        self.page_within(&prefix, created, &query.page, |engine, suffix, _| {
            let sid = keys::listed_play(suffix).ok_or_else(|| damaged_list(&prefix))?;
            let play: Option<PlayRecord> = get(engine, &keys::play(&sid))?;
            // The play may have moved on since its entry was read.
            Ok(play.filter(|play| is_wanted(play, &query)))
        })
    }

    async fn ended_plays(&self, page: PageQuery) -> Result<Page<PlayRecord>, Error> {
        let prefix = keys::ended_plays();
        self.page(&prefix, &page, |engine, suffix, _| {
            let sid = keys::listed_play(suffix).ok_or_else(|| damaged_list(&prefix))?;
            let play: Option<PlayRecord> = get(engine, &keys::play(&sid))?;
            Ok(play.filter(|play| play.status.is_ended()))
        })
    }

    async fn request(
        &self,
        play: &PlaySid,
        request: &ResumeId,
    ) -> Result<Option<ResumeRequest>, Error> {
        self.read(|engine| get(engine, &keys::request(play, request)))
    }

    async fn requests(&self, play: &PlaySid) -> Result<Vec<ResumeRequest>, Error> {
        let prefix = keys::requests(play);
        let mut requests: Vec<ResumeRequest> = self.read(|engine| {
            complete(engine, play, &prefix, |tally| (tally.n_requests, tally.requests_sum))
        })?;
        requests.sort_by_key(|request| request.asked_at);
        Ok(requests)
    }

    async fn open_questions(
        &self,
        page: PageQuery,
    ) -> Result<Page<(PlaySid, ResumeRequest)>, Error> {
        let prefix = keys::open_questions();
        self.page(&prefix, &page, |engine, suffix, _| {
            let listed = keys::listed_request(suffix);
            let (play, id) = listed.ok_or_else(|| damaged_list(&prefix))?;
            let request: Option<ResumeRequest> = get(engine, &keys::request(&play, &id))?;
            let open = request.filter(ResumeRequest::is_open);
            Ok(open.map(|request| (play, request)))
        })
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>, Error> {
        self.next_of(&keys::dues(), limit, is_due)
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<Due>, Error> {
        self.next_of(&keys::outbox(), limit, |engine, due| {
            let play: Option<PlayRecord> = get(engine, &keys::play(&due.play))?;
            let callback = play.and_then(|play| play.final_callback);
            Ok(callback.is_some_and(|callback| callback.next_at == Some(due.at)))
        })
    }

    async fn outcome(
        &self,
        play: &PlaySid,
        step: &StepKey,
    ) -> Result<Option<OutcomeRecord>, Error> {
        self.read(|engine| get(engine, &keys::outcome(play, step)))
    }

    async fn spent(&self, play: &PlaySid) -> Result<Usage, Error> {
        let tally: Option<Tally> = self.read(|engine| get(engine, &keys::tally(play)))?;
        Ok(tally.unwrap_or_default().usage)
    }

    async fn outcomes(&self, play: &PlaySid) -> Result<Vec<OutcomeRecord>, Error> {
        let prefix = keys::outcomes(play);
        self.read(|engine| complete(engine, play, &prefix, |tally| (tally.n_outcomes, None)))
    }

    async fn spans(&self, play: &PlaySid, page: PageQuery) -> Result<Page<Span>, Error> {
        Ok(self.noted(self.read(|engine| spans::page(engine, play, &page))?))
    }

    async fn logs(&self, play: &PlaySid, page: PageQuery) -> Result<Page<LogLine>, Error> {
        self.records(&keys::logs(play), &page)
    }

    async fn version(&self, version: &VersionSid) -> Result<Option<WorkflowVersion>, Error> {
        self.read(|engine| get(engine, &keys::version(version)))
    }

    async fn workflow(&self, sid_or_name: &str) -> Result<Option<Workflow>, Error> {
        self.read(|engine| {
            let by_sid = get(engine, &keys::workflow(&WorkflowSid::new(sid_or_name)))?;
            if by_sid.is_some() {
                return Ok(by_sid);
            }
            match get::<_, WorkflowSid>(engine, &keys::workflow_name(sid_or_name))? {
                Some(sid) => get(engine, &keys::workflow(&sid)),
                None => Ok(None),
            }
        })
    }

    async fn workflows(&self, page: PageQuery) -> Result<Page<Workflow>, Error> {
        let prefix = keys::workflow_names();
        self.page(&prefix, &page, |engine, suffix, value| {
            let sid: WorkflowSid = record::decode(&[&prefix, suffix].concat(), value)?;
            get(engine, &keys::workflow(&sid))
        })
    }

    async fn retention(&self, workflow: &WorkflowSid) -> Result<Option<Retention>, Error> {
        self.read(|engine| get(engine, &keys::retention(workflow)))
    }

    async fn retentions(&self, page: PageQuery) -> Result<Page<Retention>, Error> {
        self.records(&keys::retentions(), &page)
    }

    async fn numbered_version(
        &self,
        workflow: &WorkflowSid,
        number: u32,
    ) -> Result<Option<NumberedVersion>, Error> {
        self.read(|engine| get(engine, &keys::numbered_version(workflow, number)))
    }

    async fn versions_from(
        &self,
        workflow: &WorkflowSid,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<NumberedVersion>, Error> {
        let prefix = keys::version_numbers_from(workflow, beginning);
        self.read(|engine| {
            let mut found = Vec::new();
            for (key, value) in engine.scan(keys::range(&prefix), limit)? {
                let number: u32 = record::decode(&key, &value?)?;
                found.extend(get(engine, &keys::numbered_version(workflow, number))?);
            }
            Ok(found)
        })
    }

    async fn numbered_versions(
        &self,
        workflow: &WorkflowSid,
        page: PageQuery,
    ) -> Result<Page<NumberedVersion>, Error> {
        self.records(&keys::numbered_versions(workflow), &page)
    }

    async fn workflow_changes(
        &self,
        workflow: &WorkflowSid,
        page: PageQuery,
    ) -> Result<Page<WorkflowChange>, Error> {
        self.records(&keys::workflow_changes(workflow), &page)
    }

    async fn schedule(&self, sid_or_name: &str) -> Result<Option<Schedule>, Error> {
        self.read(|engine| {
            let by_sid = get(engine, &keys::schedule(&ScheduleSid::new(sid_or_name)))?;
            if by_sid.is_some() {
                return Ok(by_sid);
            }
            match get::<_, ScheduleSid>(engine, &keys::schedule_name(sid_or_name))? {
                Some(sid) => get(engine, &keys::schedule(&sid)),
                None => Ok(None),
            }
        })
    }

    async fn schedules(&self, page: PageQuery) -> Result<Page<Schedule>, Error> {
        let prefix = keys::schedule_names();
        self.page(&prefix, &page, |engine, suffix, value| {
            let sid: ScheduleSid = record::decode(&[&prefix, suffix].concat(), value)?;
            get(engine, &keys::schedule(&sid))
        })
    }

    async fn active_schedules(&self, workflow: &WorkflowSid) -> Result<Vec<ScheduleSid>, Error> {
        let prefix = keys::schedules_of(workflow);
        self.every(&prefix, usize::MAX, |_, suffix| {
            let schedule = keys::listed_schedule_of(suffix);
            Ok(Some(schedule.ok_or_else(|| damaged_list(&prefix))?))
        })
    }

    async fn due_schedules(&self, limit: usize) -> Result<Vec<(Timestamp, ScheduleSid)>, Error> {
        let prefix = keys::due_schedules();
        self.every(&prefix, limit, |_, suffix| {
            Ok(Some(keys::listed_schedule(suffix).ok_or_else(|| damaged_list(&prefix))?))
        })
    }

    async fn firing(
        &self,
        schedule: &ScheduleSid,
        place: &FiringPlace,
    ) -> Result<Option<Firing>, Error> {
        self.read(|engine| get(engine, &keys::firing(schedule, place.due_at, &place.id)))
    }

    async fn firings(
        &self,
        schedule: &ScheduleSid,
        page: PageQuery,
    ) -> Result<Page<Firing>, Error> {
        self.records(&keys::firings(schedule), &page)
    }

    async fn open_firings(
        &self,
        schedule: Option<&ScheduleSid>,
        limit: usize,
    ) -> Result<Vec<Firing>, Error> {
        let all = keys::open_firings();
        let prefix = schedule.map_or_else(|| all.clone(), keys::open_firings_of);
        self.every(&prefix, limit, |engine, suffix| {
            let entry = [&prefix[all.len()..], suffix].concat();
            let listed = keys::listed_firing(&entry);
            let (schedule, due_at, id) = listed.ok_or_else(|| damaged_list(&prefix))?;
            let firing: Option<Firing> = get(engine, &keys::firing(&schedule, due_at, &id))?;
            // It may have moved on since its entry was read.
            Ok(firing.filter(|firing| firing.outcome.is_open()))
        })
    }

    fn news(&self) -> broadcast::Receiver<PlaySid> {
        self.news.subscribe()
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn has_room(&self) -> Result<(), Error> {
        self.read(Engine::has_room)
    }

    async fn close(&self) -> Result<(), Error> {
        self.committer.close().await
    }
}

/// The record under a key.
fn get<E: Engine, T: DeserializeOwned>(engine: &E, key: &[u8]) -> Result<Option<T>, Error> {
    engine.get(key)?.map(|bytes| record::decode(key, &bytes)).transpose()
}

/// All records of a play whose key begins with `prefix`, held against the play's tally: how many there
/// are, and what their checksums come to.
fn complete<E: Engine, T: DeserializeOwned>(
    engine: &E,
    play: &PlaySid,
    prefix: &[u8],
    counted: impl Fn(Tally) -> (u64, Option<u32>),
) -> Result<Vec<T>, Error> {
    let tally_key = keys::tally(play);
    loop {
        let before: Tally = get(engine, &tally_key)?.unwrap_or_default();
        let pairs = lists::all(engine, prefix)?;
        let after: Tally = get(engine, &tally_key)?.unwrap_or_default();
        if before != after {
            // Something was stored meanwhile: neither number fits what was read.
            continue;
        }
        let damaged = |reason| Error::Damaged { record: keys::describe(prefix), reason };
        let (n_records, sum) = counted(after);
        if n_records != pairs.len() as u64 {
            return Err(damaged(format!("{} of {n_records} are there", pairs.len())));
        }
        let mut found_sum = 0u32;
        let mut records = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let value = value?;
            found_sum = found_sum.wrapping_add(record::checksum_of(&value));
            records.push(record::decode(&key, &value)?);
        }
        if sum.is_some_and(|sum| sum != found_sum) {
            return Err(damaged("one of them is not the one that was written last".into()));
        }
        return Ok(records);
    }
}

/// The list of the plays that match, and of few others.
fn shortest_list(query: &PlayQuery) -> PlayList<'_> {
    let tag = query.tags.iter().next();
    let by = query.started_by.as_ref();
    let by_whom = by.and_then(|by| Some((by.word.as_str(), by.who.as_deref()?)));
    match (&query.parent, tag, by_whom, &query.workflow, query.status, by) {
        (Some(parent), ..) => PlayList::OfParent(parent),
        (None, Some((name, text)), ..) => PlayList::WithTag(name, text),
        (None, None, Some((word @ "schedule", who)), ..) => PlayList::StartedByWhom(word, who),
        (None, None, _, Some(workflow), Some(status), _) => {
            PlayList::OfWorkflowInStatus(workflow, status)
        }
        (None, None, _, Some(workflow), None, _) => PlayList::OfWorkflow(workflow),
        (None, None, _, None, Some(status), _) => PlayList::OfStatus(status),
        (None, None, _, None, None, Some(by)) => PlayList::StartedBy(&by.word),
        (None, None, _, None, None, None) => PlayList::All,
    }
}

fn is_wanted(play: &PlayRecord, query: &PlayQuery) -> bool {
    let is_tagged = |(name, text): (&String, &String)| {
        play.tags.get(name).is_some_and(|value| tag::text(value) == *text)
    };
    let was_started_by = |by: &StartedBy| {
        let starter = play.started_by.as_ref().filter(|starter| starter.word() == by.word);
        starter.is_some_and(|starter| by.who.as_ref().is_none_or(|who| *who == starter.who()))
    };
    query.status.is_none_or(|status| play.status == status)
        && (query.workflow.is_none() || play.workflow_sid == query.workflow)
        && (query.parent.is_none() || play.parent == query.parent)
        && query.tags.iter().all(is_tagged)
        && query.started_by.as_ref().is_none_or(was_started_by)
        && query.text.as_ref().is_none_or(|text| holds(&play.name, text))
        && query.since.is_none_or(|since| play.created_at >= since)
        && query.until.is_none_or(|until| play.created_at < until)
}

/// Whether a name holds a text, in upper or lower case.
fn holds(name: &str, text: &str) -> bool {
    name.to_lowercase().contains(&text.to_lowercase())
}

/// Whether what an entry says still holds.
fn is_due<E: Engine>(engine: &E, due: &Due) -> Result<bool, Error> {
    let play: Option<PlayRecord> = get(engine, &keys::play(&due.play))?;
    let Some(play) = play.filter(|play| !play.status.is_ended()) else { return Ok(false) };
    let Some(id) = &due.request else { return Ok(play.deadline == Some(due.at)) };
    let request: Option<ResumeRequest> = get(engine, &keys::request(&due.play, id))?;
    Ok(request.is_some_and(|request| request.is_open() && request.expires_at == Some(due.at)))
}

fn damaged_list(prefix: &[u8]) -> Error {
    let reason = "an entry does not read".into();
    Error::Damaged { record: keys::describe(prefix), reason }
}
