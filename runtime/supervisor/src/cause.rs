//! Why a process ended, as far as the system tells.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::OnceLock;

use hero_core::Exit;
use rustix::process::Signal;

/// How often the system had killed a process for lack of memory when this was taken.
///
/// Counted are those of the control group that this process is in, else those of the whole machine:
/// a process that is killed by hand just then may be taken for one of them.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct MemoryKills(u64);

impl MemoryKills {
    /// Counts them; none where the system does not tell.
    pub(crate) fn until_now() -> Self {
        static COUNTER: OnceLock<PathBuf> = OnceLock::new();
        let counter = COUNTER.get_or_init(counter);
        Self(fs::read_to_string(counter).ok().and_then(|text| n_killed(&text)).unwrap_or(0))
    }
}

/// The file that counts them.
fn counter() -> PathBuf {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    group
        .map(|group| PathBuf::from("/sys/fs/cgroup").join(group).join("memory.events"))
        .filter(|events| events.exists())
        .unwrap_or_else(|| "/proc/vmstat".into())
}

fn n_killed(counts: &str) -> Option<u64> {
    counts.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// What a process left that ended by itself, or was ended from elsewhere.
pub(crate) fn of_its_own(status: ExitStatus, before: MemoryKills) -> Exit {
    match exit(status) {
        Exit::Signal(number, _)
            if number == Signal::KILL.as_raw() && MemoryKills::until_now() > before =>
        {
            Exit::OutOfMemory
        }
        exit => exit,
    }
}

/// What a process left.
pub(crate) fn exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(number)) => Exit::Signal(number, signal_name(number).to_owned()),
        (None, None) => Exit::Code(-1),
    }
}

fn signal_name(number: i32) -> &'static str {
    const NAMES: [(Signal, &str); 20] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::SYS, "SIGSYS"),
    ];
    NAMES.iter().find(|(signal, _)| signal.as_raw() == number).map_or("a signal", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_tell_the_number_of_kills() {
        assert_eq!(
            n_killed("low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n"),
            Some(1)
        );
        assert_eq!(n_killed("nr_free_pages 12\noom_kill 34\n"), Some(34));
        assert_eq!(n_killed("nr_free_pages 12\n"), None);
    }

    #[test]
    fn this_machine_counts_them() {
        let counts = fs::read_to_string(counter()).expect("one of the files is there");
        assert!(n_killed(&counts).is_some());
    }
}
