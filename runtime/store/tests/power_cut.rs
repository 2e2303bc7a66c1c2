//! Power cuts: what was acknowledged before is there, and nothing is there in part.
//!
//! A writing process is recorded once, call by call; then the power is cut at many points of the
//! record, on a disk that keeps only what it must. `HERO_SEED` repeats a run, `HERO_TORTURE=1` makes it
//! long, and then `TMPDIR=/dev/shm` makes it quick.

mod lane;
mod samples;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use hero_store::{SledStore, Store};
use lane::disk::{Disk, Mode};
use lane::trace::{self, Act};
use lane::writer::{self, Told, Work};
use lane::{Random, rounds};

/// They write at the same time, so that batches of several share a flush.
const N_WRITERS: usize = 3;

/// Runs the writer, and returns what it did to its files and said.
fn record(n_batches: usize, compacts: bool) -> Vec<Act> {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let root = dir.path().canonicalize().expect("it is there");
    let log = root.join("strace");
    let mut command = trace::recorder(&log);
    let work = Work { n_writers: N_WRITERS, n_batches, n_opens: 2, compacts };
    writer::describe(&mut command, &root.join("disk/store"), &work);
    fs::create_dir(root.join("disk")).expect("writable");
    let output = command.stderr(Stdio::inherit()).output().expect("`strace` is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "the writer ended with {}:\n{text}", output.status);
    let told = Told::of(&text);
    assert!(told.n_compactions > 1 || !compacts, "{told:?}");
    assert!(told.errors.is_empty() && told.n_acked.values().all(|n| *n == n_batches), "{told:?}");
    trace::acts(&fs::read_to_string(log).expect("strace writes it"), &root.join("disk"))
}

/// Opens what a power cut left, and holds it against what was acknowledged.
async fn check(image: &Path, told: &Told) -> Result<(), String> {
    let store = SledStore::open(&image.join("store")).map_err(|error| error.to_string())?;
    for writer in 0..N_WRITERS {
        let n_acked = told.n_acked.get(&writer).copied().unwrap_or(0);
        writer::check(&store, writer, n_acked).await?;
    }
    store.close().await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    cut_power(record(rounds(60, 240), false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_cut_while_the_store_is_compacted() {
    cut_power(record(rounds(60, 240), true)).await;
}

async fn cut_power(acts: Vec<Act>) {
    lane::silence_sled();
    let mut random = Random::seeded();
    let n_points = rounds(30, 1250);
    let mut points: Vec<_> = (0..n_points).map(|_| random.below(acts.len() + 1)).collect();
    points.sort_unstable();

    let (mut disk, mut told) = (Disk::new(), Told::default());
    let (mut n_done, mut n_uncertain, mut n_cuts) = (0, 0, 0);
    for point in points {
        for act in &acts[n_done..point] {
            disk.apply(act);
            if let Act::Say(line) = act {
                told.hear(line);
            }
        }
        n_done = point;
        n_uncertain += usize::from(disk.has_uncertain());
        for mode in Mode::ALL {
            let image = tempfile::tempdir().expect("a directory for the test");
            disk.write_image(image.path(), mode, &mut random);
            let result = check(image.path(), &told).await;
            result.unwrap_or_else(|lost| {
                let kept = image.keep();
                panic!("cut at {point} of {}, {mode:?}: {lost}\n{}", acts.len(), kept.display())
            });
            n_cuts += 1;
        }
    }
    eprintln!("{n_cuts} power cuts, {n_uncertain} of {n_points} points with something to lose");
    let n_acked: usize = told.n_acked.values().sum();
    assert!(n_uncertain * 2 > n_points, "there was hardly anything to lose: the run is void");
    assert!(n_acked > rounds(60, 400), "{n_acked} batches were acknowledged: the run is void");
}

/// Not a test: the process that is recorded.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is started by the test above"]
async fn writes() {
    writer::run().await;
}
