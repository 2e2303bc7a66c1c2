//! Trying out a program: asking it for words, or starting it on an empty directory and looking at it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hero_rpc::Client;
use hero_rpc::paths::Paths;
use hero_schema::rpc::{Nothing, Stats};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::infocheck::Listening;
use crate::services::{ADMIN, SERVER};

/// For words that need no work.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// Longer than the grace that a server gives its launches.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// The longest temporary directory that leaves enough of a socket's path.
const ROOT_BYTES_MAX: usize = 60;

/// What the banner puts before each place that it listens at.
const LISTENS: &str = "  listens  ";

/// Makes what a program starts in: an empty directory, with that of the sockets in it, where the web UI
/// leaves its address whether a server runs or not.
fn place() -> std::io::Result<(TempDir, Paths)> {
    let usual = std::env::temp_dir();
    // The sockets are below it, and a socket's path is short.
    let root = if usual.as_os_str().len() > ROOT_BYTES_MAX { "/tmp".into() } else { usual };
    let dir = tempfile::Builder::new().prefix("hero_").tempdir_in(root)?;
    let paths = Paths::new(Some(dir.path().join("d")), Some(dir.path().join("s")));
    if let Some(sockets) = paths.rpc_socket().parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(sockets)?;
    }
    Ok((dir, paths))
}

/// What a program prints on standard output; an error continues "`--info` …".
pub(crate) async fn output(path: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = command(path);
    command.args(arguments).stderr(Stdio::null());
    let done = timeout(ANSWER_TIMEOUT, command.output()).await;
    let done = done.map_err(|_| format!("does not end within {} s", ANSWER_TIMEOUT.as_secs()))?;
    let done = done.map_err(|error| format!("cannot be asked for: {error}"))?;
    if !done.status.success() {
        return Err(format!("ends with {}", done.status));
    }
    String::from_utf8(done.stdout).map_err(|_| "prints what is no text".into())
}

/// Settings of this shell are not what is tried out.
fn command(path: &Path) -> Command {
    let mut command = Command::new(path);
    let is_setting = |name: &OsString| name.to_string_lossy().starts_with("HERO_");
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_setting) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A program that was started to be looked at; killed with this value.
pub(crate) struct Trial {
    program: &'static str,
    child: Child,
    paths: Paths,
    log: PathBuf,
    /// Gone with this value.
    _dir: TempDir,
}

/// Starts the server or the web UI, and returns once it is there.
pub(crate) async fn start(program: &'static str, path: &Path) -> Result<Trial, String> {
    let (dir, paths) =
        place().map_err(|error| format!("there is no directory to start it in: {error}"))?;
    let log = dir.path().join(format!("{program}.log"));
    let stderr = File::create(&log).map_err(|error| error.to_string())?;
    let mut command = command(path);
    command.arg("--data-dir").arg(&paths.data_dir);
    command.arg("--socket-dir").arg(&paths.socket_dir);
    if program == ADMIN {
        command.args(["--port", "0"]);
    }
    command.current_dir("/").stdout(Stdio::null()).stderr(stderr);
    let child = command.spawn().map_err(|error| error.to_string())?;
    let mut trial = Trial { program, child, paths, log, _dir: dir };
    let deadline = Instant::now() + START_TIMEOUT;
    while !trial.is_up().await {
        if let Ok(Some(status)) = trial.child.try_wait() {
            let banner = trial.banner();
            let told = banner.lines().find_map(|line| line.strip_prefix("error: "));
            return Err(told.map_or_else(|| status.to_string(), str::to_owned));
        }
        if Instant::now() > deadline {
            return Err(format!("it is not there after {} s", START_TIMEOUT.as_secs()));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(trial)
}

impl Trial {
    async fn is_up(&self) -> bool {
        match self.program {
            SERVER => Client::new(self.paths.rpc_socket()).health().await.is_ok(),
            _ => self.paths.admin_url_file().exists() && self.banner().contains("sign in"),
        }
    }

    /// What it has written to standard error so far.
    pub(crate) fn banner(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where the banner says that it listens.
    pub(crate) fn told(&self, banner: &str) -> BTreeSet<Listening> {
        let lines = banner.lines().filter_map(|line| line.strip_prefix(LISTENS));
        let places = lines.filter_map(|line| line.strip_suffix(')')?.split_once(" ("));
        let sockets = format!("{}/", self.paths.socket_dir.display());
        places
            .map(|(path, protocol)| {
                Listening::new(path.strip_prefix(&sockets).unwrap_or(path), protocol)
            })
            .collect()
    }

    /// The socket files that are there, below the socket directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let Some(dir) = self.paths.rpc_socket().parent().map(Path::to_owned) else {
            return Vec::new();
        };
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let sockets = entries.map(|entry| entry.path()).filter(|path| {
            path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket())
        });
        let below = |path: PathBuf| {
            path.strip_prefix(&self.paths.socket_dir).ok().map(|path| path.display().to_string())
        };
        sockets.filter_map(below).collect()
    }

    /// Speaks to it as declared; an error says what came instead.
    pub(crate) async fn speaks(&self, at: &Listening) -> Result<(), String> {
        let path = self.paths.socket_dir.join(&at.path);
        match at.protocol.as_str() {
            "JSON-RPC 2.0 over HTTP/1.1" => {
                let stats: Result<Stats, _> = Client::new(path).call("stats", &Nothing {}).await;
                stats.map(drop).map_err(|error| error.message)
            }
            // Only launches with a token are answered there.
            "hero frames 1, JSON lines" => {
                UnixStream::connect(path).await.map(drop).map_err(|error| error.to_string())
            }
            "HTTP/1.1" => match timeout(ANSWER_TIMEOUT, self.http()).await {
                Ok(answered) => answered.map_err(|error| error.to_string()),
                Err(_) => Err("no answer".into()),
            },
            other => Err(format!("nothing is known of the protocol `{other}`")),
        }
    }

    async fn http(&self) -> std::io::Result<()> {
        let url = std::fs::read_to_string(self.paths.admin_url_file())?;
        let address =
            url.trim().trim_start_matches("http://").split('/').next().unwrap_or_default();
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
        let mut answer = [0; 9];
        stream.read_exact(&mut answer).await?;
        if &answer == b"HTTP/1.1 " { Ok(()) } else { Err(std::io::Error::other("no HTTP/1.1")) }
    }

    /// Asks it to stop; an error says how it went on instead.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let Some(pid) = pid else { return Err("it ended by itself".into()) };
        kill_process(pid, Signal::TERM)
            .map_err(|error| format!("it cannot be stopped: {error}"))?;
        let status = match timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(status) => status.map_err(|error| error.to_string())?,
            Err(_) => {
                return Err(format!("it goes on for {} s after SIGTERM", STOP_TIMEOUT.as_secs()));
            }
        };
        if !status.success() {
            return Err(format!("it ends with {status} after SIGTERM"));
        }
        match self.files().first() {
            Some(left) => Err(format!("it leaves `{left}` behind when it is stopped")),
            None => Ok(()),
        }
    }
}
