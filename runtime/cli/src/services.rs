//! `--start`, `--stop` and `--status`: the server and the web UI as processes in the background.
//!
//! It starts processes that outlive this one, and ends them.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hero_rpc::Client;
use hero_rpc::health::Health;
use hero_rpc::paths::Paths;
use hero_schema::{ErrorKind, RpcError, exit};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Serialize;

use crate::commands::Context;
use crate::output::{Output, Stopped};

pub(crate) const SERVER: &str = "hero_logic_server";
pub(crate) const ADMIN: &str = "hero_logic_admin";

const ADMIN_PORT: u16 = 8899;

const START_TIMEOUT: Duration = Duration::from_secs(15);
/// Longer than the grace that a server gives its launches.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// What runs of one installation.
#[derive(Debug, Serialize)]
struct Status {
    server: Option<ServerStatus>,
    admin: Option<AdminStatus>,
}

#[derive(Debug, Serialize)]
struct ServerStatus {
    pid: u32,
    version: String,
    data_dir: String,
}

#[derive(Debug, Serialize)]
struct AdminStatus {
    pid: u32,
    /// Signs a browser in, once.
    url: String,
}

/// Starts what does not run yet.
pub(crate) async fn start(context: &Context) -> Result<i32, Stopped> {
    let services = Services::of(context);
    services.start().await?;
    services.report(&context.output).await?;
    Ok(exit::SUCCESS)
}

/// Stops what runs. Plays that are interrupted go on with the next server.
pub(crate) async fn stop(context: &Context) -> Result<i32, Stopped> {
    let services = Services::of(context);
    services.stop().await?;
    services.report(&context.output).await?;
    Ok(exit::SUCCESS)
}

/// Tells what runs; exits 1 where the server does not.
pub(crate) async fn status(context: &Context) -> Result<i32, Stopped> {
    let is_running = Services::of(context).report(&context.output).await?;
    Ok(if is_running { exit::SUCCESS } else { exit::FAILED })
}

fn words(status: &Status) -> String {
    let server = match &status.server {
        Some(server) => format!("server  running (pid {}) on {}", server.pid, server.data_dir),
        None => "server  not running".into(),
    };
    let admin = match &status.admin {
        Some(admin) => format!("web UI  running (pid {}) at {}", admin.pid, admin.url),
        None => "web UI  not running".into(),
    };
    format!("{server}\n{admin}")
}

struct Services {
    paths: Paths,
}

impl Services {
    fn of(context: &Context) -> Self {
        Self { paths: context.place.paths.clone() }
    }

    /// Prints what runs, and returns whether the server does.
    async fn report(&self, output: &Output) -> Result<bool, Stopped> {
        let status = self.status().await?;
        if output.is_json {
            output.print_json(&status)?;
        } else {
            output.print(&words(&status))?;
        }
        Ok(status.server.is_some())
    }

    async fn start(&self) -> Result<(), RpcError> {
        if self.server().await?.is_none() {
            let child = self.spawn(SERVER, &[])?;
            self.wait_for_server(child).await?;
        }
        // Without the web UI everything still works: it is optional, and so is its program.
        if self.admin().is_none() && find_program(ADMIN).is_ok() {
            let child = self.spawn(ADMIN, &["--port", &free_port().to_string()])?;
            self.remember_admin(child.id())?;
            self.wait_for_admin(child).await?;
        }
        Ok(())
    }

    async fn stop(&self) -> Result<(), RpcError> {
        // First the one that needs the other.
        if let Some(admin) = self.admin() {
            end(ADMIN, admin.pid).await?;
        }
        let _ = std::fs::remove_file(self.admin_pid_file());
        match self.server().await? {
            Some(server) => end(SERVER, server.pid).await,
            None => Ok(()),
        }
    }

    async fn status(&self) -> Result<Status, RpcError> {
        let server = match self.server().await {
            Err(error) if error.kind == ErrorKind::StoreInUse => None,
            server => server?,
        };
        let server = server.map(|health| ServerStatus {
            pid: health.pid,
            version: health.version,
            data_dir: health.data_dir,
        });
        Ok(Status { server, admin: self.admin() })
    }

    /// The server in the background. A command that carries plays answers on the same socket, and is
    /// none: it ends with its plays.
    async fn server(&self) -> Result<Option<Health>, RpcError> {
        let health = match Client::new(self.paths.rpc_socket()).health().await {
            Ok(health) => health,
            Err(error) if error.kind == ErrorKind::ServerUnreachable => return Ok(None),
            Err(error) => return Err(error),
        };
        match program_of(health.pid) {
            Some(program) if program != SERVER => {
                let message =
                    format!("`{program}` (pid {}) has the data directory in use", health.pid);
                Err(RpcError::new(ErrorKind::StoreInUse, message)
                    .hint("it carries plays and ends with them; try again afterwards"))
            }
            _ => Ok(Some(health)),
        }
    }

    fn admin(&self) -> Option<AdminStatus> {
        let pid: u32 = std::fs::read_to_string(self.admin_pid_file()).ok()?.trim().parse().ok()?;
        // The number may belong to another process by now.
        let is_ours = is_alive(pid) && program_of(pid).is_none_or(|program| program == ADMIN);
        let url = std::fs::read_to_string(self.paths.admin_url_file()).ok()?;
        is_ours.then(|| AdminStatus { pid, url: url.trim().to_owned() })
    }

    fn admin_pid_file(&self) -> PathBuf {
        self.paths.admin_url_file().with_extension("pid")
    }

    fn remember_admin(&self, pid: u32) -> Result<(), RpcError> {
        let file = self.admin_pid_file();
        File::create(&file)
            .and_then(|mut written| writeln!(written, "{pid}"))
            .map_err(|error| unusable("write", &file, &error))
    }

    /// Starts a program that outlives this one and writes to a log.
    fn spawn(&self, program: &str, arguments: &[&str]) -> Result<Child, RpcError> {
        let path = find_program(program)?;
        let log = self.log(program)?;
        let stdout =
            log.try_clone().map_err(|error| unusable("use", &self.log_file(program), &error))?;
        Command::new(&path)
            .arg("--data-dir")
            .arg(&self.paths.data_dir)
            .arg("--socket-dir")
            .arg(&self.paths.socket_dir)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(log)
            // Ctrl-C in this terminal is not meant for it.
            .process_group(0)
            .spawn()
            .map_err(|error| unusable("start", &path, &error))
    }

    fn log_file(&self, program: &str) -> PathBuf {
        self.paths.log_dir().join(format!("{program}.log"))
    }

    fn log(&self, program: &str) -> Result<File, RpcError> {
        let dir = self.paths.log_dir();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|error| unusable("create", &dir, &error))?;
        let file = self.log_file(program);
        // From its start on: what an earlier process wrote explains nothing about this one.
        let opened =
            File::options().create(true).write(true).truncate(true).mode(0o600).open(&file);
        opened.map_err(|error| unusable("open", &file, &error))
    }

    async fn wait_for_server(&self, mut child: Child) -> Result<(), RpcError> {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.server().await?.is_none() {
            self.still_starting(SERVER, &mut child, deadline)?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn wait_for_admin(&self, mut child: Child) -> Result<(), RpcError> {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.admin().is_none() {
            self.still_starting(ADMIN, &mut child, deadline)?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// An error once the program has ended or has had its time.
    fn still_starting(
        &self,
        program: &str,
        child: &mut Child,
        deadline: Instant,
    ) -> Result<(), RpcError> {
        let why = match child.try_wait() {
            Ok(Some(status)) => self.last_words(program).unwrap_or_else(|| status.to_string()),
            _ if Instant::now() > deadline => {
                format!("it does not answer after {} s", START_TIMEOUT.as_secs())
            }
            _ => return Ok(()),
        };
        let message = format!("failed to start `{program}`: {why}");
        Err(RpcError::new(ErrorKind::ServerUnreachable, message)
            .hint(format!("its log is `{}`", self.log_file(program).display())))
    }

    fn last_words(&self, program: &str) -> Option<String> {
        let log = std::fs::read_to_string(self.log_file(program)).ok()?;
        log.lines().rev().find_map(|line| line.strip_prefix("error: ")).map(str::to_owned)
    }
}

/// Asks a process to stop and waits until it has.
async fn end(program: &str, pid: u32) -> Result<(), RpcError> {
    let cannot_stop = |why: &str| {
        let message = format!("failed to stop `{program}` (pid {pid}): {why}");
        RpcError::new(ErrorKind::Internal, message).hint(format!("end it with `kill -9 {pid}`"))
    };
    let Some(process) = pid_of(pid) else { return Ok(()) };
    match kill_process(process, Signal::TERM) {
        Ok(()) => {}
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(cannot_stop(&error.to_string())),
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    while is_alive(pid) {
        if Instant::now() > deadline {
            return Err(cannot_stop(&format!("it still runs after {} s", STOP_TIMEOUT.as_secs())));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Whether the process exists and does not merely wait for its parent to notice its end.
fn is_alive(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) if Path::new("/proc/self/stat").exists() => false,
        Err(_) => pid_of(pid).is_some_and(|process| test_kill_process(process).is_ok()),
    }
}

/// Whether a process is a server that outlives the commands that use it.
pub(crate) fn is_in_background(pid: u32) -> bool {
    program_of(pid).is_some_and(|program| program == SERVER)
}

/// The program that a process runs; None where the system does not tell.
fn program_of(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.to_str()?;
    // What the system adds when the file has been replaced since.
    Some(name.trim_end_matches(" (deleted)").to_owned())
}

/// The program beside this one, as an installation has it, else the one on the PATH.
pub(crate) fn find_program(program: &str) -> Result<PathBuf, RpcError> {
    let beside = std::env::current_exe().ok().and_then(|this| Some(this.parent()?.to_owned()));
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = beside.into_iter().chain(std::env::split_paths(&search_path));
    dirs.map(|dir| dir.join(program)).find(|path| path.is_file()).ok_or_else(|| {
        let message = format!("there is no `{program}` beside `hero_logic` or on the PATH");
        RpcError::new(ErrorKind::FileUnreadable, message)
            .hint("install the package again: its three programs belong together")
    })
}

/// The usual port of the web UI, or 0 for any where another program has it.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, ADMIN_PORT)).map_or(0, |_| ADMIN_PORT)
}

fn unusable(what: &str, path: &Path, error: &std::io::Error) -> RpcError {
    let message = format!("failed to {what} `{}`: {error}", path.display());
    RpcError::new(ErrorKind::FileUnreadable, message)
        .hint("check the owner, the mode and the free space of its directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_that_cannot_be_is_not() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX) && pid_of(u32::MAX).is_none());
    }

    #[test]
    fn the_words_say_what_runs_and_where() {
        let server = ServerStatus { pid: 7, version: "0.1.0".into(), data_dir: "/data".into() };
        let told = words(&Status { server: Some(server), admin: None });
        assert_eq!(told, "server  running (pid 7) on /data\nweb UI  not running");
    }
}
