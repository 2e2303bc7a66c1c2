//! What `/proc` says about processes. They may be gone at any moment: None and the empty list mean
//! that, or that it is not ours to know.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use hero_schema::env;
use rustix::process::{Pid, getpid, getuid};

/// How often, and how far apart, an environment is looked for.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// What one line of `/proc/PID/stat` tells.
pub(crate) struct Stat {
    /// The name of the process: of its program, unless it has called itself otherwise. At most 15
    /// bytes.
    pub(crate) name: String,
    /// Its parent; None for the first process and for those of the kernel.
    pub(crate) parent: Option<Pid>,
    /// Whether it has ended and only waits to be reaped.
    pub(crate) is_dead: bool,
    /// When it began, in clock ticks since the machine did.
    pub(crate) began_ticks: u64,
    /// Whether it has given up its memory, and with it its environment: it is about to end.
    pub(crate) is_ending: bool,
}

/// Every process there is.
pub(crate) fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// Whether a process may have fallen to this one when its own parent ended. Such a process is a child of
/// the first thread, which starts none of its own in the programs of this project.
pub(crate) fn may_have_inherited() -> bool {
    let me = getpid();
    // Where the system has no such file, they may be there.
    fs::read(format!("/proc/self/task/{me}/children")).map_or(true, |list| !list.is_empty())
}

/// What a process is doing.
pub(crate) fn stat(pid: Pid) -> Option<Stat> {
    let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&line))
}

/// The second field is the name of the program in brackets, which may hold anything.
fn parse(stat: &str) -> Option<Stat> {
    let (before, fields) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let mut fields = fields.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let parent = Pid::from_raw(fields.next()?.parse().ok()?);
    let began_ticks = fields.nth(17)?.parse().ok()?;
    let is_ending = fields.next()? == "0";
    Some(Stat { name, parent, is_dead, began_ticks, is_ending })
}

/// The environment with which its program began.
pub(crate) struct Environ(Vec<u8>);

impl Environ {
    pub(crate) fn of(pid: Pid) -> Self {
        Self(fs::read(format!("/proc/{pid}/environ")).unwrap_or_default())
    }

    /// As [`Environ::of`], but looks again where there is none to be seen: for a moment a process has
    /// none while it turns into another program.
    pub(crate) fn settled(pid: Pid) -> Self {
        for _ in 0..LOOKS {
            let environ = Self::of(pid);
            if !environ.0.is_empty() {
                return environ;
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        Self::of(pid)
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let mut variables = self.0.split(|&byte| byte == 0);
        variables.find_map(|text| text.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

/// Whether it runs for the user of this process.
pub(crate) fn is_of_this_user(pid: Pid) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == getuid().as_raw())
}

/// These processes and all that descend from them, parents first.
pub(crate) fn with_descendants(roots: &[Pid]) -> Vec<Pid> {
    let mut children = HashMap::<Pid, Vec<Pid>>::new();
    for pid in all() {
        if let Some(Stat { parent: Some(parent), is_dead: false, .. }) = stat(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = roots.to_vec();
    let mut seen = HashSet::<Pid>::from_iter(roots.iter().copied());
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        let found = children.get(pid).into_iter().flatten().copied();
        let new: Vec<Pid> = found.filter(|&child| seen.insert(child)).collect();
        family.extend(new);
        next += 1;
    }
    family
}

/// The processes of this user whose environment names this span socket, but for this process and those
/// that it descends from.
pub(crate) fn reporting_to(span_socket: &Path) -> Vec<Pid> {
    let spared = ancestors_and_self();
    let socket = span_socket.as_os_str().as_bytes();
    let reports_there = |&pid: &Pid| {
        !spared.contains(&pid)
            && is_of_this_user(pid)
            && Environ::of(pid).get(env::SPAN_SOCKET) == Some(socket)
    };
    all().filter(reports_there).collect()
}

/// This process, its parent, the parent of that, and so on.
pub(crate) fn ancestors_and_self() -> HashSet<Pid> {
    let mut line = HashSet::new();
    let mut next = Some(getpid());
    while let Some(pid) = next.filter(|&pid| line.insert(pid)) {
        next = stat(pid).and_then(|stat| stat.parent);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let line = "42 (a) Z 7 (b) S 13 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9000 4096 1";
        let stat = parse(line).expect("reads");
        assert_eq!(stat.name, "a) Z 7 (b");
        assert_eq!((stat.parent, stat.is_dead, stat.began_ticks), (Pid::from_raw(13), false, 9000));
    }

    #[test]
    fn this_process_is_found_with_its_parent_and_its_environment() {
        let me = getpid();
        assert!(all().any(|pid| pid == me));
        assert!(is_of_this_user(me));
        let stat = stat(me).expect("it is alive");
        assert_eq!(stat.parent, rustix::process::getppid());
        assert!(!stat.is_dead && !stat.is_ending && stat.began_ticks > 0);
        assert!(ancestors_and_self().is_superset(&HashSet::from([me, stat.parent.expect("one")])));
        let path = std::env::var_os("PATH").expect("a PATH");
        let environ = Environ::of(me);
        assert_eq!(environ.get("PATH"), Some(std::os::unix::ffi::OsStrExt::as_bytes(&*path)));
        assert_eq!(environ.get("PAT"), None);
    }
}
