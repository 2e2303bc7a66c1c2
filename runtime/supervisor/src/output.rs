//! The log of a launch: what the process prints, and what it and the supervisor have to say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hero_schema::{LaunchNumber, LogLevel, LogLine, LogStream, PlaySid, SpanId, Timestamp};
use hero_store::{Batch, Fence, Store, Write};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::last_words::LastWords;

/// How much of what a process prints is stored in one batch, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The longest log line, in bytes; a longer one is cut into several.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// How much is logged of a play, in bytes; what comes after that is lost.
const LOG_BYTES_MAX: u64 = 100_000_000;

/// What the supervisor may add to that.
const NOTES_BYTES_MAX: u64 = 1_000_000;

/// What a line takes on disk beside its text, in bytes: a log of empty lines is no small one.
const LINE_BYTES: u64 = 300;

/// How much is in the logs of the plays that have not ended, as far as this supervisor wrote them.
#[derive(Default)]
pub(crate) struct LogSizes(Mutex<HashMap<PlaySid, Arc<AtomicU64>>>);

impl LogSizes {
    fn of(&self, play: &PlaySid) -> Arc<AtomicU64> {
        Arc::clone(self.sizes().entry(play.clone()).or_default())
    }

    /// No launch of the play is to come.
    pub(crate) fn forget(&self, play: &PlaySid) {
        self.sizes().remove(play);
    }

    fn sizes(&self) -> MutexGuard<'_, HashMap<PlaySid, Arc<AtomicU64>>> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

/// Numbers and stores the log lines of one launch.
#[derive(Clone)]
pub(crate) struct LogBook {
    store: Arc<dyn Store>,
    play: PlaySid,
    launch: LaunchNumber,
    next_seq: Arc<AtomicU64>,
    /// Of the whole log of the play, in bytes.
    size: Arc<AtomicU64>,
}

impl LogBook {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        sizes: &LogSizes,
        play: PlaySid,
        launch: LaunchNumber,
    ) -> Self {
        let size = sizes.of(&play);
        Self { store, play, launch, next_seq: Arc::default(), size }
    }

    /// Logs what a span has to say.
    pub(crate) fn say(
        &self,
        span_id: Option<SpanId>,
        level: LogLevel,
        at: Timestamp,
        text: String,
    ) {
        if !self.has_room(&text) {
            return;
        }
        let line = LogLine { span_id, level, ..self.line(LogStream::Log, at, text) };
        self.store.post(self.batch(vec![line]));
    }

    /// Logs what the supervisor noticed about the launch.
    pub(crate) fn note(&self, level: LogLevel, text: impl Into<String>) {
        let text = text.into();
        if self.grow(&text) > LOG_BYTES_MAX + NOTES_BYTES_MAX {
            return;
        }
        let now = self.store.now();
        let line = LogLine { level, ..self.line(LogStream::Supervisor, now, text) };
        self.store.post(self.batch(vec![line]));
    }

    /// Whether a line still goes into the log; the first that does not leaves a word about it.
    fn has_room(&self, text: &str) -> bool {
        let before = self.size.load(Ordering::Relaxed);
        if before > LOG_BYTES_MAX {
            return false;
        }
        let has_room = self.grow(text) <= LOG_BYTES_MAX;
        if !has_room {
            let megabytes = LOG_BYTES_MAX / 1_000_000;
            let cut = format!(
                "the log of this play is cut here: it is full ({megabytes} MB), and no more is kept"
            );
            self.note(LogLevel::Warning, cut);
        }
        has_room
    }

    /// Counts a line in, and returns how large the log is with it.
    fn grow(&self, text: &str) -> u64 {
        let more = text.len() as u64 + LINE_BYTES;
        self.size.fetch_add(more, Ordering::Relaxed) + more
    }

    /// Logs everything that comes out of a pipe, until its end; returns the last lines of it.
    ///
    /// Each chunk is stored before the next is read, so that a process that prints without end is
    /// slowed down and fills no memory.
    pub(crate) async fn pump(self, stream: LogStream, mut pipe: impl AsyncRead + Unpin) -> String {
        let mut splitter = LineSplitter::default();
        let mut last_words = LastWords::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let n_read = pipe.read(&mut chunk).await.unwrap_or(0);
            let lines =
                if n_read == 0 { splitter.finish() } else { splitter.feed(&chunk[..n_read]) };
            self.keep(stream, lines.iter().filter(|line| self.has_room(line))).await;
            lines.into_iter().for_each(|line| last_words.hear(line));
            if n_read == 0 {
                return last_words.into_text();
            }
        }
    }

    async fn keep(&self, stream: LogStream, texts: impl Iterator<Item = &String>) {
        let now = self.store.now();
        let lines: Vec<_> = texts.map(|text| self.line(stream, now, text.clone())).collect();
        if lines.is_empty() {
            return;
        }
        if let Err(error) = self.store.commit(self.batch(lines)).await {
            tracing::warn!(play = %self.play, launch = %self.launch, %error, "output not logged");
        }
    }

    fn line(&self, stream: LogStream, at: Timestamp, text: String) -> LogLine {
        let level = if stream == LogStream::Stderr { LogLevel::Warning } else { LogLevel::Info };
        let seq = self.next_seq.fetch_add(1, Ordering::Relaxed);
        LogLine { launch: self.launch, seq, at, stream, level, span_id: None, text }
    }

    fn batch(&self, lines: Vec<LogLine>) -> Batch {
        let fence = Some(Fence { play: self.play.clone(), launch: self.launch });
        let writes = lines.into_iter().map(|line| Write::Log(self.play.clone(), line)).collect();
        Batch { fence, writes }
    }
}

/// Cuts bytes into lines of text; bytes that are no UTF-8 become U+FFFD.
#[derive(Default)]
struct LineSplitter {
    begun: Vec<u8>,
}

impl LineSplitter {
    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun.extend_from_slice(part);
            if self.begun.last() == Some(&b'\n') {
                self.begun.pop();
                lines.append(&mut self.cut());
            }
        }
        while self.begun.len() > LINE_BYTES_MAX {
            let rest = self.begun.split_off(LINE_BYTES_MAX);
            lines.push(text(&std::mem::replace(&mut self.begun, rest)));
        }
        lines
    }

    fn finish(&mut self) -> Vec<String> {
        if self.begun.is_empty() { Vec::new() } else { self.cut() }
    }

    fn cut(&mut self) -> Vec<String> {
        let line = std::mem::take(&mut self.begun);
        if line.is_empty() {
            return vec![String::new()];
        }
        line.chunks(LINE_BYTES_MAX).map(text).collect()
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches('\r').to_owned()
}

#[cfg(test)]
mod tests {
    use hero_schema::{Json, PlayRecord, VersionSid};
    use hero_store::{MemoryStore, PageQuery};

    use super::*;

    #[tokio::test]
    async fn a_full_log_says_so_once_and_takes_no_more_from_any_launch() {
        let store = Arc::new(MemoryStore::default());
        let (sid, sizes) = (PlaySid::new("p"), LogSizes::default());
        let (version, input) = (VersionSid::new("v"), Json::parse("{}").expect("JSON"));
        let play = PlayRecord::new(sid.clone(), version, input, Timestamp(0));
        let write = Write::Play(Box::new(play));
        store.commit(Batch { fence: None, writes: vec![write] }).await.expect("stored");
        let log = LogBook::new(store.clone(), &sizes, sid.clone(), LaunchNumber(0));
        log.clone().pump(LogStream::Stdout, "kept\n".as_bytes()).await;
        sizes.of(&sid).store(LOG_BYTES_MAX - 1000, Ordering::Relaxed);
        log.clone().pump(LogStream::Stdout, "x".repeat(2000).as_bytes()).await;
        let last_words = log.clone().pump(LogStream::Stderr, "my last words".as_bytes()).await;
        log.say(None, LogLevel::Info, Timestamp(0), "not kept".into());
        log.note(LogLevel::Error, "killed");
        store.commit(Batch::default()).await.expect("what was posted is stored");
        let page = store.logs(&sid, PageQuery::default()).await.expect("read");
        let texts: Vec<_> = page.items.iter().map(|line| line.text.as_str()).collect();
        let [kept, full, killed] = &texts[..] else { panic!("three lines: {texts:?}") };
        assert!(full.contains("is cut here: it is full (100 MB)"), "{full}");
        assert_eq!((*kept, *killed, &*last_words), ("kept", "killed", "my last words"));
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        let mut splitter = LineSplitter::default();
        assert_eq!(splitter.feed(b"one\ntw"), ["one"]);
        assert_eq!(splitter.feed(b"o\r\n\nthr"), ["two", ""]);
        assert_eq!(splitter.finish(), ["thr"]);
        assert!(splitter.finish().is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut_and_holds_no_memory() {
        let mut splitter = LineSplitter::default();
        let mut n_lines = 0;
        for _ in 0..100 {
            n_lines += splitter.feed(&[b'x'; 10_000]).len();
            assert!(splitter.begun.len() <= LINE_BYTES_MAX);
        }
        assert_eq!(n_lines, 1_000_000 / LINE_BYTES_MAX);
    }

    #[test]
    fn what_is_no_text_becomes_text() {
        let mut splitter = LineSplitter::default();
        assert_eq!(splitter.feed(b"a\xff\0b\n"), ["a\u{fffd}\0b"]);
    }
}
