//! Launches without the start of an interpreter.
//!
//! For each interpreter and version one process has imported what the flow's files import, and keeps
//! forks of itself ready (`pyhero._fork_server`). All of them wait on one socket; a launch is one
//! message on it, and whichever fork receives it becomes the process of the launch. The fork server
//! stays its parent, and tells how it ended.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hero_schema::VersionSid;
use hero_schema::rpc::ForkServerState;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::process::Pid;
use serde::Deserialize;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::sync::{OnceCell, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::spawner::Spawner;

/// How long a fork server may take to import what the files of its bundle import.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a fork server is kept that no launch asks for.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// The longest message of a fork server.
const MESSAGE_BYTES_MAX: usize = 4096;

/// What a fork server is for: one interpreter, as it is now, and one version.
type Key = (PathBuf, Option<FileState>, VersionSid);

/// What tells a file from one that has taken its place: device, inode, and when it was changed.
type FileState = (u64, u64, i64, i64);

/// A fork server, once it is known whether there can be one, and why not.
type Slot = Arc<OnceCell<Result<ForkServer, String>>>;

/// The fork servers of a supervisor.
#[derive(Default)]
pub(crate) struct ForkServers {
    servers: Mutex<HashMap<Key, Slot>>,
}

/// The surroundings of a launch.
pub(crate) struct ForkOrder<'a> {
    /// Its whole environment.
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    /// Its working directory.
    pub(crate) cwd: &'a Path,
}

impl ForkOrder<'_> {
    /// The order as a message: `cwd`, then `name=value` each, with zero bytes between, after the
    /// number in decimal. No text of the system holds a zero byte, and not all of it is UTF-8.
    fn message(&self, id: u64) -> Vec<u8> {
        let mut message = id.to_string().into_bytes();
        message.push(0);
        message.extend(self.cwd.as_os_str().as_bytes());
        for (name, value) in self.env {
            message.push(0);
            message.extend(name.as_bytes());
            message.push(b'=');
            message.extend(value.as_bytes());
        }
        message
    }
}

/// The process of a launch that was forked.
pub(crate) struct Forked {
    /// The process, the leader of a group of its own.
    pub(crate) pid: Pid,
    ended: oneshot::Receiver<ExitStatus>,
}

impl Forked {
    /// How the process ended, once it has. It counts as killed where its fork server has ended,
    /// because it ends with that.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        const KILLED: i32 = 9;
        (&mut self.ended).await.unwrap_or_else(|_| ExitStatus::from_raw(KILLED))
    }
}

impl ForkServers {
    /// Starts the process of a launch.
    ///
    /// None where it cannot be forked: what its files import starts threads, which do not survive a
    /// fork, or the fork server does not come up. It is to be spawned then.
    pub(crate) async fn launch(
        &self,
        (python, version): (&Path, &VersionSid),
        start: impl FnOnce() -> Command,
        spawner: &Spawner,
        order: &ForkOrder<'_>,
        output: [BorrowedFd<'_>; 2],
    ) -> Option<Forked> {
        let key = (python.to_owned(), state_of(python), version.clone());
        let slot = self.slot(&key);
        let server = slot.get_or_init(|| ForkServer::start(start(), spawner)).await;
        let server = server.as_ref().ok()?;
        match server.launch(order, output).await {
            Ok(forked) => Some(forked),
            Err(error) => {
                tracing::warn!(%version, %error, "fork server lost; spawning instead");
                self.forget(&key, &slot);
                None
            }
        }
    }

    /// Lets a fork server begin where there is none yet, for a launch that is about to be asked of it.
    pub(crate) async fn warm(
        &self,
        (python, version): (&Path, &VersionSid),
        command: Command,
        spawner: Spawner,
    ) {
        let slot = self.slot(&(python.to_owned(), state_of(python), version.clone()));
        if slot.initialized() {
            return;
        }
        tokio::spawn(async move {
            slot.get_or_init(|| ForkServer::start(command, &spawner)).await;
        });
        // The new task may have been given to this very thread.
        tokio::task::yield_now().await;
    }

    /// Those that are there, and what there are none for.
    pub(crate) fn states(&self) -> Vec<ForkServerState> {
        let servers = self.lock();
        let mut states: Vec<_> = servers.iter().filter_map(state).collect();
        states.sort_by(|a, b| (&a.python, &a.version_sid).cmp(&(&b.python, &b.version_sid)));
        states
    }

    fn slot(&self, key: &Key) -> Slot {
        let mut servers = self.lock();
        servers.retain(|_, slot| match slot.get() {
            Some(Ok(server)) => !server.waiting.lock().is_over,
            _ => true,
        });
        Arc::clone(servers.entry(key.clone()).or_default())
    }

    fn forget(&self, key: &Key, lost: &Slot) {
        let mut servers = self.lock();
        if servers.get(key).is_some_and(|slot| Arc::ptr_eq(slot, lost)) {
            servers.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.servers.lock().expect("nobody panics while holding this lock")
    }
}

/// None for one that begins or has ended.
fn state(((python, _, version), slot): (&Key, &Slot)) -> Option<ForkServerState> {
    let (pid, n_launches, reason) = match slot.get()? {
        Ok(server) if server.waiting.lock().is_over => return None,
        Ok(server) => (Some(server.pid), server.next_id.load(Ordering::Relaxed), None),
        Err(reason) => (None, 0, Some(reason.clone())),
    };
    let python = python.display().to_string();
    Some(ForkServerState { python, version_sid: version.clone(), pid, n_launches, reason })
}

/// None for an interpreter that is looked for on the `PATH`.
fn state_of(python: &Path) -> Option<FileState> {
    let found = fs::metadata(python).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec()))
}

/// One fork server. It ends with the supervisor, or when nothing was asked of it for long.
struct ForkServer {
    pid: u32,
    control: Arc<UnixDatagram>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
}

/// Who waits for news of a fork server.
struct Waiting(Mutex<Expected>);

struct Expected {
    is_over: bool,
    last_asked: Instant,
    launches: HashMap<u64, oneshot::Sender<Forked>>,
    running: HashMap<Pid, oneshot::Sender<ExitStatus>>,
}

/// What a fork server and its forks say.
#[derive(Deserialize)]
#[serde(untagged)]
enum News {
    Ready { ready: i32 },
    Unfit { unfit: String },
    Launched { launch: u64, pid: i32 },
    Ended { ended: i32, status: i32 },
}

impl ForkServer {
    /// Starts a fork server and returns once it has forks ready; why not, where it cannot have any.
    async fn start(mut command: Command, spawner: &Spawner) -> Result<Self, String> {
        match Self::try_start(&mut command, spawner).await {
            Ok(Ok(server)) => Ok(server),
            Ok(Err(unfit)) => {
                tracing::info!(reason = unfit, "launches of this version are spawned, not forked");
                Err(unfit)
            }
            Err(error) => {
                tracing::warn!(%error, "no fork server; launches of this version are spawned");
                Err(error.to_string())
            }
        }
    }

    async fn try_start(
        command: &mut Command,
        spawner: &Spawner,
    ) -> io::Result<Result<Self, String>> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // Sent and received on alike, and the type that the runtime can wait for.
        let control = Arc::new(UnixDatagram::from_std(ours.into())?);
        command.stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
        let command = std::mem::replace(command, Command::new(""));
        let (mut process, started) = spawner.spawn(command, None).await?;
        let pid = match timeout(READY_WITHIN, receive(&control)).await {
            Ok(Ok(Some(News::Ready { ready }))) => ready,
            Ok(Ok(Some(News::Unfit { unfit }))) => return Ok(Err(unfit)),
            Ok(Ok(_)) => return Err(io::Error::other("it ended while it began")),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::Error::other("it is not ready in time")),
        };
        tracing::info!(pid, "fork server ready");
        let waiting = Arc::new(Waiting::new());
        let (heard, told) = (Arc::clone(&control), Arc::clone(&waiting));
        tokio::spawn(async move {
            listen(&heard, &told).await;
            told.end();
            // It ends by that, and so do the forks that wait for a launch.
            let _ = heard.shutdown(Shutdown::Both);
            let _ = process.wait().await;
            drop(started);
        });
        Ok(Ok(Self { pid: pid.unsigned_abs(), control, waiting, next_id: AtomicU64::new(0) }))
    }

    async fn launch(
        &self,
        order: &ForkOrder<'_>,
        output: [BorrowedFd<'_>; 2],
    ) -> io::Result<Forked> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let launched = self.waiting.expect_launch(id)?;
        send(&self.control, &order.message(id), output).await?;
        launched.await.map_err(|_| io::Error::other("it ended before it forked"))
    }
}

impl Waiting {
    fn new() -> Self {
        Self(Mutex::new(Expected {
            is_over: false,
            last_asked: Instant::now(),
            launches: HashMap::new(),
            running: HashMap::new(),
        }))
    }

    /// When the fork server will have been idle for too long, should nothing be asked of it.
    fn idle_until(&self) -> Instant {
        let expected = self.lock();
        let is_used = !expected.running.is_empty() || !expected.launches.is_empty();
        match (is_used, expected.is_over) {
            (true, _) => Instant::now() + IDLE_MAX,
            (false, true) => Instant::now(),
            (false, false) => expected.last_asked + IDLE_MAX,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Expected> {
        self.0.lock().expect("nobody panics while holding this lock")
    }

    /// Whether it was idle for too long; if so nothing can be asked of it from now on.
    fn ends_idle(&self) -> bool {
        let is_idle = self.idle_until() <= Instant::now();
        let mut expected = self.lock();
        expected.is_over |= is_idle && expected.launches.is_empty();
        expected.is_over
    }

    fn expect_launch(&self, id: u64) -> io::Result<oneshot::Receiver<Forked>> {
        let mut expected = self.lock();
        if expected.is_over {
            return Err(io::Error::other("it has ended"));
        }
        expected.last_asked = Instant::now();
        let (sender, launched) = oneshot::channel();
        expected.launches.insert(id, sender);
        Ok(launched)
    }

    fn take(&self, news: News) {
        let mut expected = self.lock();
        match news {
            News::Launched { launch, pid } => {
                let (Some(pid), Some(sender)) =
                    (Pid::from_raw(pid), expected.launches.remove(&launch))
                else {
                    return;
                };
                let (ending, ended) = oneshot::channel();
                expected.running.insert(pid, ending);
                // Whoever asked may have gone away; its process is then ended as an orphan.
                let _ = sender.send(Forked { pid, ended });
            }
            News::Ended { ended, status } => {
                let pid = Pid::from_raw(ended);
                if let Some(ending) = pid.and_then(|pid| expected.running.remove(&pid)) {
                    let _ = ending.send(ExitStatus::from_raw(status));
                }
            }
            News::Unfit { unfit } => {
                tracing::warn!(reason = unfit, "fork server gives up");
                expected.is_over = true;
                expected.launches.clear();
            }
            News::Ready { .. } => {}
        }
    }

    /// Nothing is to be heard any more: whoever waits is told so by the end of the channel.
    fn end(&self) {
        let mut expected = self.lock();
        expected.is_over = true;
        expected.launches.clear();
        expected.running.clear();
    }
}

/// Takes news until the fork server has ended, or nothing was asked of it for too long.
async fn listen(control: &UnixDatagram, waiting: &Waiting) {
    loop {
        match timeout_at(waiting.idle_until(), receive(control)).await {
            Ok(Ok(Some(news))) => waiting.take(news),
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return tracing::warn!(%error, "fork server lost"),
            Err(_) if waiting.ends_idle() => return,
            Err(_) => {}
        }
    }
}

/// The next message; None at the end.
async fn receive(control: &UnixDatagram) -> io::Result<Option<News>> {
    let mut message = [0; MESSAGE_BYTES_MAX];
    match control.recv(&mut message).await? {
        0 => Ok(None),
        length => Ok(Some(serde_json::from_slice(&message[..length])?)),
    }
}

async fn send(
    control: &UnixDatagram,
    message: &[u8],
    output: [BorrowedFd<'_>; 2],
) -> io::Result<()> {
    control
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&output));
            let parts = [IoSlice::new(message)];
            sendmsg(control, &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
            Ok(())
        })
        .await
}
