//! What a process does to the files of a directory, as `strace` tells it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `strace` is asked to tell: every call that changes files or makes changes durable.
const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,\
                     sync_file_range,rename,renameat,renameat2,unlink,unlinkat,truncate,ftruncate,\
                     fallocate,mkdir,mkdirat,rmdir,link,linkat,copy_file_range,sendfile,splice";

/// Something that was done, with paths relative to the directory.
#[derive(Debug)]
pub(crate) enum Act {
    /// Opened, and created where it is missing.
    Open {
        path: PathBuf,
        is_created: bool,
        is_emptied: bool,
    },
    MakeDir {
        path: PathBuf,
    },
    /// Written at a place, or behind what the same opener wrote before.
    Write {
        path: PathBuf,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    SetLength {
        path: PathBuf,
        length: u64,
    },
    /// Made durable, as far as it was done before this many acts.
    Sync {
        path: PathBuf,
        n_before: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// Two names take each other's place.
    Exchange {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    /// The process said something.
    Say(String),
}

/// The beginning of a command that records what it runs.
pub(crate) fn recorder(log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["--follow-forks", "--seccomp-bpf", "--decode-fds=path", "--strings-in-hex=all"]);
    command.args(["--string-limit=10000000", "--output"]).arg(log);
    command.arg(format!("--trace={CALLS}"));
    command
}

/// What was done under a directory. A call counts as done when it returned; what was said, as soon as
/// it was about to be.
pub(crate) fn acts(log: &str, root: &Path) -> Vec<Act> {
    let mut reading = Reading { root, acts: Vec::new(), begun: HashMap::new() };
    for line in log.lines() {
        reading.read(line);
    }
    reading.acts
}

struct Reading<'a> {
    root: &'a Path,
    acts: Vec<Act>,
    /// By thread: a call that has not returned, and how many acts there were when it began.
    begun: HashMap<String, (String, usize)>,
}

impl Reading<'_> {
    fn read(&mut self, line: &str) {
        let Some((thread, event)) = line.split_once(' ') else { return };
        let event = event.trim_start();
        if event.starts_with("+++") || event.starts_with("---") {
            return;
        }
        if let Some(begun) = event.strip_suffix(" <unfinished ...>") {
            self.say(begun);
            self.begun.insert(thread.to_owned(), (begun.to_owned(), self.acts.len()));
        } else if event.starts_with("<... ") {
            let (_, rest) = event.split_once(" resumed>").expect("a call is resumed");
            let (begun, n_before) = self.begun.remove(thread).expect("what is resumed was begun");
            self.finish(&(begun + rest), n_before);
        } else {
            self.say(event);
            self.finish(event, self.acts.len());
        }
    }

    /// Notes what is said, before it is heard.
    fn say(&mut self, call: &str) {
        if let Some(arguments) = call.strip_prefix("write(1<") {
            let text = bytes_of(arguments.split('"').nth(1).unwrap_or_default());
            self.acts.push(Act::Say(String::from_utf8_lossy(&text).trim_end().to_owned()));
        }
    }

    fn finish(&mut self, call: &str, n_before: usize) {
        let (name, rest) = call.split_once('(').expect("a call has arguments");
        let (arguments, result) = rest.rsplit_once(" = ").expect("a call returns");
        if result.starts_with('-') || result.starts_with('?') {
            return;
        }
        let act = self.act(name, arguments.trim_end().trim_end_matches(')'), result, n_before);
        self.acts.extend(act);
    }

    fn act(&self, name: &str, arguments: &str, result: &str, n_before: usize) -> Option<Act> {
        // Neither paths nor data hold a comma or a quote: they are hexadecimal.
        let parts: Vec<_> = arguments.split(", ").collect();
        let number = |index: usize| parts[index].parse::<u64>().expect("a number");
        let fd_path = || self.inside(bytes_of(parts[0].split_once('<')?.1.trim_end_matches('>')));
        let named = |index: usize| self.inside(bytes_of(parts[index].trim_matches('"')));
        let data = |index: usize| bytes_of(parts[index].trim_matches('"'));
        Some(match name {
            "openat" => {
                let has = |flag| parts[2].contains(flag);
                let path =
                    self.inside(bytes_of(result.split_once('<')?.1.trim_end_matches('>')))?;
                Act::Open { path, is_created: has("O_CREAT"), is_emptied: has("O_TRUNC") }
            }
            "mkdir" => Act::MakeDir { path: named(0)? },
            "write" => whole(Act::Write { path: fd_path()?, at: None, bytes: data(1) }, result),
            "pwrite64" => {
                whole(Act::Write { path: fd_path()?, at: Some(number(3)), bytes: data(1) }, result)
            }
            "ftruncate" => Act::SetLength { path: fd_path()?, length: number(1) },
            "fsync" | "fdatasync" => Act::Sync { path: fd_path()?, n_before },
            // It promises nothing of what a power cut leaves.
            "sync_file_range" => return None,
            "rename" => Act::Rename { from: named(0)?, to: named(1)? },
            "renameat2" if parts[4].contains("RENAME_EXCHANGE") => {
                Act::Exchange { from: named(1)?, to: named(3)? }
            }
            "unlink" | "rmdir" => Act::Remove { path: named(0)? },
            "unlinkat" => {
                let dir = bytes_of(parts[0].split_once('<')?.1.trim_end_matches('>'));
                let dir = PathBuf::from(String::from_utf8(dir).ok()?);
                let name = String::from_utf8(bytes_of(parts[1].trim_matches('"'))).ok()?;
                let path = dir.join(name).strip_prefix(self.root).ok()?.to_owned();
                Act::Remove { path }
            }
            other => {
                let touches = parts.iter().any(|part| part.contains("\\x"));
                let paths = parts.iter().filter_map(|part| {
                    self.inside(bytes_of(part.split(['<', '"']).nth(1)?.trim_matches(['>', '"'])))
                });
                assert!(!touches || paths.count() == 0, "`{other}` is not understood: {arguments}");
                return None;
            }
        })
    }

    /// The path below the root; None where it is elsewhere.
    fn inside(&self, path: Vec<u8>) -> Option<PathBuf> {
        let path = PathBuf::from(String::from_utf8(path).ok().filter(|path| !is_gone(path))?);
        path.strip_prefix(self.root).ok().map(Path::to_owned)
    }
}

/// Whether the file has no name any more, so that nobody can find what is done to it.
fn is_gone(path: &str) -> bool {
    path.ends_with(" (deleted)")
}

/// Holds what was written against how much was.
fn whole(write: Act, result: &str) -> Act {
    if let Act::Write { bytes, .. } = &write {
        assert_eq!(bytes.len().to_string(), result, "a write was cut short");
    }
    write
}

/// The bytes of `\x61\x62`.
fn bytes_of(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(&digits[..2], 16).expect("two digits")).collect()
}
