//! One launch, from its files to the end of its process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use hero_core::{Decision, Event, Exit, LaunchEnd, Spent};
use hero_schema::child::{LaunchOrder, Plans};
use hero_schema::{
    LeftOver, LogLevel, LogStream, PlayRecord, PlaySid, ResumeRequest, SpanStatus, StepKey, Usage,
    WorkflowVersion, env, exit,
};
use hero_store::{PageQuery, Store};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::join;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::cause::{self, MemoryKills};
use crate::decide::IsStored;
use crate::environment::{self, Declared};
use crate::fork_server::ForkOrder;
use crate::launch_dir::LaunchDir;
use crate::memory::Memory;
use crate::orphans::Started;
use crate::output::LogBook;
use crate::process::{Output, Pipes, Process};
use crate::recorder::{Bound, Recorder, not_asked_for};
use crate::span_socket::Expectation;
use crate::supervisor::{Shared, Supervisor, Underway};
use crate::{Error, bundle, interpreter};

/// How long what a process left in its pipes and its socket is read once it is gone. Only a
/// descendant that cannot be killed holds them open that long.
const DRAIN: Duration = Duration::from_secs(2);

/// How long a launch is tried for that the machine has no room for, and how often.
const ROOM_WITHIN: Duration = Duration::from_secs(60);
const LOOK_FOR_ROOM: Duration = Duration::from_millis(250);

/// Carries a launch to its end and decides what that means for the play. One that goes ahead of what it
/// follows from lets its process in once that is stored, and is as if it had never been where it is not.
pub(crate) async fn run(
    supervisor: Supervisor,
    play: PlayRecord,
    underway: Underway,
    is_stored: Option<IsStored>,
) {
    let Ok(_slot) = supervisor.shared.process_slots.acquire().await else { return };
    if *supervisor.shared.is_stopping.borrow() {
        return;
    }
    let (sid, launch) = (underway.play.clone(), underway.launch);
    if is_stored.is_none() && is_over_budget(&supervisor, &play).await {
        return;
    }
    let begun = begin(&supervisor, &play, &underway).await;
    if let Some(is_stored) = is_stored
        && is_stored.await.is_err()
    {
        return give_up(&supervisor, begun).await;
    }
    let end = match begun {
        Ok(Some((launch, process))) => launch.run(process, &underway).await,
        Ok(None) => not_started("it was ended before its process began".into()),
        Err(error) => not_started(error.to_string()),
    };
    tracing::info!(play = %sid, %launch, exit = ?end.exit, "launch ended");
    if was_interrupted(&supervisor, &end) {
        return;
    }
    let event = || Event::LaunchEnded { launch, end: end.clone() };
    match supervisor.decide(&sid, |_| event()).await {
        Ok(Decision::Change(transition)) if !transition.play.status.is_ended() => {}
        Ok(_) => {
            supervisor.shared.log_sizes.forget(&sid);
            supervisor.shared.memories.forget(&sid);
        }
        Err(error) => tracing::error!(play = %sid, %launch, %error, "end of launch not stored"),
    }
    drop(underway);
}

/// Fails a play that has spent more than its budget, where the supervisor died before it could.
async fn is_over_budget(supervisor: &Supervisor, play: &PlayRecord) -> bool {
    if play.budget.is_none() {
        return false;
    }
    let Ok(of_outcomes) = supervisor.shared.store.spent(&play.sid).await else { return false };
    let total = play.spent_in_steps(of_outcomes);
    supervisor.stops_at(Bound { play: play.sid.clone(), launch: play.launch, total }).await
}

/// Writes the files of a launch and starts its process; again and again for a while, where the
/// machine has no room for it just now. None where it is to be ended already.
async fn begin<'a>(
    supervisor: &'a Supervisor,
    play: &PlayRecord,
    underway: &Underway,
) -> Result<Option<(Launch<'a>, Begun<'a>)>, Error> {
    let deadline = Instant::now() + ROOM_WITHIN;
    let mut is_told = false;
    loop {
        let begun = async {
            let (launch, memory) = Launch::prepare(supervisor, play.clone()).await?;
            let process = launch.spawn(memory).await?;
            Ok((launch, process))
        };
        if *underway.must_die.borrow() || *supervisor.shared.is_stopping.borrow() {
            return Ok(None);
        }
        match begun.await {
            Err(error) if is_for_lack_of_room(&error) && Instant::now() < deadline => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(play = %play.sid, %error, "launch waits for room");
                }
                let _ = timeout(LOOK_FOR_ROOM, becomes_true(underway.must_die.clone())).await;
            }
            other => return other.map(Some),
        }
    }
}

/// Ends a process that was not let in.
async fn give_up(supervisor: &Supervisor, begun: Result<Option<(Launch<'_>, Begun<'_>)>, Error>) {
    if let Ok(Some((_launch, Begun { mut process, .. }))) = begun {
        signal(process.group(), Signal::KILL);
        let _ = process.wait().await;
        drop(process);
        supervisor.shared.orphans.sweep().await;
    }
}

/// What a launch is to do at its plans.
fn plans_of(version: &WorkflowVersion, may_plan: bool) -> Option<Plans> {
    let saved = version.saved.iter().flat_map(|saved| &saved.plans);
    let frozen = saved.map(|(place, plan)| (place.clone(), plan.output.clone())).collect();
    (!version.signature.plans.is_empty()).then_some(Plans { frozen, may_plan })
}

/// Whether an error passes when others give back what they use: processes, files, memory, disk.
fn is_for_lack_of_room(error: &Error) -> bool {
    let Error::File { source, .. } = error else { return false };
    matches!(
        Errno::from_io_error(source),
        Some(
            Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::DQUOT
        )
    )
}

/// Whether the launch ended only because the supervisor is stopping; the play is then left `running`
/// for the next supervisor.
fn was_interrupted(supervisor: &Supervisor, end: &LaunchEnd) -> bool {
    *supervisor.shared.is_stopping.borrow() && !is_of_the_contract(&end.exit)
}

/// Whether a launch that goes as it should can end so.
fn is_of_the_contract(exit: &Exit) -> bool {
    matches!(exit, Exit::Code(exit::SUCCESS | exit::FAILED | exit::USAGE | exit::PAUSED))
}

/// The end of a launch that has no process to tell of it.
pub(crate) fn not_started(reason: String) -> LaunchEnd {
    LaunchEnd {
        exit: Exit::NotStarted(reason),
        result: None,
        has_progressed: false,
        was_timed_out: false,
        left_over: Vec::new(),
        open_span: None,
        last_words: String::new(),
        spent: Spent::default(),
    }
}

/// A launch whose files are written.
struct Launch<'a> {
    supervisor: &'a Supervisor,
    play: PlayRecord,
    python: PathBuf,
    /// What it gets of the environment because its flow declares it.
    declared: Vec<(String, OsString)>,
    /// Why it does not get the rest of that.
    withheld: Vec<String>,
    order: LaunchOrder,
    files: Files,
    log: LogBook,
    /// What the play has spent in steps so far, where it has a budget.
    bounded_after: Option<Usage>,
}

/// A launch whose process has begun.
struct Begun<'a> {
    process: Process,
    memory: Memory,
    output: Output,
    /// Its connection to the span socket.
    expectation: Expectation<'a>,
    /// What the system had killed before it began.
    killed_before: MemoryKills,
}

struct Files {
    order: PathBuf,
    steps: Option<PathBuf>,
    resumes: Option<PathBuf>,
    working_dir: PathBuf,
    /// Removes the directory at the end of the launch.
    _dir: LaunchDir,
}

impl<'a> Launch<'a> {
    async fn prepare(
        supervisor: &'a Supervisor,
        play: PlayRecord,
    ) -> Result<(Self, Memory), Error> {
        let shared = &supervisor.shared;
        let version = supervisor.version(&play.version_sid).await?;
        let settings = &shared.settings;
        let bundle_dir = bundle::unpack(&settings.bundles_dir, &version)?;
        let named = play.python.as_deref().map(Path::new);
        let python = interpreter::choose(named, settings.python.as_deref());
        if !settings.spawns_launches {
            // Its interpreter starts while the memory is read.
            let key = (python.as_path(), &play.version_sid);
            let start = fork_server(shared, &python, &bundle_dir);
            shared.fork_servers.warm(key, start, shared.spawner.clone()).await;
        }
        let (memory, compensations) = shared.memories.of(shared.store.as_ref(), &play.sid).await?;
        let mut requests = shared.store.requests(&play.sid).await?;
        // What was carried over is an answer only once the same is asked.
        requests.retain(|request| !request.is_carried);
        let dir = shared.launch_dirs.take()?;
        let order = LaunchOrder {
            token: ulid::Ulid::generate().to_string(),
            bundle_dir: bundle_dir.to_string_lossy().into_owned(),
            entry: version.bundle.entry.clone(),
            flow: version.bundle.flow.clone(),
            inputs: play.input.clone(),
            idempotency_sid: play.idempotency_sid.clone().unwrap_or_else(|| play.sid.clone()),
            version_sid: play.key_version_sid.is_some().then(|| play.version_sid.clone()),
            compensations,
            plans: plans_of(&version, !play.forbids_replan),
        };
        let bounded_after = match &play.budget {
            Some(_) => Some(play.spent_in_steps(shared.store.spent(&play.sid).await?)),
            None => None,
        };
        let files = write_files(dir, &play, &order, &memory, &requests)?;
        let log =
            LogBook::new(shared.store.clone(), &shared.log_sizes, play.sid.clone(), play.launch);
        let Declared { granted: declared, withheld } =
            environment::declared(&version.signature.env);
        Ok((
            Self { supervisor, play, python, declared, withheld, order, files, log, bounded_after },
            memory,
        ))
    }

    async fn spawn(&self, memory: Memory) -> Result<Begun<'a>, Error> {
        let shared = &self.supervisor.shared;
        let (sid, launch) = (&self.play.sid, self.play.launch);
        let expectation = shared.span_socket.expect(&self.order.token, sid, launch);
        // Counted while the process begins.
        let (started, killed_before) = join!(self.start(), async { MemoryKills::until_now() });
        let (process, output) = started.map_err(Error::file("start", &self.python))?;
        Ok(Begun { process, memory, output, expectation, killed_before })
    }

    async fn run(self, begun: Begun<'a>, underway: &Underway) -> LaunchEnd {
        let shared = &self.supervisor.shared;
        let (sid, launch) = (&self.play.sid, self.play.launch);
        let Begun { mut process, memory, output, mut expectation, killed_before } = begun;
        tracing::info!(play = %sid, %launch, pid = ?process.group(), "process started");
        self.tell_what_is_withheld().await;
        let printed = tokio::spawn(self.log.clone().pump(LogStream::Stdout, output.stdout));
        let last_words = tokio::spawn(self.log.clone().pump(LogStream::Stderr, output.stderr));

        let mut recorder = Recorder::new(
            self.supervisor.clone(),
            sid.clone(),
            launch,
            self.log.clone(),
            memory,
            self.bounded_after,
        );
        let is_gone = watch::Sender::new(false);
        let conversation = async {
            tokio::select! {
                biased;
                connection = expectation.connection() => recorder.converse(connection).await,
                () = becomes_true(is_gone.subscribe()) => {}
            }
        };
        let process = async {
            let end = self.wait(&mut process, underway, killed_before).await;
            drop(process);
            // Whatever it started and left behind goes with it.
            shared.orphans.sweep().await;
            is_gone.send_replace(true);
            end
        };
        let (end, drained) = join_within_drain(process, conversation).await;
        let _ = within(drained, printed).await;
        let last_words = within(drained, last_words).await.unwrap_or_default();
        self.close(recorder, end, last_words).await
    }

    /// Once a play, at the beginning of its log.
    async fn tell_what_is_withheld(&self) {
        let store = self.supervisor.shared.store.as_ref();
        if !self.withheld.is_empty() && is_first_said(store, &self.play.sid).await {
            self.withheld.iter().for_each(|why| self.log.note(LogLevel::Warning, why));
        }
    }

    /// Waits for the process, and ends it when it must die or the supervisor has stopped.
    async fn wait(
        &self,
        process: &mut Process,
        underway: &Underway,
        killed_before: MemoryKills,
    ) -> ProcessEnd {
        let shared = &self.supervisor.shared;
        let grace = shared.settings.grace;
        let group = process.group();
        let stopped = async {
            becomes_true(shared.is_stopping.subscribe()).await;
            tokio::time::sleep(grace).await;
        };
        let ended = tokio::select! {
            status = process.wait() => Some(status),
            () = becomes_true(underway.must_die.clone()) => None,
            () = stopped => None,
        };
        let is_asked_for = ended.is_none();
        let status = match ended {
            Some(status) => status,
            None => terminate(process, group, grace).await,
        };
        signal(group, Signal::KILL);
        let exit = match status {
            Ok(status) if is_asked_for => cause::exit(status),
            Ok(status) => cause::of_its_own(status, killed_before),
            Err(error) => Exit::NotStarted(format!("its end cannot be observed: {error}")),
        };
        ProcessEnd { exit, is_asked_for }
    }

    async fn close(self, recorder: Recorder, end: ProcessEnd, last_words: String) -> LaunchEnd {
        let ProcessEnd { exit, is_asked_for } = end;
        let is_reported = exit == Exit::Code(exit::PAUSED)
            || (is_of_the_contract(&exit) && recorder.has_result());
        let death = (!is_asked_for && !is_reported).then(|| exit.as_raised(&last_words));
        if is_asked_for {
            self.log
                .note(LogLevel::Info, format!("ended on request: the process {}", exit.cause()));
        } else if let Some(death) = &death {
            self.log.note(LogLevel::Error, death.message.clone());
        }
        let open_status = match &exit {
            Exit::Code(exit::PAUSED) => SpanStatus::Paused,
            _ if is_asked_for => SpanStatus::Cancelled,
            _ => SpanStatus::Failed,
        };
        let recorded = recorder.finish(open_status, death.as_ref());
        if let Some(memory) = recorded.memory {
            self.supervisor.shared.memories.keep(&self.play.sid, memory);
        }
        let spent = Spent {
            of_outcomes: self.supervisor.shared.store.spent(&self.play.sid).await.ok(),
            in_vain: recorded.spent_in_vain,
            of_the_rest: recorded.spent_around,
        };
        let left_over = self.left_over(not_asked_for(recorded.result.as_ref())).await;
        let has_progressed = recorded.has_asked_anew
            || recorded.was_timed_out
            || self.has_stored(&recorded.stored_steps).await;
        LaunchEnd {
            exit,
            result: recorded.result,
            has_progressed,
            was_timed_out: recorded.was_timed_out,
            left_over,
            open_span: recorded.open_span,
            last_words,
            spent,
        }
    }

    /// Names the remembered steps that the launch did not ask for.
    async fn left_over(&self, not_asked_for: &[StepKey]) -> Vec<LeftOver> {
        let mut left_over = Vec::new();
        for key in not_asked_for {
            // What cannot be read is named by whoever needs it.
            if let Ok(Some(step)) = self.supervisor.shared.store.outcome(&self.play.sid, key).await
            {
                left_over.push(LeftOver { name: step.name, parent_path: step.parent_path });
            }
        }
        left_over
    }

    /// Whether one of these outcomes is this launch's: the first that is stored of a step stands.
    async fn has_stored(&self, steps: &[StepKey]) -> bool {
        for key in steps {
            let stored = self.supervisor.shared.store.outcome(&self.play.sid, key).await;
            if matches!(stored, Ok(Some(step)) if step.launch == self.play.launch) {
                return true;
            }
        }
        false
    }

    /// Starts the process: a fork of one that has imported everything, or an interpreter of its own.
    async fn start(&self) -> std::io::Result<(Process, Output)> {
        let shared = &self.supervisor.shared;
        let (pipes, output) = Pipes::new()?;
        let env = self.environment();
        let cwd = &self.files.working_dir;
        let launch = (self.play.sid.clone(), self.play.launch);
        if !shared.settings.spawns_launches {
            let key = (self.python.as_path(), &self.play.version_sid);
            let start = || fork_server(shared, &self.python, Path::new(&self.order.bundle_dir));
            let order = ForkOrder { env: &env, cwd };
            let _started = Started::elsewhere(launch.clone());
            let forked =
                shared.fork_servers.launch(key, start, &shared.spawner, &order, pipes.as_fds());
            if let Some(forked) = forked.await {
                _started.is(forked.pid);
                return Ok((Process::Forked { forked, _started }, output));
            }
        }
        let mut command = python_module(&self.python, "pyhero._child");
        command.envs(&env).current_dir(cwd).process_group(0);
        pipes.lead_from(&mut command);
        let (child, _started) = shared.spawner.spawn(command, Some(launch)).await?;
        Ok((Process::Spawned { child, _started }, output))
    }

    /// Everything that the process finds in its environment.
    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let settings = &self.supervisor.shared.settings;
        let mut environment = BTreeMap::from_iter(common_environment());
        environment.extend(self.declared.iter().map(|(name, value)| (name.into(), value.clone())));
        let contract: [(&str, OsString); 6] = [
            (env::PLAY_SID, self.play.sid.as_str().into()),
            (env::LAUNCH, self.play.launch.to_string().into()),
            (env::WORKFLOW_VERSION_SID, self.play.key_version().as_str().into()),
            (env::SPAN_SOCKET, settings.span_socket.clone().into()),
            (env::RPC_SOCKET, settings.rpc_socket.clone().into()),
            (env::INPUT_FILE, self.files.order.clone().into()),
        ];
        let memory = [
            (env::REPLAY_STEP_OUTPUTS_FILE, &self.files.steps),
            (env::REPLAY_RESUMES_FILE, &self.files.resumes),
        ];
        let memory = memory.map(|(name, file)| Some((name, file.clone()?.into_os_string())));
        let contract = contract.into_iter().chain(memory.into_iter().flatten());
        environment.extend(contract.map(|(name, value)| (name.into(), value)));
        environment
    }
}

/// The process that launches of a version are forked from.
fn fork_server(shared: &Shared, python: &Path, bundle_dir: &Path) -> Command {
    let mut command = python_module(python, "pyhero._fork_server");
    command.arg(bundle_dir);
    // By this it is known to be of this supervisor, should it outlive it.
    command.envs(common_environment()).env(env::SPAN_SOCKET, &shared.settings.span_socket);
    command
}

fn python_module(python: &Path, module: &str) -> Command {
    let mut command = Command::new(python);
    // A process that dies inside of C leaves its Python stack on standard error.
    command.args(["-X", "faulthandler", "-m", module]);
    command.env_clear().kill_on_drop(true);
    command
}

/// What the processes of launches find in their environment, whichever launch they are.
fn common_environment() -> impl Iterator<Item = (OsString, OsString)> {
    environment::of_interpreters().chain([("PYTHONUNBUFFERED".into(), "1".into())])
}

/// Whether nothing stands in the log of a play yet. What is said there once is said first.
async fn is_first_said(store: &dyn Store, play: &PlaySid) -> bool {
    let page = PageQuery { limit: 1, ..PageQuery::default() };
    store.logs(play, page).await.is_ok_and(|page| page.items.is_empty())
}

fn write_files(
    dir: LaunchDir,
    play: &PlayRecord,
    order: &LaunchOrder,
    memory: &Memory,
    requests: &[ResumeRequest],
) -> Result<Files, Error> {
    let working_dir = match play.working_dir.as_ref().map(PathBuf::from).filter(|dir| dir.is_dir())
    {
        Some(dir) => dir,
        None => dir.work_dir(),
    };
    Ok(Files {
        order: dir.write_order(order)?,
        steps: memory.path().map(Path::to_owned),
        resumes: dir.write_resumes(requests)?,
        working_dir,
        _dir: dir,
    })
}

/// How a process ended, and whether because this supervisor wanted it to.
struct ProcessEnd {
    exit: Exit,
    is_asked_for: bool,
}

/// Waits for the process, and then for what it said last; returns until when its pipes are read.
async fn join_within_drain(
    process: impl Future<Output = ProcessEnd>,
    conversation: impl Future<Output = ()>,
) -> (ProcessEnd, Instant) {
    tokio::pin!(process, conversation);
    tokio::select! {
        end = &mut process => {
            let drained = Instant::now() + DRAIN;
            let _ = timeout_at(drained, conversation).await;
            (end, drained)
        }
        () = &mut conversation => (process.await, Instant::now() + DRAIN),
    }
}

/// What a task came to; None where it has to be given up.
async fn within<T>(deadline: Instant, mut task: JoinHandle<T>) -> Option<T> {
    let done = timeout_at(deadline, &mut task).await;
    task.abort();
    done.ok()?.ok()
}

/// Returns once the flag is set; never where nobody is left to set it.
async fn becomes_true(mut flag: watch::Receiver<bool>) {
    if flag.wait_for(|&is_set| is_set).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// SIGTERM, and after the grace SIGKILL, for the whole process group.
async fn terminate(
    process: &mut Process,
    group: Option<Pid>,
    grace: Duration,
) -> std::io::Result<ExitStatus> {
    signal(group, Signal::TERM);
    // What is stopped would not hear it.
    signal(group, Signal::CONT);
    match timeout(grace, process.wait()).await {
        Ok(status) => status,
        Err(_) => {
            signal(group, Signal::KILL);
            process.wait().await
        }
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // Fails only where no process of the group is left, which is the aim.
        let _ = kill_process_group(group, signal);
    }
}
