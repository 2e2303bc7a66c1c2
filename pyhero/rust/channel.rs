//! The socket to the supervisor: frames out, acknowledgements in.
//!
//! Any number of threads may wait for acknowledgements at once and none is set aside to read: the first
//! that waits reads for all (the leader), the others sleep until their own has come or the leader
//! has its own and one of them takes over.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, TryLockError};
use std::thread::{self, ThreadId};

use hero_schema::frame::{Frame, Replayed, SpanEvent};
use hero_schema::span::REPLAYED_SPANS_MAX;
use hero_schema::{LaunchNumber, SpanId, SpanPlace, SpanRange, Timestamp};
use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{frames, lifeline};

/// How many ranges of replayed steps one frame holds.
const RANGES_MAX: usize = 1000;

/// How much is gathered before the socket is offered more, in bytes.
const OFFERED_BYTES: usize = 64 * 1024;

/// How much is held back at most while the supervisor is slow to read, in bytes.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Neither waits for room in the socket, nor dies of a supervisor that has hung up.
const NOW_OR_NEVER: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// One connection for the life of the process.
///
/// What need not be told at once (that a step was replayed) is held back and goes out with whatever
/// follows, so that a flow that comes back to where it stood does not make a system call for each step.
#[pyclass(frozen)]
pub(crate) struct Channel {
    home: ThreadId,
    outgoing: Mutex<Outgoing>,
    incoming: Mutex<Incoming>,
    has_news: Condvar,
}

struct Outgoing {
    socket: UnixStream,
    next_seq: u64,
    /// Lines that are to be written.
    held: Vec<u8>,
    /// How much of that is written already.
    n_written: usize,
    /// How long `held` is when the socket is offered more.
    offer_at: usize,
    /// Steps that were replayed last, to be told before anything else is.
    replays: Option<Replays>,
}

/// Replayed steps under one parent, for one frame.
struct Replays {
    told: Replayed,
    n_spans: u64,
}

impl Replays {
    /// Adds one, where it goes with them.
    fn take(&mut self, parent_id: &str, ran_as: SpanPlace) -> bool {
        let ranges = &mut self.told.ran_as;
        if self.told.parent_id.as_str() != parent_id || self.n_spans == REPLAYED_SPANS_MAX {
            return false;
        }
        if !ranges.last_mut().is_some_and(|last| last.extend(ran_as)) {
            if ranges.len() == RANGES_MAX {
                return false;
            }
            ranges.push(SpanRange::of(ran_as));
        }
        self.n_spans += 1;
        true
    }
}

impl Outgoing {
    fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            next_seq: 0,
            held: Vec::new(),
            n_written: 0,
            offer_at: OFFERED_BYTES,
            replays: None,
        }
    }

    fn replay(&mut self, parent_id: &str, ran_as: SpanPlace) {
        if self.replays.as_mut().is_some_and(|replays| replays.take(parent_id, ran_as)) {
            return;
        }
        self.hold_replays();
        let at = Timestamp(frames::now_micros().cast_signed());
        let ran_as = vec![SpanRange::of(ran_as)];
        let told = Replayed { parent_id: SpanId::new(parent_id), at, ran_as };
        self.replays = Some(Replays { told, n_spans: 1 });
    }

    fn hold_replays(&mut self) {
        let Some(Replays { told, n_spans }) = self.replays.take() else { return };
        let frame = Frame { seq: self.next_seq, event: SpanEvent::Replayed(told) };
        serde_json::to_writer(&mut self.held, &frame).expect("memory takes all");
        self.held.push(b'\n');
        self.next_seq += n_spans;
    }

    fn hold(&mut self, event_json: &str) -> u64 {
        self.hold_replays();
        let seq = self.next_seq;
        self.next_seq += 1;
        write!(self.held, "{{\"seq\":{seq},\"event\":").expect("memory takes all");
        self.held.extend_from_slice(event_json.as_bytes());
        self.held.extend_from_slice(b"}\n");
        seq
    }

    fn write_held(&mut self) -> std::io::Result<()> {
        let written = self.socket.write_all(&self.held[self.n_written..]);
        self.forget_held();
        written
    }

    /// Writes as much as the socket takes at once.
    fn offer_held(&mut self) -> std::io::Result<()> {
        while self.n_written < self.held.len() {
            match send(&self.socket, &self.held[self.n_written..], NOW_OR_NEVER) {
                Ok(n_bytes) => self.n_written += n_bytes,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.held.len() > HELD_BYTES_MAX => return self.write_held(),
                Err(Errno::AGAIN) => {
                    self.offer_at = self.held.len() + OFFERED_BYTES;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.forget_held();
        Ok(())
    }

    fn forget_held(&mut self) {
        self.held.clear();
        self.held.shrink_to(4 * OFFERED_BYTES);
        self.n_written = 0;
        self.offer_at = OFFERED_BYTES;
    }
}

struct Incoming {
    /// Acknowledgements that have come and were not fetched yet, with the answer if there is one.
    acks: HashMap<u64, Option<String>>,
    /// Taken out by the leader while it reads.
    reader: Option<BufReader<UnixStream>>,
}

/// [`hero_schema::frame::Reply`], with the answer left as text.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Ack { seq: u64, answer: Option<Box<RawValue>> },
    Refused { message: String },
}

#[pymethods]
impl Channel {
    /// Connects to the supervisor and ties the life of this process to it.
    #[new]
    fn connect(socket_path: &str) -> PyResult<Self> {
        let failed = |error: std::io::Error| {
            let text = format!("failed to connect to the supervisor at `{socket_path}`: {error}");
            PyConnectionError::new_err(text)
        };
        lifeline::die_with_the_parent().map_err(failed)?;
        let socket = UnixStream::connect(socket_path).map_err(failed)?;
        let reader = BufReader::new(socket.try_clone().map_err(failed)?);
        Ok(Self {
            home: thread::current().id(),
            outgoing: Mutex::new(Outgoing::new(socket)),
            incoming: Mutex::new(Incoming { acks: HashMap::new(), reader: Some(reader) }),
            has_news: Condvar::new(),
        })
    }

    /// Writes one event, and all that is held back, and returns its place. Does not wait for it to be
    /// acknowledged.
    pub(crate) fn send(&self, py: Python<'_>, event_json: &str) -> u64 {
        py.detach(|| self.write(event_json))
    }

    /// Tells an event that may be heard later, and returns its place. Does not wait for a supervisor that
    /// is slow to read.
    ///
    /// *more*: such events follow, and can go with this one.
    pub(crate) fn post(&self, py: Python<'_>, event_json: &str, more: bool) -> u64 {
        self.add(py, more, |outgoing| outgoing.hold(event_json))
    }

    /// Tells, as `post` does, that a step was replayed: by launch and `seq` of the span in which it ran.
    pub(crate) fn post_replayed(
        &self,
        py: Python<'_>,
        parent_id: &str,
        launch: u32,
        seq: u64,
        more: bool,
    ) {
        let ran_as = SpanPlace { launch: LaunchNumber(launch), seq };
        self.add(py, more, |outgoing| {
            outgoing.replay(parent_id, ran_as);
            if !more {
                outgoing.hold_replays();
            }
        });
    }

    /// Writes what is held back.
    pub(crate) fn flush(&self, py: Python<'_>) {
        py.detach(|| {
            let mut outgoing = self.outgoing();
            outgoing.hold_replays();
            if !outgoing.held.is_empty() {
                let written = outgoing.write_held();
                self.check(outgoing, written);
            }
        });
    }

    /// Waits until the frame of this place is durable; returns the answer it brought, or None.
    fn wait(&self, py: Python<'_>, seq: u64) -> Option<String> {
        py.detach(|| self.await_ack(seq))
    }

    /// `send` and `wait` in one.
    fn request(&self, py: Python<'_>, event_json: &str) -> Option<String> {
        py.detach(|| {
            let seq = self.write(event_json);
            self.await_ack(seq)
        })
    }
}

impl Channel {
    /// Whether this is the thread that connected.
    pub(crate) fn is_at_home(&self) -> bool {
        thread::current().id() == self.home
    }

    /// Adds to what is held back, and offers that to the socket where it is due.
    fn add<T: Send>(
        &self,
        py: Python<'_>,
        more: bool,
        add: impl FnOnce(&mut Outgoing) -> T + Send,
    ) -> T {
        let hold = |mut outgoing: MutexGuard<'_, Outgoing>| {
            let added = add(&mut outgoing);
            (added, !more || outgoing.held.len() >= outgoing.offer_at)
        };
        let (added, is_due) = match self.outgoing.try_lock() {
            Ok(outgoing) => hold(outgoing),
            // Another thread writes, for as long as the supervisor takes to read.
            Err(TryLockError::WouldBlock) => py.detach(|| hold(self.outgoing())),
            Err(TryLockError::Poisoned(error)) => hold(error.into_inner()),
        };
        if is_due {
            py.detach(|| {
                let mut outgoing = self.outgoing();
                let written = outgoing.offer_held();
                self.check(outgoing, written);
            });
        }
        added
    }

    fn write(&self, event_json: &str) -> u64 {
        let mut outgoing = self.outgoing();
        let seq = outgoing.hold(event_json);
        let written = outgoing.write_held();
        self.check(outgoing, written);
        seq
    }

    fn check(&self, outgoing: MutexGuard<'_, Outgoing>, written: std::io::Result<()>) {
        if let Err(error) = written {
            // The supervisor may have said why before it hung up.
            drop(outgoing);
            self.read_until_the_end(&error.to_string());
        }
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().expect("no holder of this lock can panic")
    }

    fn await_ack(&self, seq: u64) -> Option<String> {
        let mut incoming = self.incoming();
        loop {
            if let Some(answer) = incoming.acks.remove(&seq) {
                return answer;
            }
            incoming = match incoming.reader.take() {
                Some(reader) => {
                    drop(incoming);
                    self.lead(reader)
                }
                None => self.has_news.wait(incoming).expect("no holder of this lock can panic"),
            };
        }
    }

    /// Reads one reply for whoever waits for it, then wakes all: one of them leads next.
    fn lead(&self, mut reader: BufReader<UnixStream>) -> MutexGuard<'_, Incoming> {
        let reply = read_reply(&mut reader);
        let mut incoming = self.incoming();
        incoming.reader = Some(reader);
        match reply {
            Ok(Reply::Ack { seq, answer }) => {
                incoming.acks.insert(seq, answer.map(|raw| String::from(Box::<str>::from(raw))));
            }
            Ok(Reply::Refused { message }) => lifeline::end_process(&message),
            Err(reason) => lifeline::end_process(&reason),
        }
        self.has_news.notify_all();
        incoming
    }

    fn read_until_the_end(&self, write_error: &str) -> ! {
        let mut incoming = self.incoming();
        // Another thread that reads will find the refusal or the end by itself.
        while let Some(mut reader) = incoming.reader.take() {
            match read_reply(&mut reader) {
                Ok(Reply::Ack { .. }) => incoming.reader = Some(reader),
                Ok(Reply::Refused { message }) => lifeline::end_process(&message),
                Err(_) => break,
            }
        }
        lifeline::end_process(&format!("the supervisor does not listen any more: {write_error}"))
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().expect("no holder of this lock can panic")
    }
}

fn read_reply(reader: &mut BufReader<UnixStream>) -> Result<Reply, String> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(0) => Err("the supervisor closed the connection".to_owned()),
        Ok(_) => serde_json::from_str(&line)
            .map_err(|error| format!("the supervisor said what is no reply: {error}: {line}")),
        Err(error) => Err(format!("the connection to the supervisor broke: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_that_is_slow_to_read_keeps_nobody_waiting_and_hears_all_in_order() {
        const N_EVENTS: u64 = 20_000;
        let (socket, supervisor) = UnixStream::pair().expect("a pair of sockets");
        let mut outgoing = Outgoing::new(socket);
        for _ in 0..N_EVENTS {
            outgoing.hold("{\"span_tag\":{}}");
            if outgoing.held.len() >= outgoing.offer_at {
                outgoing.offer_held().expect("the supervisor is there");
            }
        }
        assert!(outgoing.n_written > 0 && outgoing.n_written < outgoing.held.len());
        let heard = thread::spawn(move || {
            let lines = BufReader::new(supervisor).lines().map(|line| line.expect("a line"));
            lines.collect::<Vec<_>>()
        });
        outgoing.write_held().expect("the supervisor is there");
        drop(outgoing);
        let expected =
            (0..N_EVENTS).map(|n| format!("{{\"seq\":{n},\"event\":{{\"span_tag\":{{}}}}}}"));
        assert!(heard.join().expect("it only reads").into_iter().eq(expected));
    }

    #[test]
    fn replayed_steps_are_told_together_and_before_what_follows_them() {
        let (socket, supervisor) = UnixStream::pair().expect("a pair of sockets");
        let mut outgoing = Outgoing::new(socket);
        let place = |launch, seq| SpanPlace { launch: LaunchNumber(launch), seq };
        outgoing.hold("{\"span_tag\":{}}");
        for n in 0..1000 {
            outgoing.replay("a1", place(1, 3 + 2 * n));
        }
        outgoing.replay("a1", place(2, 5));
        outgoing.replay("b2", place(2, 6));
        assert_eq!(outgoing.hold("{\"span_tag\":{}}"), 1 + 1001 + 1);
        outgoing.replay("b2", place(2, 7));
        for n in 0..3 * RANGES_MAX as u64 {
            outgoing.replay("c3", place(1, n * n * n));
        }
        outgoing.hold_replays();
        outgoing.write_held().expect("the supervisor is there");
        drop(outgoing);
        let mut seqs = Vec::new();
        let mut n_next = 0;
        for line in BufReader::new(supervisor).lines() {
            let line = line.expect("a line");
            if line.contains("span_tag") {
                assert_eq!(line, format!("{{\"seq\":{n_next},\"event\":{{\"span_tag\":{{}}}}}}"));
                n_next += 1;
                continue;
            }
            let frame: Frame = serde_json::from_str(&line).expect("a frame");
            let SpanEvent::Replayed(told) = frame.event else { panic!("{line}") };
            assert_eq!(frame.seq, n_next);
            assert!(told.ran_as.len() <= RANGES_MAX);
            n_next += told.ran_as.iter().map(|range| range.n).sum::<u64>();
            seqs.push((told.parent_id.as_str().to_owned(), told.ran_as.len()));
        }
        let told: Vec<_> = seqs.iter().map(|(parent, n)| (parent.as_str(), *n)).collect();
        assert_eq!(told[..3], [("a1", 2), ("b2", 1), ("b2", 1)]);
        assert!(told[3..].iter().all(|(parent, _)| *parent == "c3") && told.len() > 4);
        assert_eq!(n_next, 1 + 1001 + 1 + 1 + 1 + 3 * RANGES_MAX as u64);
    }
}
