//! Fills a store with plays that wait for an answer, and says what they take:
//! `cargo run --release -p hero_store --example fill [DIR] [PLAYS]`.
#![allow(clippy::print_stdout, reason = "the figures are the purpose")]

#[path = "../tests/samples/mod.rs"]
mod samples;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hero_schema::{PlayRecord, PlaySid, PlayStatus, SpanStatus, Timestamp, WorkflowSid};
use hero_store::{Batch, PageQuery, PlayQuery, SledStore, Store, Write};

const STEPS: usize = 2;
const PLAYS_AT_ONCE: usize = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let n_plays = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let dir = parent.join(format!("fill.{}", std::process::id()));
    let store = SledStore::open(&dir)?;
    measure("empty", &dir, 1);
    let began = Instant::now();
    for first in (0..n_plays).step_by(PLAYS_AT_ONCE) {
        let numbers = first..n_plays.min(first + PLAYS_AT_ONCE);
        let batches = numbers.flat_map(life_of).map(|writes| Batch { fence: None, writes });
        let mut last = None;
        for batch in batches {
            last.replace(batch).into_iter().for_each(|batch| store.post(batch));
        }
        store.commit(last.unwrap_or_default()).await?;
    }
    println!("filled in {:.1} s", began.elapsed().as_secs_f64());
    measure("filled", &dir, n_plays);
    times(&store, n_plays).await?;
    store.close().await?;
    drop(store);
    let began = Instant::now();
    let store = SledStore::open(&dir)?;
    println!("opened in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    measure("opened", &dir, n_plays);
    let began = Instant::now();
    store.compact()?;
    println!("compacted in {:.1} s", began.elapsed().as_secs_f64());
    measure("compacted", &dir, n_plays);
    times(&store, n_plays).await?;
    store.close().await?;
    drop(store);
    let began = Instant::now();
    let store = SledStore::open(&dir)?;
    println!("opened in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    measure("opened", &dir, n_plays);
    times(&store, n_plays).await?;
    measure("read", &dir, n_plays);
    store.close().await?;
    fs::remove_dir_all(&dir)?;
    Ok(())
}

/// The batches of a play, from its start to its question.
fn life_of(number: usize) -> Vec<Vec<Write>> {
    let sid = PlaySid::new(format!("01m7x{number:021}"));
    let first = PlayRecord {
        workflow_sid: Some(WorkflowSid::new("01m7xhpdt6wmqwf9cf6pajxe9d")),
        created_at: Timestamp(1_790_000_000_000_000 + number as i64 * 1000),
        ..samples::play(sid.as_str())
    };
    let mut batches = vec![vec![Write::Play(Box::new(first.clone()))]];
    for step in 0..STEPS {
        let key = format!("{:040x}", (number * STEPS + step) as u128 * 0x9E37_79B9_7F4A_7C15_F39C);
        let mut span = samples::span(1, step as u64);
        let begun = Write::Span(sid.clone(), Box::new(span.clone()));
        span.status = SpanStatus::Ok;
        let outcome = samples::outcome(&key, &format!("result {number}.{step}"));
        batches.push(vec![begun]);
        batches.push(vec![
            Write::Outcome(sid.clone(), Box::new(outcome)),
            Write::Span(sid.clone(), Box::new(span)),
        ]);
    }
    let paused = samples::revised(&first, |play| play.status = PlayStatus::AwaitingResume);
    let asked = samples::request("6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad", number as i64);
    let asked = Write::Request(sid, Box::new(asked));
    batches.push(vec![asked, Write::Play(Box::new(paused))]);
    batches
}

async fn times(store: &SledStore, n_plays: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut query = PlayQuery {
        status: Some(PlayStatus::AwaitingResume),
        page: PageQuery { cursor: None, limit: 100 },
        ..PlayQuery::default()
    };
    let mut pages = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        let page = store.plays(query.clone()).await?;
        pages.push(began.elapsed());
        query.page.cursor = page.next_cursor;
    }
    let mut starts = Vec::new();
    for number in 0..50 {
        let began = Instant::now();
        let mut play = samples::play(&format!("02{:024}", n_plays + number));
        play.created_at = store.now();
        play.sid = PlaySid::new(format!("{}{}", play.sid, play.created_at.0));
        let writes = vec![Write::Play(Box::new(play))];
        store.commit(Batch { fence: None, writes }).await?;
        starts.push(began.elapsed());
    }
    let middle = |mut times: Vec<Duration>| {
        times.sort();
        (times[times.len() / 2].as_secs_f64() * 1e3, times[times.len() - 1].as_secs_f64() * 1e3)
    };
    println!(
        "page of 100, start (median, longest ms): {:.2?}, {:.2?}",
        middle(pages),
        middle(starts)
    );
    Ok(())
}

fn measure(when: &str, dir: &Path, n_plays: usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rss = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let written = io.lines().find(|line| line.starts_with("write_bytes")).unwrap_or_default();
    let n_bytes = bytes_under(dir);
    println!("{when:>10}: {n_bytes} bytes, {} a play; {rss}; {written}", n_bytes / n_plays as u64);
}

fn bytes_under(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes_of = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    entries
        .map(|entry| entry.path())
        .map(|path| if path.is_dir() { bytes_under(&path) } else { bytes_of(&path) })
        .sum()
}
