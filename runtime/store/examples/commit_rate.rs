//! Measures durable commits: `cargo run --release -p hero_store --example commit_rate [DIR] [SECONDS]`.
//!
//! Each commit is what a finished step costs: one outcome and one span of about 300 bytes, fenced.
#![allow(clippy::print_stdout, reason = "the table is the purpose")]

#[path = "../tests/samples/mod.rs"]
mod samples;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hero_schema::{LaunchNumber, PlaySid};
use hero_store::{Batch, Fence, SledStore, Store, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    println!("{:>8} {:>10} {:>9} {:>9}", "writers", "commits/s", "p50 ms", "p99 ms");
    for n_writers in [1, 8, 64, 256] {
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
    let writers: Vec<_> =
        (0..n_writers).map(|number| tokio::spawn(write(store.clone(), number, ends))).collect();
    let mut latencies = Vec::new();
    for writer in writers {
        latencies.extend(writer.await.expect("a writer ends by itself"));
    }
    latencies.sort();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    let rate = latencies.len() as f64 / duration.as_secs_f64();
    format!("{n_writers:>8} {rate:>10.0} {:>9.2} {:>9.2}", at(0.5), at(0.99))
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
        let writes = vec![
            Write::Outcome(play.clone(), Box::new(outcome)),
            Write::Span(play.clone(), Box::new(samples::span(1, step))),
        ];
        let start = Instant::now();
        if start >= ends {
            break;
        }
        store.commit(Batch { fence: fence.clone(), writes }).await.expect("it is accepted");
        latencies.push(start.elapsed());
    }
    latencies
}
