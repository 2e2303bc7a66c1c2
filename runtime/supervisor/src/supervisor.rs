//! The handle that the rest of a program holds.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hero_core::{Decision, Event, prefill};
use hero_outbound::Allowed;
use hero_schema::rpc::{Finding, ForkServerState};
use hero_schema::{
    Answerer, Budget, Bundle, FinalCallback, FlowSignature, Json, LaunchNumber, Outcome,
    PlayRecord, PlaySid, PlayStatus, ResumeId, StartKey, Starter, Timestamp, VersionSid,
    WorkflowSid, WorkflowVersion,
};
use hero_store::{Batch, PlayQuery, Store, Write};
use tokio::sync::{Notify, Semaphore, watch};

use crate::callbacks::Callbacks;
use crate::decide::writes_of;
use crate::fork_server::ForkServers;
use crate::launch_dir::LaunchDirs;
use crate::memory::Memories;
use crate::orphans::Orphans;
use crate::outbox::Outbox;
use crate::output::LogSizes;
use crate::span_socket::SpanSocket;
use crate::spawn::first_launch;
use crate::spawner::Spawner;
use crate::versions::Versions;
use crate::{Error, inspect, outbox, timers};

/// How many processes may run at once; further launches wait for one to end.
const PROCESSES_MAX: usize = 64;

/// Where a supervisor works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the files of running launches; emptied at start.
    pub run_dir: PathBuf,
    /// For unpacked bundles; may be deleted at any time while nothing runs.
    pub bundles_dir: PathBuf,
    /// Where launches report; an old socket there is replaced.
    pub span_socket: PathBuf,
    /// Where launches find the RPC.
    pub rpc_socket: PathBuf,
    /// The keys that the URLs of callbacks are signed with; made where there are none.
    pub callback_keys: PathBuf,
    /// What these URLs begin with; None takes the address of the web UI.
    pub public_url: Option<String>,
    /// The file in which the web UI says where it listens.
    pub admin_url_file: PathBuf,
    /// The keys that final callbacks are signed with; made where there are none.
    pub final_callback_keys: PathBuf,
    /// The hosts that final callbacks may reach wherever they lie.
    pub allowed_callbacks: Allowed,
    /// The interpreter of plays that name none; None looks for one.
    pub python: Option<PathBuf>,
    /// How long a process has between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Whether each launch gets an interpreter of its own, instead of a fork of one that has imported
    /// what it needs.
    pub spawns_launches: bool,
}

/// A play to start.
#[derive(Clone, Debug)]
pub struct NewPlay {
    /// What people call it.
    pub name: String,
    /// The saved workflow it comes from.
    pub workflow_sid: Option<WorkflowSid>,
    /// Who starts it.
    pub started_by: Starter,
    /// The code.
    pub version: VersionChoice,
    /// The arguments, a JSON object that fits the signature.
    pub input: Json,
    /// Answers given ahead: pause name or glob → payload.
    pub prefill: BTreeMap<String, Json>,
    /// Whether a pause that the prefill does not cover fails the play.
    pub prefill_only: bool,
    /// The interpreter; None takes the supervisor's.
    pub python: Option<String>,
    /// The working directory; None gives each launch a private one.
    pub working_dir: Option<String>,
    /// Whether a plan that the version has no frozen output of fails instead of running.
    pub forbids_replan: bool,
    /// How much it may spend; None sets no bound.
    pub budget: Option<Budget>,
    /// How long it may take in all, waiting included; None leaves that to the flow.
    pub timeout: Option<Duration>,
    /// Where its outcome is posted once it has ended.
    pub final_callback_url: Option<String>,
    /// By what the start is recognised when it is asked for again.
    pub start_key: Option<StartKey>,
}

/// The code of a new play.
#[derive(Clone, Debug)]
pub enum VersionChoice {
    /// A version that the store has.
    Stored(VersionSid),
    /// A version to store together with the play.
    New(Box<WorkflowVersion>),
}

/// An answer that was accepted, now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When the answer that stands was accepted.
    pub resumed_at: Timestamp,
    /// Whether it had been given before.
    pub already: bool,
}

/// Keeps the plays of one store going. Cheap to clone; all clones are one supervisor.
#[derive(Clone)]
pub struct Supervisor {
    pub(crate) shared: Arc<Shared>,
}

/// What the handle and the launches share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) spawner: Spawner,
    pub(crate) orphans: Arc<Orphans>,
    pub(crate) fork_servers: ForkServers,
    pub(crate) span_socket: SpanSocket,
    pub(crate) log_sizes: LogSizes,
    pub(crate) versions: Versions,
    pub(crate) callbacks: Callbacks,
    pub(crate) outbox: Outbox,
    pub(crate) memories: Memories,
    pub(crate) launch_dirs: Arc<LaunchDirs>,
    pub(crate) process_slots: Semaphore,
    pub(crate) is_stopping: watch::Sender<bool>,
    running: Mutex<HashMap<PlaySid, RunningLaunch>>,
    n_launches: watch::Sender<u32>,
    /// Told when something may fall due earlier than what was known.
    pub(crate) has_new_timers: Notify,
    /// Told when a schedule may be due earlier than what was known.
    pub(crate) has_new_schedules: Notify,
}

struct RunningLaunch {
    launch: LaunchNumber,
    kill: watch::Sender<bool>,
}

impl Supervisor {
    /// Binds the span socket and clears what an earlier supervisor left. Starts no play; see
    /// [`Supervisor::recover`].
    ///
    /// # Errors
    /// A directory cannot be written, or the socket cannot be bound.
    pub async fn start(settings: Settings, store: Arc<dyn Store>) -> Result<Self, Error> {
        let orphans = Orphans::adopt(&settings.span_socket);
        let launch_dirs = LaunchDirs::clear(&settings.run_dir)?;
        let memories = Memories::in_dir(settings.run_dir.clone());
        let span_socket = SpanSocket::bind(&settings.span_socket)?;
        let (callbacks, outbox) = (Callbacks::of(&settings), Outbox::of(&settings));
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                store,
                spawner: Spawner::start(),
                fork_servers: ForkServers::default(),
                orphans,
                span_socket,
                log_sizes: LogSizes::default(),
                versions: Versions::default(),
                callbacks,
                outbox,
                memories,
                launch_dirs,
                process_slots: Semaphore::new(PROCESSES_MAX),
                is_stopping: watch::Sender::new(false),
                running: Mutex::default(),
                n_launches: watch::Sender::new(0),
                has_new_timers: Notify::new(),
                has_new_schedules: Notify::new(),
            }),
        })
    }

    /// Relaunches every play that is `pending` or `running` and has no process, which replay makes
    /// safe, and from then on does what falls due. To be called once.
    ///
    /// # Errors
    /// The store cannot be read. A play that cannot be relaunched is logged and left for the next time.
    pub async fn recover(&self) -> Result<usize, Error> {
        let mut n_recovered = 0;
        for status in [PlayStatus::Pending, PlayStatus::Running] {
            for sid in self.plays_in(status).await? {
                if self.shared.is_running(&sid) {
                    continue;
                }
                match self.decide(&sid, |_| Event::LaunchDue).await {
                    Ok(_) => n_recovered += 1,
                    Err(error) => tracing::error!(play = %sid, %error, "play not recovered"),
                }
            }
        }
        tracing::info!(n_recovered, "recovered plays without a process");
        tokio::spawn(timers::run(self.clone()));
        tokio::spawn(outbox::run(self.clone()));
        Ok(n_recovered)
    }

    async fn plays_in(&self, status: PlayStatus) -> Result<Vec<PlaySid>, Error> {
        let query = PlayQuery { status: Some(status), ..PlayQuery::default() };
        self.every_play(query, |play| Some(play.sid)).await
    }

    /// The plays that a play has spawned and that have not ended.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn children(&self, parent: &PlaySid) -> Result<Vec<PlayRecord>, Error> {
        let query = PlayQuery { parent: Some(parent.clone()), ..PlayQuery::default() };
        self.every_play(query, |play| (!play.status.is_ended()).then_some(play)).await
    }

    /// What is wanted of every play that matches, page after page.
    async fn every_play<T>(
        &self,
        mut query: PlayQuery,
        wanted: impl Fn(PlayRecord) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        loop {
            let page = self.shared.store.plays(query.clone()).await?;
            found.extend(page.items.into_iter().filter_map(&wanted));
            if !page.has_more {
                return Ok(found);
            }
            query.page.cursor = page.next_cursor;
        }
    }

    /// Reads a file with flows, and the local modules it imports, without running any of it.
    ///
    /// # Errors
    /// [`Error::Inspect`]: the file cannot be read or holds no runnable flow, or the interpreter
    /// cannot be used.
    pub async fn inspect(
        &self,
        file: &Path,
        flow: Option<&str>,
        python: Option<&Path>,
    ) -> Result<(Bundle, FlowSignature), Error> {
        inspect::inspect(&self.shared, file, flow, python).await
    }

    /// Looks in a file with flows for what will not be the same, or will happen again, in every launch.
    ///
    /// # Errors
    /// As [`Supervisor::inspect`].
    pub async fn check(
        &self,
        file: &Path,
        flow: Option<&str>,
        python: Option<&Path>,
    ) -> Result<Vec<Finding>, Error> {
        inspect::check(&self.shared, file, flow, python).await
    }

    /// Stores a new play, with its version where that is new, and launches it.
    ///
    /// When it returns `Ok` the play survives a crash and will end or wait without further help.
    ///
    /// # Errors
    /// The store refused; nothing is stored or started. [`Error::KeyTaken`] where a play has been started
    /// with its key, perhaps just now.
    pub async fn start_play(&self, new: NewPlay) -> Result<PlayRecord, Error> {
        self.check_takes_work().await?;
        let now = self.shared.store.now();
        let mut batch = Batch::default();
        let version_sid = match new.version {
            VersionChoice::Stored(sid) => sid,
            VersionChoice::New(version) => {
                let sid = version.sid.clone();
                self.shared.versions.keep(&Arc::new(version.as_ref().clone()));
                batch.writes.push(Write::Version(version));
                sid
            }
        };
        let accepted = PlayRecord {
            name: new.name,
            workflow_sid: new.workflow_sid,
            started_by: Some(new.started_by),
            prefill: new.prefill,
            prefill_only: new.prefill_only,
            budget: new.budget,
            forbids_replan: new.forbids_replan,
            deadline: new.timeout.map(|timeout| now.after_micros(micros(timeout))),
            python: new.python,
            working_dir: new.working_dir,
            final_callback: new.final_callback_url.map(FinalCallback::to),
            start_key: new.start_key,
            ..PlayRecord::new(self.new_sid(), version_sid, new.input, now)
        };
        // Accepted and launched in one commit: nobody could see the moment between.
        let transition = first_launch(&accepted, now)?;
        batch.writes.extend(writes_of(&transition));
        match &transition.play.start_key {
            None => self.commit_start(batch, &transition).await?,
            Some(StartKey { key, .. }) => self.commit_start_once(batch, &transition, key).await?,
        }
        Ok(transition.play)
    }

    /// Refuses new plays where they could not be carried.
    pub(crate) async fn check_takes_work(&self) -> Result<(), Error> {
        if *self.shared.is_stopping.borrow() {
            return Err(Error::Stopping);
        }
        Ok(self.shared.store.has_room().await?)
    }

    pub(crate) fn new_sid(&self) -> PlaySid {
        PlaySid::new(ulid::Ulid::generate().to_string().to_lowercase())
    }

    /// Answers a request; the only way in for people, webhooks, timers and services.
    ///
    /// One compare-and-set: of any number of callers one wins, the same answer again is told so, and
    /// another one is refused. When it returns `Ok` the answer is durable.
    ///
    /// # Errors
    /// No such play or request, another answer stands, the play has ended, or the payload does not
    /// fit the request's schema; nothing has changed.
    pub async fn answer(
        &self,
        play: &PlaySid,
        request: &ResumeId,
        payload: Json,
        by: Answerer,
    ) -> Result<Answered, Error> {
        self.answer_with(play, request, Outcome::Returned(payload), by).await
    }

    /// As [`Supervisor::answer`], by which the pause may also raise.
    pub(crate) async fn answer_with(
        &self,
        play: &PlaySid,
        request: &ResumeId,
        outcome: Outcome,
        by: Answerer,
    ) -> Result<Answered, Error> {
        let stored = || async {
            let found = self.shared.store.request(play, request).await?;
            found.ok_or_else(|| Error::NoSuchRequest {
                play: play.clone(),
                request: request.clone(),
            })
        };
        loop {
            // The play is read before its request: an answer given in between shows as a conflict.
            let record = self.record(play).await?;
            let event = Event::Answered {
                request: stored().await?,
                outcome: outcome.clone(),
                by: by.clone(),
            };
            match self.try_decide(&record, event).await {
                Err(Error::Store(hero_store::Error::Conflict { .. })) => {}
                Err(error) => return Err(error),
                Ok(decision) => {
                    let already = decision == Decision::NoChange;
                    let answer = stored().await?.answer.expect("an answer stands from here on");
                    return Ok(Answered { resumed_at: answer.resumed_at, already });
                }
            }
        }
    }

    /// Gives answers ahead, and answers the open requests that match them.
    ///
    /// # Errors
    /// The play does not exist or has ended, or an entry does not fit an open request that it
    /// matches; then nothing has changed.
    pub async fn prefill(
        &self,
        play: &PlaySid,
        entries: BTreeMap<String, Json>,
    ) -> Result<(), Error> {
        let requests = self.shared.store.requests(play).await?;
        let mut to_answer = Vec::new();
        let open =
            requests.into_iter().filter(|request| request.is_open() && request.takes_prefill());
        for request in open {
            if let Some((pattern, payload)) = prefill::find(&entries, &request.name) {
                hero_core::answer::check(request.schema.as_ref(), payload)
                    .map_err(hero_core::Refusal::from)?;
                to_answer.push((request.id, pattern.to_owned(), payload.clone()));
            }
        }
        self.decide(play, |_| Event::Prefilled { entries: entries.clone() }).await?;
        for (request, pattern, payload) in to_answer {
            match self.answer(play, &request, payload, Answerer::Prefill { pattern }).await {
                // Someone else was quicker, which is as good.
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends a play from outside; its processes get SIGTERM and after the grace SIGKILL.
    ///
    /// # Errors
    /// The play does not exist, or has ended otherwise.
    pub async fn cancel(&self, play: &PlaySid) -> Result<(), Error> {
        self.decide(play, |_| Event::CancelRequested).await.map(drop)
    }

    /// How many launches are under way.
    pub fn n_launches(&self) -> u32 {
        *self.shared.n_launches.borrow()
    }

    /// What launches are forked from.
    pub fn fork_servers(&self) -> Vec<ForkServerState> {
        self.shared.fork_servers.states()
    }

    /// Returns once no launch is under way.
    pub async fn idle(&self) {
        let mut n_launches = self.shared.n_launches.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = n_launches.wait_for(|&n| n == 0).await;
    }

    /// Takes no new work, lets each launch come to its next step boundary within the grace, then
    /// ends the rest. Plays that were interrupted stay `running` and are relaunched by the next
    /// [`Supervisor::recover`].
    pub async fn stop(&self) {
        self.shared.is_stopping.send_replace(true);
        self.idle().await;
        self.shared.launch_dirs.remove_free();
        // The task that listens there may outlive this handle for a moment.
        let _ = std::fs::remove_file(&self.shared.settings.span_socket);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<PlaySid, RunningLaunch>> {
        self.running.lock().expect("nobody panics while holding this lock")
    }

    fn is_running(&self, play: &PlaySid) -> bool {
        self.running().contains_key(play)
    }

    /// Asks the processes of a launch to end.
    pub(crate) fn kill(&self, play: &PlaySid, launch: LaunchNumber) {
        if let Some(running) = self.running().get(play).filter(|running| running.launch == launch) {
            running.kill.send_replace(true);
        }
    }

    /// Notes that a launch is under way, until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, play: &PlaySid, launch: LaunchNumber) -> Underway {
        let (kill, must_die) = watch::channel(false);
        self.running().insert(play.clone(), RunningLaunch { launch, kill });
        self.n_launches.send_modify(|n| *n += 1);
        Underway { shared: Arc::clone(self), play: play.clone(), launch, must_die }
    }
}

/// A launch that is under way. Dropped only after the effects of its end were performed, so that a
/// play that is relaunched never looks idle in between.
pub(crate) struct Underway {
    shared: Arc<Shared>,
    pub(crate) play: PlaySid,
    pub(crate) launch: LaunchNumber,
    /// Becomes true when the launch is to be ended.
    pub(crate) must_die: watch::Receiver<bool>,
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        if running.get(&self.play).is_some_and(|running| running.launch == self.launch) {
            running.remove(&self.play);
        }
        drop(running);
        self.shared.n_launches.send_modify(|n| *n -= 1);
    }
}
