//! Measures durable commits:
//! `cargo run --release -p hero_store --example commit_rate [DIR] [SECONDS] [WRITERS]`.
//!
//! Each commit is what a step costs: the span that begins is posted, and one outcome of about 300 bytes
//! is committed with the end of that span, fenced. The CPU is that of the whole process.
#![allow(clippy::print_stdout, reason = "the table is the purpose")]

#[path = "../tests/samples/mod.rs"]
mod samples;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hero_schema::{LaunchNumber, PlaySid, Span, SpanStatus, Timestamp};
use hero_store::{Batch, Fence, SledStore, Store, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let writers = arguments.next().map(|text| text.parse()).transpose()?;
    println!(
        "{:>8} {:>10} {:>9} {:>9} {:>8}",
        "writers", "commits/s", "p50 ms", "p99 ms", "CPU µs"
    );
    for n_writers in writers.map_or(vec![1, 8, 64, 256], |n_writers| vec![n_writers]) {
        let dir = parent.join(format!("commit_rate.{}.{n_writers}", std::process::id()));
        let store = Arc::new(SledStore::open(&dir)?);
        let line = runtime.block_on(measure(store, n_writers, Duration::from_secs(seconds)));
        println!("{line}");
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

async fn measure(store: Arc<SledStore>, n_writers: usize, duration: Duration) -> String {
    let ends = Instant::now() + duration;
    let cpu_before = cpu_micros();
    let writers: Vec<_> =
        (0..n_writers).map(|number| tokio::spawn(write(store.clone(), number, ends))).collect();
    let mut latencies = Vec::new();
    for writer in writers {
        latencies.extend(writer.await.expect("a writer ends by itself"));
    }
    latencies.sort();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    let n_commits = latencies.len() as f64;
    let (rate, cpu) = (n_commits / duration.as_secs_f64(), cpu_micros() - cpu_before);
    let (p50, p99) = (at(0.5), at(0.99));
    format!("{n_writers:>8} {rate:>10.0} {p50:>9.2} {p99:>9.2} {:>8.1}", cpu / n_commits)
}

/// What this process has used so far, to a hundredth of a second.
fn cpu_micros() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("there is a `/proc`");
    let (_, fields) = stat.rsplit_once(')').expect("the name stands in parentheses");
    // Time of its own and of the system on its behalf: see proc(5).
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() * 1e4
}

async fn write(store: Arc<SledStore>, number: usize, ends: Instant) -> Vec<Duration> {
    let play = PlaySid::new(format!("play-{number:03}"));
    let record = samples::play(play.as_str());
    let fence = Some(Fence { play: play.clone(), launch: LaunchNumber(1) });
    let first = Batch { fence: None, writes: vec![Write::Play(Box::new(record))] };
    store.commit(first).await.expect("a new play is accepted");
    let mut latencies = Vec::new();
    for step in 0.. {
        let outcome = samples::outcome(&format!("{number:020}{step:020}"), &"x".repeat(100));
        let span = |span| vec![Write::Span(play.clone(), Box::new(span))];
        let (begun, ended) = (samples::span(1, step), samples::span(1, step));
        let mut writes =
            span(Span { status: SpanStatus::Ok, ended_at: Some(Timestamp(9)), ..ended });
        writes.push(Write::Outcome(play.clone(), Box::new(outcome)));
        let start = Instant::now();
        if start >= ends {
            break;
        }
        store.post(Batch { fence: fence.clone(), writes: span(begun) });
        store.commit(Batch { fence: fence.clone(), writes }).await.expect("it is accepted");
        latencies.push(start.elapsed());
    }
    latencies
}
