//! The socket on which launches report.
//!
//! One listener serves all launches. A connection proves by the token in its first frame which
//! launch it speaks for, and is then handed to that launch; anything else is refused and closed.

use std::collections::HashMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hero_schema::child::PROTOCOL;
use hero_schema::frame::{FRAME_BYTES_MAX, Frame, Hello, Reply, SpanEvent};
use hero_schema::{LaunchNumber, PlaySid};
use interprocess::local_socket::tokio::{Listener, Stream, prelude::*};
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Error;

/// How long a new connection may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest first frame, in bytes: whoever has not said hello gets no memory.
const HELLO_BYTES_MAX: usize = 4096;

/// How long to wait before accepting again after an error, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listener and the launches that it waits for.
pub(crate) struct SpanSocket {
    expected: Arc<Expected>,
    accepting: JoinHandle<()>,
}

type Expected = Mutex<HashMap<String, Guest>>;

struct Guest {
    play: PlaySid,
    launch: LaunchNumber,
    door: oneshot::Sender<Connection>,
}

/// A launch's connection, its hello read and not yet acknowledged: the launch may be over right after
/// that, so whoever records it has to be there before.
pub(crate) struct Connection {
    /// What the launch says.
    pub(crate) frames: FrameReader,
    /// What it is told.
    pub(crate) replies: ReplyWriter,
}

impl SpanSocket {
    /// Binds the socket; one that an earlier supervisor left is replaced. The caller holds the data
    /// directory, so no other supervisor can be using it.
    pub(crate) fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::SpanSocket { path: path.to_owned(), source };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let name = path.to_fs_name::<GenericFilePath>().map_err(failed)?;
        let listener = ListenerOptions::new().name(name).create_tokio().map_err(failed)?;
        // The directory keeps strangers out already; this is for one that is shared by mistake.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let expected = Arc::<Expected>::default();
        let accepting = tokio::spawn(accept_all(listener, Arc::clone(&expected)));
        Ok(Self { expected, accepting })
    }

    /// Waits for the connection of a launch, which comes once at the most.
    pub(crate) fn expect(
        &self,
        token: &str,
        play: &PlaySid,
        launch: LaunchNumber,
    ) -> Expectation<'_> {
        let (door, arrived) = oneshot::channel();
        let guest = Guest { play: play.clone(), launch, door };
        lock(&self.expected).insert(token.to_owned(), guest);
        Expectation { expected: &self.expected, token: token.to_owned(), arrived }
    }
}

impl Drop for SpanSocket {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A launch that is waited for, until this is dropped.
pub(crate) struct Expectation<'a> {
    expected: &'a Expected,
    token: String,
    arrived: oneshot::Receiver<Connection>,
}

impl Expectation<'_> {
    /// The connection; pending until it comes. Not to be asked again after that.
    pub(crate) async fn connection(&mut self) -> Connection {
        match (&mut self.arrived).await {
            Ok(connection) => connection,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Expectation<'_> {
    fn drop(&mut self) {
        lock(self.expected).remove(&self.token);
    }
}

fn lock(expected: &Expected) -> MutexGuard<'_, HashMap<String, Guest>> {
    expected.lock().expect("nobody panics while holding this lock")
}

async fn accept_all(listener: Listener, expected: Arc<Expected>) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let expected = Arc::clone(&expected);
                tokio::spawn(async move {
                    if tokio::time::timeout(HELLO_TIMEOUT, admit(stream, &expected)).await.is_err()
                    {
                        tracing::warn!("a connection to the span socket said no hello in time");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "span socket cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn admit(stream: Stream, expected: &Expected) {
    let (receiver, sender) = tokio::io::split(stream);
    let mut frames = FrameReader::new(receiver);
    let mut replies = ReplyWriter { sender };
    let first = frames.next_within(HELLO_BYTES_MAX).await;
    let guest = match &first {
        Ok(Some(line)) => guest_of(line, expected),
        _ => Err("the connection ended before its hello".to_owned()),
    };
    match guest {
        // A launch that ended meanwhile has closed its door.
        Ok(guest) => drop(guest.door.send(Connection { frames, replies })),
        Err(message) => {
            tracing::warn!(message, "span socket refused a connection");
            let _ = replies.send(&Reply::Refused { seq: 0, message }).await;
        }
    }
}

fn guest_of(line: &[u8], expected: &Expected) -> Result<Guest, String> {
    let frame: Frame =
        serde_json::from_slice(line).map_err(|error| format!("no hello frame: {error}"))?;
    let SpanEvent::Hello(Hello { protocol, play, launch, token }) = frame.event else {
        return Err("the first frame is no hello".into());
    };
    if protocol != PROTOCOL {
        return Err(format!(
            "this `pyhero` speaks protocol {protocol}, the supervisor {PROTOCOL}: install matching versions"
        ));
    }
    let mut expected = lock(expected);
    match expected.get(&token) {
        Some(guest) if guest.play == play && guest.launch == launch => {
            Ok(expected.remove(&token).expect("it was there a line ago"))
        }
        _ => Err(format!("launch {launch} of play `{play}` is not expected here")),
    }
}

/// Reads frames line by line, and never more of a line than is allowed.
pub(crate) struct FrameReader {
    receiver: BufReader<ReadHalf<Stream>>,
    line: Vec<u8>,
}

impl FrameReader {
    fn new(receiver: ReadHalf<Stream>) -> Self {
        Self { receiver: BufReader::with_capacity(64 * 1024, receiver), line: Vec::new() }
    }

    /// The next line without its end; None at the end of the stream, where half a line is dropped.
    ///
    /// Cancel-safe: what was read of a line is kept for the next call.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.next_within(FRAME_BYTES_MAX).await
    }

    /// Whether the next line has come already.
    pub(crate) fn has_next(&self) -> bool {
        self.receiver.buffer().contains(&b'\n')
    }

    /// Reads on to the end of the stream and forgets what comes: a launch that is being ended must not
    /// find its connection closed before its process has said its last words.
    pub(crate) async fn discard(&mut self) {
        let _ = tokio::io::copy(&mut self.receiver, &mut tokio::io::sink()).await;
    }

    async fn next_within(&mut self, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let room = (bytes_max + 1).saturating_sub(self.line.len()) as u64;
        let n_read = (&mut self.receiver).take(room).read_until(b'\n', &mut self.line).await?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some(std::mem::take(&mut self.line)));
        }
        if n_read > 0 && self.line.len() > bytes_max {
            return Err(io::Error::other(format!("a frame is longer than {bytes_max} bytes")));
        }
        Ok(None)
    }
}

/// Writes replies line by line.
pub(crate) struct ReplyWriter {
    sender: WriteHalf<Stream>,
}

impl ReplyWriter {
    /// Sends one reply.
    pub(crate) async fn send(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.sender.write_all(&line).await
    }
}
