//! Nothing outlives a launch.
//!
//! What a launch starts can leave its group, its session and its parent, but not this process: as a
//! *child subreaper* it becomes the parent of every descendant whose own parent ends. So a child
//! that was not started here is an orphan of some launch, and is ended with all its descendants as
//! soon as that launch has ended. Its environment tells which launch it was, or the name of its
//! process, which forks inherit; where it shows neither, it may be of any launch that ran when it
//! began.
//!
//! Orphans of an earlier supervisor, which was killed, are found by their environment alone.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use hero_schema::{LaunchNumber, PlaySid, env};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, set_child_subreaper, waitid,
};
use tokio::process::Child;
use tokio::sync::oneshot;

use crate::procfs::{self, Environ};

/// How long killed processes are waited for. Longer takes only what waits for a broken disk, or
/// what belongs to another user and cannot be killed.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// How often what is being ended is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How often dead orphans are reaped whose launch goes on.
const REAP_EVERY: Duration = Duration::from_secs(10);

/// What the name of the process of a launch begins with; the last characters of its play follow, as
/// many as there is room for.
const PROCESS_NAME: &str = "hero:";

/// A launch, as the environment of its processes tells it.
pub(crate) type LaunchId = (PlaySid, LaunchNumber);

/// What the supervisors of this process have under way. Locked while a process starts: one that is
/// not yet listed must not be taken for an orphan.
static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Registry {
    /// What was started here and has not been waited for.
    processes: HashSet<Pid>,
    /// The launches, each with its process once that is known.
    launches: HashMap<LaunchId, Option<Pid>>,
}

impl Registry {
    fn lock() -> MutexGuard<'static, Self> {
        REGISTRY.lock().expect("nobody panics while holding this lock")
    }

    /// Whether a launch may have begun before a moment.
    fn has_launch_before(&self, ticks: u64) -> bool {
        self.launches.values().any(|pid| match pid {
            Some(pid) => procfs::stat(*pid).is_some_and(|stat| stat.began_ticks <= ticks),
            None => true,
        })
    }
}

/// A process or a launch that is under way, until this is dropped. To be dropped once the process
/// was waited for.
pub(crate) struct Started {
    process: Option<Pid>,
    launch: Option<LaunchId>,
}

impl Started {
    /// Starts a process that is no orphan, of a launch or of none.
    ///
    /// # Errors
    /// As `spawn` does.
    pub(crate) fn by(
        launch: Option<LaunchId>,
        spawn: impl FnOnce() -> io::Result<Child>,
    ) -> io::Result<(Child, Self)> {
        let mut registry = Registry::lock();
        let child = spawn()?;
        let process = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        registry.processes.extend(process);
        registry.launches.extend(launch.clone().map(|launch| (launch, process)));
        Ok((child, Self { process, launch }))
    }

    /// A launch that a child of this process is about to fork.
    pub(crate) fn elsewhere(launch: LaunchId) -> Self {
        Registry::lock().launches.insert(launch.clone(), None);
        Self { process: None, launch: Some(launch) }
    }

    /// The process of a launch that was started elsewhere.
    pub(crate) fn is(&self, process: Pid) {
        if let Some(launch) = &self.launch {
            Registry::lock().launches.insert(launch.clone(), Some(process));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let mut registry = Registry::lock();
        if let Some(pid) = &self.process {
            registry.processes.remove(pid);
        }
        if let Some(launch) = &self.launch {
            registry.launches.remove(launch);
        }
    }
}

/// Ends what launches leave behind.
pub(crate) struct Orphans {
    /// Where the launches of this supervisor report, and those of an earlier one reported.
    span_socket: PathBuf,
    /// The children that this process had before, and those that cannot be killed.
    spared: Mutex<HashSet<Pid>>,
    orders: mpsc::Sender<oneshot::Sender<()>>,
}

impl Orphans {
    /// Makes this process the one to which orphans fall, and ends those of an earlier supervisor
    /// with the same span socket. The caller holds the data directory, so it is gone.
    pub(crate) fn adopt(span_socket: &Path) -> Arc<Self> {
        set_child_subreaper(Some(getpid())).expect("every Linux since 3.4 has subreapers");
        end_survivors(span_socket);
        let (orders, inbox) = mpsc::channel();
        let orphans = Arc::new(Self {
            span_socket: span_socket.to_owned(),
            spared: Mutex::new(procfs::all().filter(|&pid| has_child(pid)).collect()),
            orders,
        });
        let reaped = Arc::downgrade(&orphans);
        // A thread of its own: where a launch has taken all the room, no new one can be had.
        std::thread::Builder::new()
            .name("orphans".into())
            .spawn(move || work(&inbox, &reaped))
            .expect("the system has room for one more thread");
        orphans
    }

    /// Ends all that is left of launches that have ended, and returns once it is gone.
    pub(crate) async fn sweep(&self) {
        // Nearly always, and much quicker than a look at every process there is.
        if !procfs::may_have_inherited() || self.left_over().next().is_none() {
            return;
        }
        let (done, is_done) = oneshot::channel();
        self.orders.send(done).expect("the thread lives as long as this");
        let _ = is_done.await;
    }

    /// The orphans whose launch has ended. Reaps the dead ones, of whichever launch. Holds the locks
    /// while it is asked on.
    fn left_over(&self) -> impl Iterator<Item = Pid> {
        let registry = Registry::lock();
        let spared = self.spared();
        procfs::all().filter(move |&pid| {
            !registry.processes.contains(&pid)
                && !spared.contains(&pid)
                && matches!(reap(pid), Reaped::Living)
                && !self.belongs_to_one(pid, &registry)
        })
    }

    /// Whether an orphan may belong to a launch that has not ended.
    fn belongs_to_one(&self, orphan: Pid, registry: &Registry) -> bool {
        if let Some(launch) = self.launch_of(&Environ::settled(orphan)) {
            return registry.launches.contains_key(&launch);
        }
        let Some(stat) = procfs::stat(orphan) else { return true };
        if let Some(mark) = stat.name.strip_prefix(PROCESS_NAME) {
            return registry.launches.keys().any(|(play, _)| play.as_str().ends_with(mark));
        }
        // One that is being killed has nothing to show any more. It is waited for.
        !stat.is_ending
            // The first process of a machine or container inherits orphans from everywhere.
            && (getpid().is_init() || registry.has_launch_before(stat.began_ticks))
    }

    fn launch_of(&self, environ: &Environ) -> Option<LaunchId> {
        if environ.get(env::SPAN_SOCKET)? != self.span_socket.as_os_str().as_bytes() {
            return None;
        }
        let text = |name| std::str::from_utf8(environ.get(name)?).ok();
        let launch = LaunchNumber(text(env::LAUNCH)?.parse().ok()?);
        Some((PlaySid::new(text(env::PLAY_SID)?), launch))
    }

    /// Ends all that is left over, and what descends from it.
    fn end(&self) {
        let deadline = Instant::now() + ENDING_MAX;
        let mut n_killed = 0;
        loop {
            let left = self.stop_left_over(deadline);
            if left.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                tracing::error!(pids = ?left, "processes of ended launches cannot be killed");
                self.spared().extend(left);
                break;
            }
            n_killed += end_families(&left, deadline);
        }
        if n_killed > 0 {
            tracing::info!(n_killed, "processes that outlived their launch were killed");
        }
    }

    /// Stops all that is left over, each as soon as it is seen: it may be about to end and to leave
    /// another in its place.
    fn stop_left_over(&self, deadline: Instant) -> Vec<Pid> {
        let mut stopped = HashSet::new();
        loop {
            let n_before = stopped.len();
            for pid in self.left_over() {
                signal(pid, Signal::STOP);
                stopped.insert(pid);
            }
            if stopped.len() == n_before || Instant::now() > deadline {
                return Vec::from_iter(stopped);
            }
        }
    }

    fn spared(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.spared.lock().expect("nobody panics while holding this lock")
    }
}

/// What the thread does, until its supervisor is gone.
fn work(inbox: &mpsc::Receiver<oneshot::Sender<()>>, orphans: &Weak<Orphans>) {
    loop {
        let order = inbox.recv_timeout(REAP_EVERY);
        let Some(orphans) = orphans.upgrade() else { return };
        match order {
            Ok(done) => {
                orphans.end();
                // A launch that is not waited for any more asks nobody.
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) if has_dead_child() => {
                orphans.left_over().for_each(drop)
            }
            Err(_) => {}
        }
    }
}

/// Ends the processes of an earlier supervisor that are still there.
fn end_survivors(span_socket: &Path) {
    let deadline = Instant::now() + ENDING_MAX;
    loop {
        let survivors = procfs::reporting_to(span_socket);
        if survivors.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            return tracing::error!(pids = ?survivors, "processes of an earlier server stay alive");
        }
        let n_killed = end_families(&survivors, deadline);
        tracing::warn!(n_killed, pids = ?survivors, "processes of an earlier server were killed");
    }
}

/// Kills processes and all that descend from them, and waits until they are gone or the deadline has
/// passed; returns how many there were.
///
/// They are stopped first, so that none can start another while the others are being killed.
fn end_families(roots: &[Pid], deadline: Instant) -> usize {
    let mut stopped = Vec::new();
    let mut seen = HashSet::new();
    loop {
        let family = procfs::with_descendants(roots);
        let new: Vec<Pid> = family.into_iter().filter(|&pid| seen.insert(pid)).collect();
        if new.is_empty() || Instant::now() > deadline {
            break;
        }
        new.iter().for_each(|&pid| signal(pid, Signal::STOP));
        stopped.extend(new);
    }
    // Children first: a stopped group whose parent ends is woken up.
    stopped.iter().rev().for_each(|&pid| signal(pid, Signal::KILL));
    while !stopped.iter().all(|&pid| is_gone(pid)) && Instant::now() < deadline {
        std::thread::sleep(LOOK_AGAIN);
    }
    stopped.len()
}

fn signal(pid: Pid, signal: Signal) {
    // Fails only where the process is gone or belongs to another user.
    let _ = kill_process(pid, signal);
}

/// Whether a killed process has ended; reaps it where that is for this process to do.
fn is_gone(pid: Pid) -> bool {
    match reap(pid) {
        Reaped::Dead => true,
        Reaped::Living => false,
        Reaped::NoChild => procfs::stat(pid).is_none_or(|stat| stat.is_dead),
    }
}

enum Reaped {
    /// A child that had ended.
    Dead,
    /// A child that has not.
    Living,
    /// No child of this process.
    NoChild,
}

fn reap(pid: Pid) -> Reaped {
    match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(Some(_)) => Reaped::Dead,
        Ok(None) => Reaped::Living,
        Err(_) => Reaped::NoChild,
    }
}

const LOOK: WaitIdOptions =
    WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG).union(WaitIdOptions::NOWAIT);

fn has_child(pid: Pid) -> bool {
    waitid(WaitId::Pid(pid), LOOK).is_ok()
}

fn has_dead_child() -> bool {
    matches!(waitid(WaitId::All, LOOK), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::process::Command;

    use super::*;

    /// Each supervisor of a process takes what it does not know for an orphan, so a test has the
    /// process for itself.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    /// A process that left session, group and parent.
    const DAEMON: &str = "(setsid sleep 1000 >/dev/null & echo $!)\n";

    /// One that shows no environment as well.
    const BARE_DAEMON: &str = "(env -i $(which setsid) sleep 1000 >/dev/null & echo $!)\n";

    /// A shell that stands for a launch, and the pids that it printed.
    struct TestLaunch {
        shell: Child,
        started: Started,
        left: Vec<Pid>,
    }

    impl TestLaunch {
        async fn start(span_socket: &Path, name: &str, script: &str) -> Self {
            let mut command = Command::new("sh");
            command
                .args(["-c", &format!("{script}echo begun\nread until_the_end")])
                .env(env::SPAN_SOCKET, span_socket)
                .env(env::PLAY_SID, name)
                .env(env::LAUNCH, "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true);
            let launch = (PlaySid::new(name), LaunchNumber(1));
            let (mut shell, started) =
                Started::by(Some(launch), || command.spawn()).expect("there is a shell");
            let mut lines = BufReader::new(shell.stdout.take().expect("piped")).lines();
            let mut left = Vec::new();
            loop {
                let line = lines.next_line().await.expect("text").expect("it has not ended");
                if line == "begun" {
                    return Self { shell, started, left };
                }
                left.extend(Pid::from_raw(line.parse().expect("a pid")));
            }
        }

        async fn end(mut self) -> Vec<Pid> {
            drop(self.shell.stdin.take());
            self.shell.wait().await.expect("it can be waited for");
            drop(self.started);
            self.left
        }
    }

    fn n_there(pids: &[Pid]) -> usize {
        pids.iter().filter(|&&pid| procfs::stat(pid).is_some()).count()
    }

    #[tokio::test]
    async fn what_outlives_its_launch_is_ended_and_reaped_and_nothing_else() {
        let _alone = ALONE.lock().await;
        let socket = Path::new("/nowhere/one.sock");
        let orphans = Orphans::adopt(socket);
        let earlier = TestLaunch::start(socket, "goes on", DAEMON).await;
        let left = TestLaunch::start(socket, "ends", &DAEMON.repeat(5)).await.end().await;
        assert_eq!(left.len(), 5);
        orphans.sweep().await;
        assert_eq!((n_there(&left), n_there(&earlier.left)), (0, 1));
        let left = earlier.end().await;
        orphans.sweep().await;
        assert_eq!(n_there(&left), 0);
    }

    #[tokio::test]
    async fn what_hides_its_launch_goes_with_the_last_that_it_may_belong_to() {
        let _alone = ALONE.lock().await;
        let socket = Path::new("/nowhere/two.sock");
        let orphans = Orphans::adopt(socket);
        let earlier = TestLaunch::start(socket, "earlier", "").await;
        let launch = TestLaunch::start(socket, "hides", BARE_DAEMON).await;
        // Until then it still is the shell, or the program that hides it.
        let is_hidden = || procfs::stat(launch.left[0]).is_some_and(|stat| stat.name == "sleep");
        eventually(async || is_hidden()).await;
        let left = launch.end().await;
        orphans.sweep().await;
        assert_eq!(n_there(&left), 1);
        earlier.end().await;
        // Launches of other tests may run, and it may belong to them.
        eventually(async || {
            orphans.sweep().await;
            n_there(&left) == 0
        })
        .await;
    }

    #[tokio::test]
    async fn what_an_earlier_supervisor_left_is_ended_at_the_start() {
        let _alone = ALONE.lock().await;
        let socket = Path::new("/nowhere/three.sock");
        let launch = TestLaunch::start(socket, "killed", &DAEMON.repeat(2)).await;
        Orphans::adopt(socket);
        assert!(launch.left.iter().all(|&pid| procfs::stat(pid).is_none_or(|stat| stat.is_dead)));
    }

    async fn eventually(look: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !look().await {
            assert!(Instant::now() < deadline, "waited in vain");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
