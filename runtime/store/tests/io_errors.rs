//! Errors of the system, injected into a writing process by `strace`: after one of them that leaves
//! unknown what is durable nothing is acknowledged any more, and everything that was is there.
//!
//! `HERO_SEED` repeats a run, `HERO_TORTURE=1` makes it long.

mod lane;
mod samples;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hero_store::SledStore;
use lane::writer::{self, Told, Work};
use lane::{Random, rounds};

/// How many batches the process tries to write.
const N_BATCHES: usize = 60;

/// An injected error: the call, what it returns, and how often a thread of such a process calls it:
/// `strace` counts for each thread, and so may hit more than one.
struct Injection {
    call: &'static str,
    error: &'static str,
    n_calls: usize,
    /// The file that it happens to; None takes any.
    file: Option<&'static str>,
    /// Whether the store must go on as if nothing had been.
    is_harmless: bool,
}

const INJECTIONS: [Injection; 12] = [
    Injection::of_the_log("EIO"),
    Injection::of_the_log("ENOSPC"),
    Injection { is_harmless: true, ..Injection::of_the_log("EINTR") },
    Injection::of("fdatasync", "EIO", 60),
    Injection::of("fdatasync", "ENOSPC", 60),
    Injection::of("pwrite64", "EIO", 30),
    Injection::of("pwrite64", "ENOSPC", 30),
    Injection::of("pwrite64", "EDQUOT", 30),
    Injection { is_harmless: true, ..Injection::of("pwrite64", "EINTR", 30) },
    Injection::of("fsync", "EIO", 9),
    Injection::of("rename", "EIO", 4),
    Injection::of_sled("EIO"),
];

impl Injection {
    const fn of(call: &'static str, error: &'static str, n_calls: usize) -> Self {
        Self { call, error, n_calls, file: None, is_harmless: false }
    }

    /// While an entry is written.
    const fn of_the_log(error: &'static str) -> Self {
        Self { file: Some("sled/log"), ..Self::of("pwrite64", error, 50) }
    }

    /// While sled writes its files, on threads of its own.
    const fn of_sled(error: &'static str) -> Self {
        Self { file: Some("sled/tree/db"), ..Self::of("pwrite64", error, 1) }
    }
}

/// Runs the writer with an error at the given call. Returns what it told, and whether the error came
/// to pass.
fn run_with(injection: &Injection, when: usize, dir: &Path) -> (Told, bool) {
    let log = dir.join("strace");
    let Injection { call, error, file, .. } = injection;
    let mut command = Command::new("strace");
    command.args(["--follow-forks", "--seccomp-bpf", "--output"]).arg(&log);
    command.arg(format!("--trace={call}"));
    command.arg(format!("--inject={call}:error={error}:when={when}"));
    if let Some(file) = file {
        command.arg("--trace-path").arg(dir.join("store").join(file));
    }
    let work = Work { n_writers: 1, n_batches: N_BATCHES, n_opens: 1, compacts: false };
    writer::describe(&mut command, &dir.join("store"), &work);
    let output = command.stderr(Stdio::inherit()).output().expect("`strace` is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "the writer ended with {}:\n{text}", output.status);
    let log = fs::read_to_string(log).expect("strace writes it");
    (Told::of(&text), log.contains("INJECTED"))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_error_of_the_disk_nothing_is_acknowledged_and_nothing_is_lost() {
    lane::silence_sled();
    let mut random = Random::seeded();
    let (mut n_injected, mut n_stopped) = (0, 0);
    for round in 0..rounds(36, 600) {
        let injection = &INJECTIONS[round % INJECTIONS.len()];
        let when = 1 + random.below(injection.n_calls);
        let dir = tempfile::tempdir().expect("a directory for the test");
        let (told, is_injected) = run_with(injection, when, dir.path());
        let what = format!("round {round}: {} of {} {when}", injection.error, injection.call);
        let n_acked = told.n_acked.get(&0).copied().unwrap_or(0);
        eprintln!("{what}: {n_acked} acknowledged, {:?}", told.errors.first());
        n_injected += usize::from(is_injected);
        n_stopped += usize::from(!told.errors.is_empty());
        assert!(told.late.is_empty(), "{what}: acknowledged after an error: {:?}", told.late);
        assert!(is_injected || n_acked == N_BATCHES, "{what}: it ended without an error");
        if injection.is_harmless {
            assert_eq!(n_acked, N_BATCHES, "{what}: {:?}", told.errors);
        }
        if is_injected && injection.call == "fdatasync" {
            assert!(!told.errors.is_empty(), "{what}: nobody noticed");
        }
        let store = SledStore::open(&dir.path().join("store")).expect("it opens without a repair");
        writer::check(&store, 0, n_acked).await.unwrap_or_else(|lost| panic!("{what}: {lost}"));
    }
    assert!(n_injected >= rounds(30, 480), "{n_injected} errors came to pass: the run is void");
    assert!(n_stopped >= rounds(15, 250), "{n_stopped} errors were noticed");
}

/// Not a test: the process that the errors happen to.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is started by the test above"]
async fn writes() {
    writer::run().await;
}
