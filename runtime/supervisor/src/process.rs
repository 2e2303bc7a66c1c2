//! The process of a launch: forked where that is possible, spawned where it is not.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ExitStatus, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use crate::fork_server::Forked;
use crate::orphans::Started;

/// A process that runs or has just ended.
pub(crate) enum Process {
    /// An interpreter of its own.
    Spawned { child: Child, _started: Started },
    /// A fork of one that has imported what it needs.
    Forked { forked: Forked, _started: Started },
}

impl Process {
    /// The group that it leads; None once it was waited for.
    pub(crate) fn group(&self) -> Option<Pid> {
        match self {
            Self::Spawned { child, .. } => {
                child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
            }
            Self::Forked { forked, .. } => Some(forked.pid),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The end cannot be observed.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Spawned { child, .. } => child.wait().await,
            Self::Forked { forked, .. } => Ok(forked.wait().await),
        }
    }
}

/// What a process prints, to be read.
pub(crate) struct Output {
    pub(crate) stdout: Receiver,
    pub(crate) stderr: Receiver,
}

/// Where a process prints to, to be handed to it.
pub(crate) struct Pipes {
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Pipes {
    /// Both ends.
    ///
    /// # Errors
    /// Too many files are open.
    pub(crate) fn new() -> io::Result<(Self, Output)> {
        let (reading_out, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (reading_err, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let output = Output {
            stdout: Receiver::from_owned_fd(reading_out)?,
            stderr: Receiver::from_owned_fd(reading_err)?,
        };
        Ok((Self { stdout, stderr }, output))
    }

    /// Standard output and standard error, for a fork.
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.stdout.as_fd(), self.stderr.as_fd()]
    }

    /// Makes a command print here, and read nothing.
    pub(crate) fn lead_from(self, command: &mut Command) {
        command.stdin(Stdio::null()).stdout(self.stdout).stderr(self.stderr);
    }
}
