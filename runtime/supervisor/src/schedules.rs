//! Schedules: looks at those that are due, and does what the core decides about them.
//!
//! A due time is claimed in one commit, and its play starts in another one, under the id of the firing as
//! idempotency key. Claims that no play was started for are found again by whoever looks next.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hero_core::schedule::{self, Calendar, Decided, Turn, View};
use hero_schema::{
    Firing, FiringOutcome, FiringPlace, PlaySid, Schedule, ScheduleSid, ScheduleState, StartKey,
    Starter, Timestamp, When,
};
use hero_store::{Batch, Error as StoreError, Write};
use jiff::tz::TimeZone;

use crate::Error;
use crate::supervisor::{NewPlay, Supervisor, VersionChoice};

/// How long the clock and the plays that others wait for are left alone at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many due schedules are looked for at a time, and how many are seen to at once.
const BATCH: usize = 1000;
const AT_ONCE: usize = 16;

/// Sees to the schedules until the supervisor stops.
pub(crate) async fn run(supervisor: Supervisor) {
    let mut stopping = supervisor.shared.is_stopping.subscribe();
    let mut n_stuck = 0;
    loop {
        let pause = match look(&supervisor, &mut n_stuck).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "schedules cannot be read");
                LOOK_AGAIN
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = supervisor.shared.has_new_schedules.notified() => {}
            _ = stopping.wait_for(|&is_stopping| is_stopping) => return,
        }
    }
}

/// Sees to what is due and to what is left open, and tells for how long nothing else is due. Those that
/// cannot be seen to are counted, so that they do not stand in the way of the others.
async fn look(supervisor: &Supervisor, n_stuck: &mut usize) -> Result<Duration, Error> {
    let store = &supervisor.shared.store;
    let now = store.now();
    let open = store.open_firings(None, usize::MAX).await?;
    let listed = store.due_schedules(BATCH + *n_stuck).await?;
    let is_cut = listed.len() == BATCH + *n_stuck;
    let (due, later): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(at, _)| *at <= now);
    let mut wanted: BTreeSet<_> = open.into_iter().map(|firing| firing.schedule_sid).collect();
    wanted.extend(due.into_iter().map(|(_, schedule)| schedule));
    let seen_to = stream::iter(wanted).map(async |schedule| {
        let settled = supervisor.settle(&schedule).await;
        settled.inspect_err(|error| tracing::warn!(%schedule, %error, "schedule is left for later"))
    });
    let stuck = seen_to.buffer_unordered(AT_ONCE).filter(|done| std::future::ready(done.is_err()));
    *n_stuck = stuck.count().await;
    Ok(match later.first() {
        Some((next, _)) => Duration::from_micros(next.micros_since(store.now())).min(LOOK_AGAIN),
        None if is_cut && *n_stuck < BATCH => Duration::ZERO,
        None => LOOK_AGAIN,
    })
}

/// A schedule as it stands, with what the core needs to know of it.
struct Known {
    schedule: Schedule,
    calendar: Calendar,
    open: Vec<Firing>,
    runs: Option<PlaySid>,
    now: Timestamp,
}

impl Known {
    fn view(&self) -> View<'_> {
        View {
            schedule: &self.schedule,
            calendar: &self.calendar,
            open: &self.open,
            runs: self.runs.as_ref(),
            now: self.now,
        }
    }
}

/// The due times of a schedule.
///
/// # Errors
/// The time zone or the rule is not known.
pub fn calendar(schedule: &Schedule) -> Result<Calendar, Error> {
    let zone = match &schedule.when {
        When::Cron { time_zone, .. } => {
            TimeZone::get(time_zone).map_err(|_| Error::NoSuchTimeZone(time_zone.clone()))?
        }
        When::Every { .. } | When::At(_) => TimeZone::UTC,
    };
    Ok(Calendar::new(&schedule.when, zone, schedule.created_at)?)
}

impl Supervisor {
    /// Fires schedules when they are due, from now on. To be called once.
    pub fn fire_schedules(&self) {
        tokio::spawn(run(self.clone()));
    }

    /// Stores a new schedule, which then fires by itself; `sid`, `created_at` and its due time are filled
    /// in.
    ///
    /// # Errors
    /// It is never due, or another one has its name; nothing is stored.
    pub async fn add_schedule(&self, new: Schedule) -> Result<Schedule, Error> {
        self.check_takes_work().await?;
        let now = self.shared.store.now();
        let sid = ScheduleSid::new(self.new_sid().as_str());
        let is_paused = new.state == ScheduleState::Paused;
        let new = Schedule { sid, created_at: now, state: ScheduleState::Active, ..new };
        let mut new = schedule::begin(new.clone(), &calendar(&new)?, now)
            .map_err(|over| Error::NeverDue { schedule: new.name, over })?;
        if is_paused {
            let revision = new.revision;
            new = Schedule { revision, ..schedule::pause(&new).unwrap_or(new) };
        }
        let name = new.name.clone();
        match self.commit_schedule(new.clone(), None).await {
            Err(Error::Store(StoreError::Conflict { .. })) => Err(Error::NameTaken(name)),
            other => other.map(|()| new),
        }
    }

    /// Lets a schedule fire no more; one that does not fire stays as it is.
    ///
    /// # Errors
    /// There is no such schedule.
    pub async fn pause_schedule(&self, sid_or_name: &str) -> Result<Schedule, Error> {
        loop {
            let stored = self.schedule(sid_or_name).await?;
            let Some(paused) = schedule::pause(&stored) else { return Ok(stored) };
            match self.commit_schedule(paused.clone(), None).await {
                Err(Error::Store(StoreError::Conflict { .. })) => {}
                other => return other.map(|()| paused),
            }
        }
    }

    /// Lets a schedule fire again; what was due meanwhile is recorded as skipped.
    ///
    /// # Errors
    /// There is no such schedule or no workflow of it, or it is never due again; nothing has changed.
    pub async fn unpause_schedule(&self, sid_or_name: &str) -> Result<Schedule, Error> {
        loop {
            let stored = self.schedule(sid_or_name).await?;
            if stored.state == ScheduleState::Active {
                return Ok(stored);
            }
            let now = self.shared.store.now();
            let unpaused = schedule::unpause(&stored, &calendar(&stored)?, now);
            let (active, skipped) =
                unpaused.map_err(|over| Error::NeverDue { schedule: stored.name.clone(), over })?;
            if self.shared.store.workflow(stored.workflow_sid.as_str()).await?.is_none() {
                return Err(Error::NothingToStart { schedule: stored.name });
            }
            match self.commit_schedule(active.clone(), skipped).await {
                Err(Error::Store(StoreError::Conflict { .. })) => {}
                other => return other.map(|()| active),
            }
        }
    }

    /// Fires a schedule now, by its overlap policy, whether it is paused or not; returns what became of
    /// that.
    ///
    /// # Errors
    /// There is no such schedule; or the store refused, and where the firing was claimed by then, its play
    /// starts later.
    pub async fn run_schedule(&self, sid_or_name: &str) -> Result<Firing, Error> {
        self.check_takes_work().await?;
        let sid = self.schedule(sid_or_name).await?.sid;
        loop {
            let known = self.known(&sid).await?;
            let known = known.ok_or_else(|| Error::NoSuchSchedule(sid_or_name.to_owned()))?;
            let turn = schedule::run_now(known.view());
            let firing = match &turn {
                Turn::Decide(decided) => Some(decided.firing.clone()),
                _ => None,
            };
            let is_taken = self.take(&known.schedule, turn).await?;
            let Some(firing) = firing.filter(|_| is_taken) else { continue };
            self.settle(&sid).await?;
            let place = FiringPlace { due_at: firing.due_at, id: firing.id.clone() };
            let now = self.shared.store.firing(&sid, &place).await?;
            return Ok(now.unwrap_or(firing));
        }
    }

    /// Removes a schedule with its history. Its plays stay.
    ///
    /// # Errors
    /// There is no such schedule.
    pub async fn delete_schedule(&self, sid_or_name: &str) -> Result<(), Error> {
        let sid = self.schedule(sid_or_name).await?.sid;
        let writes = vec![Write::RemoveSchedule(sid)];
        Ok(self.shared.store.commit(Batch { fence: None, writes }).await?)
    }

    /// A schedule that must be there, by its sid or its name.
    ///
    /// # Errors
    /// There is none.
    pub async fn schedule(&self, sid_or_name: &str) -> Result<Schedule, Error> {
        let found = self.shared.store.schedule(sid_or_name).await?;
        found.ok_or_else(|| Error::NoSuchSchedule(sid_or_name.to_owned()))
    }

    async fn commit_schedule(
        &self,
        schedule: Schedule,
        firing: Option<Firing>,
    ) -> Result<(), Error> {
        let mut writes = vec![Write::Schedule(Box::new(schedule))];
        writes.extend(firing.map(|firing| Write::Firing(Box::new(firing))));
        self.shared.store.commit(Batch { fence: None, writes }).await?;
        self.shared.has_new_schedules.notify_one();
        Ok(())
    }

    /// Does all that is to be done about a schedule now.
    async fn settle(&self, sid: &ScheduleSid) -> Result<(), Error> {
        loop {
            // One that was removed meanwhile needs nothing.
            let Some(known) = self.known(sid).await? else { return Ok(()) };
            let turn = schedule::turn(known.view());
            if turn == Turn::Wait {
                return Ok(());
            }
            self.take(&known.schedule, turn).await?;
        }
    }

    async fn known(&self, sid: &ScheduleSid) -> Result<Option<Known>, Error> {
        let store = &self.shared.store;
        let Some(schedule) = store.schedule(sid.as_str()).await? else { return Ok(None) };
        let calendar = calendar(&schedule)?;
        let open = store.open_firings(Some(sid), schedule::QUEUE_MAX + 1).await?;
        let runs = self.running_play(&schedule).await?;
        Ok(Some(Known { schedule, calendar, open, runs, now: store.now() }))
    }

    /// The play of its latest firing, where that has not ended. One that was removed had.
    async fn running_play(&self, schedule: &Schedule) -> Result<Option<PlaySid>, Error> {
        let store = &self.shared.store;
        let Some(latest) = &schedule.latest else { return Ok(None) };
        let firing = store.firing(&schedule.sid, latest).await?;
        let Some(FiringOutcome::Started { play_sid }) = firing.map(|firing| firing.outcome) else {
            return Ok(None);
        };
        let play = store.play(&play_sid).await?;
        Ok(play.filter(|play| !play.status.is_ended()).map(|play| play.sid))
    }

    /// Does one thing; whether it was not already done by another.
    async fn take(&self, schedule: &Schedule, turn: Turn) -> Result<bool, Error> {
        match turn {
            Turn::Wait => Ok(false),
            Turn::Start(firing) => self.start_firing(schedule, firing).await.map(|()| true),
            Turn::Cancel(play) => match self.cancel(&play).await {
                // Ended meanwhile, by itself or for good.
                Ok(()) | Err(Error::Refused(_) | Error::NoSuchPlay(_)) => Ok(true),
                Err(error) => Err(error),
            },
            Turn::Decide(decided) => self.decide_firing(schedule, *decided).await,
        }
    }

    async fn decide_firing(&self, old: &Schedule, decided: Decided) -> Result<bool, Error> {
        let Decided { schedule, firing } = decided;
        tracing::info!(schedule = %schedule.sid, firing = %firing.id, outcome = ?firing.outcome, "firing decided");
        match self.commit_schedule(schedule.clone(), Some(firing)).await {
            Err(Error::Store(StoreError::Conflict { .. })) => {}
            other => return other.map(|()| true),
        }
        let stored = self.shared.store.schedule(old.sid.as_str()).await?;
        if stored.is_some_and(|stored| stored.revision == old.revision) {
            // Nobody has decided anew, so it is the firing that was decided before: its schedule was
            // saved from a damaged store.
            self.commit_schedule(Schedule { latest: old.latest.clone(), ..schedule }, None).await?;
        }
        Ok(false)
    }

    /// Starts the play of a claimed firing, or finds the one that was started.
    async fn start_firing(&self, schedule: &Schedule, firing: Firing) -> Result<(), Error> {
        let outcome = match self.play_of(schedule, &firing).await? {
            Ok(play_sid) => FiringOutcome::Started { play_sid },
            Err(message) => FiringOutcome::Refused { message },
        };
        tracing::info!(schedule = %schedule.sid, firing = %firing.id, ?outcome, "firing done");
        let writes = vec![Write::Firing(Box::new(Firing { outcome, ..firing }))];
        match self.shared.store.commit(Batch { fence: None, writes }).await {
            // The schedule was removed, or another has come first; there is one play in any case.
            Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The play of a firing; why it cannot be started, where it never can.
    async fn play_of(
        &self,
        schedule: &Schedule,
        firing: &Firing,
    ) -> Result<Result<PlaySid, String>, Error> {
        let store = &self.shared.store;
        let key = firing.id.as_str();
        if let Some(play) = store.play_started_with(key).await? {
            return Ok(Ok(play.sid));
        }
        let Some(workflow) = store.workflow(schedule.workflow_sid.as_str()).await? else {
            return Ok(Err(format!("there is no workflow `{}` any more", schedule.workflow_name)));
        };
        let version = self.version(&workflow.current_version_sid).await?;
        let misfit = |misfit: String| {
            Ok(Err(format!("the inputs do not fit workflow `{}`: {misfit}", workflow.name)))
        };
        let given = &schedule.input_data;
        let schema = version.signature.input_schema.as_ref();
        if let Err(error) = hero_core::answer::check(schema, given) {
            return misfit(error.to_string());
        }
        let arguments = match &version.saved {
            None => Ok(given.clone()),
            Some(saved) => hero_core::template::arguments(saved, &version.signature.inputs, given),
        };
        let input = match arguments {
            Ok(input) => input,
            Err(error) => return misfit(error),
        };
        let new = NewPlay {
            name: schedule.name.clone(),
            workflow_sid: Some(workflow.sid),
            started_by: Starter::Schedule { schedule: schedule.sid.to_string() },
            version: VersionChoice::Stored(workflow.current_version_sid),
            input,
            forbids_replan: !schedule.allow_replan,
            prefill: Default::default(),
            prefill_only: false,
            python: None,
            working_dir: None,
            timeout: None,
            budget: None,
            final_callback_url: None,
            start_key: Some(StartKey { key: key.to_owned(), fingerprint: key.to_owned() }),
        };
        match self.start_play(new).await {
            Ok(play) => Ok(Ok(play.sid)),
            Err(Error::KeyTaken { key }) => match store.play_started_with(&key).await? {
                Some(play) => Ok(Ok(play.sid)),
                None => Err(Error::KeyTaken { key }),
            },
            Err(error) => Err(error),
        }
    }
}
