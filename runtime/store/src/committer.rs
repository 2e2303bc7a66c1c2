//! One writer at a time.
//!
//! Whoever writes takes whatever is queued, plans each batch in order, applies all of them at once, makes
//! them durable and only then answers. While it does so the next group gathers: the busier the store, the
//! more batches share one flush.
//!
//! There is a thread that writes. Whoever has nothing better to do writes by itself where nobody writes at
//! that moment, which spares it two changes of thread, and leaves to that thread what has gathered
//! meanwhile.

mod queue;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use hero_schema::PlaySid;
use tokio::sync::{broadcast, oneshot};

use crate::plan::{Group, KnownPlays};
use crate::{Batch, Changes, Commit, Engine, Error, Write};
use queue::{Job, Queue, Reply};

/// The engine, shared with the readers; None once it was closed.
pub(crate) type Shared<E> = Arc<RwLock<Option<E>>>;

/// The writing, as those see it who queue something. Dropped, it finishes what is queued, lets go of the
/// engine, and its thread is gone.
pub(crate) struct Committer<E: Engine> {
    desk: Arc<Desk<E>>,
    thread: Option<JoinHandle<()>>,
}

impl<E: Engine> Committer<E> {
    /// Starts the thread.
    pub(crate) fn start(
        engine: Shared<E>,
        news: broadcast::Sender<PlaySid>,
    ) -> std::io::Result<Self> {
        let writer = Writer { engine, news, known: KnownPlays::default(), stopped: None };
        let desk = Arc::new(Desk { queue: Queue::default(), writer: Mutex::new(writer) });
        let at_work = desk.clone();
        let work = move || {
            let _over = queue::Over(&at_work.queue);
            at_work.work();
        };
        let thread = thread::Builder::new().name("store".into()).spawn(work)?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Queues a batch for the thread. The future returns once it is durable, or refused.
    pub(crate) fn commit(&self, batch: Batch) -> Commit {
        let answer = self.queue(|reply| Job::Commit(batch, reply));
        self.desk.queue.wake_if_awaited();
        Box::pin(outcome(answer))
    }

    /// Queues a batch for whoever is first, this future or the thread.
    pub(crate) fn commit_here(&self, batch: Batch) -> Commit {
        let answer = self.queue(|reply| Job::Commit(batch, reply));
        let queued = Queued(self.desk.clone());
        Box::pin(async move {
            queued.0.write_unless_somebody_does();
            drop(queued);
            outcome(answer).await
        })
    }

    /// Queues a batch.
    pub(crate) fn post(&self, batch: Batch) {
        if self.desk.queue.send(Job::Post(batch)).is_err() {
            tracing::warn!("what was posted after the store was closed is lost");
        }
    }

    /// Returns once everything queued is durable and the engine is gone.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let answer = self.queue(Job::Close);
        self.desk.queue.wake_if_awaited();
        outcome(answer).await
    }

    fn queue(&self, job: impl FnOnce(Reply) -> Job) -> Answer {
        let (reply, answer) = oneshot::channel();
        // A job that nobody takes any more drops its reply.
        let _ = self.desk.queue.send(job(reply));
        answer
    }
}

type Answer = oneshot::Receiver<Result<(), Error>>;

async fn outcome(answer: Answer) -> Result<(), Error> {
    answer.await.unwrap_or(Err(Error::Closed))
}

/// A job that was queued. Dropped, it sees to it that somebody does what is left, also where the one
/// who queued it does not wait.
struct Queued<E: Engine>(Arc<Desk<E>>);

impl<E: Engine> Drop for Queued<E> {
    fn drop(&mut self) {
        self.0.queue.wake_if_awaited();
    }
}

impl<E: Engine> Drop for Committer<E> {
    fn drop(&mut self) {
        self.desk.queue.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of the store panicked");
        }
    }
}

/// Where jobs are queued and written.
struct Desk<E: Engine> {
    queue: Queue,
    writer: Mutex<Writer<E>>,
}

impl<E: Engine> Desk<E> {
    /// Writes what others leave, until no more comes.
    fn work(&self) {
        while self.queue.wait() {
            self.write(self.writer());
        }
        self.writer().let_go();
    }

    /// Whoever writes at this moment looks for more afterwards, and so misses nothing.
    fn write_unless_somebody_does(&self) {
        if let Ok(writer) = self.writer.try_lock() {
            self.write(writer);
        }
    }

    fn write(&self, mut writer: MutexGuard<'_, Writer<E>>) {
        let panics = queue::Over(&self.queue);
        writer.write_jobs(self.queue.take());
        std::mem::forget(panics);
    }

    fn writer(&self) -> MutexGuard<'_, Writer<E>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the one holds who writes.
struct Writer<E> {
    engine: Shared<E>,
    news: broadcast::Sender<PlaySid>,
    known: KnownPlays,
    /// Why nothing is acknowledged any more.
    stopped: Option<String>,
}

impl<E: Engine> Writer<E> {
    fn write_jobs(&mut self, jobs: VecDeque<Job>) {
        let mut closing = None;
        let mut group = Queuers::default();
        for job in jobs {
            match job {
                Job::Commit(batch, reply) => group.add(batch, Some(reply)),
                Job::Post(batch) => group.add(batch, None),
                Job::Close(reply) => closing = Some(reply),
            }
        }
        self.write(group, closing.is_some());
        if let Some(closing) = closing {
            let end = self.stopped.take().map_or(Ok(()), |reason| Err(Error::Stopped(reason)));
            self.let_go();
            // Whoever asked may have gone away.
            let _ = closing.send(end);
        }
    }

    /// Writes a group and tells everyone how it went.
    fn write(&mut self, mut group: Queuers, is_last: bool) {
        let written = match &self.stopped {
            Some(reason) => Err(reason.clone()),
            None => self.try_write(&mut group, is_last).map_err(|error| in_full(&error)),
        };
        match written {
            Ok(touched) => {
                for play in touched {
                    // Nobody may be listening.
                    let _ = self.news.send(play);
                }
            }
            Err(reason) => {
                if self.stopped.is_none() {
                    tracing::error!(reason, "the store stopped writing");
                }
                group.refuse_all(&reason);
                self.stopped = Some(reason);
            }
        }
    }

    /// The plays that were written to.
    fn try_write(&mut self, group: &mut Queuers, is_last: bool) -> Result<HashSet<PlaySid>, Error> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        let engine = engine.as_ref().ok_or(Error::Closed)?;
        let is_awaited = is_last || group.is_anyone_waiting();
        let (results, changes) = plan(engine, &mut self.known, &group.batches);
        let results = unless_io_failed(results)?;
        let touched = group.touched(&results);
        let mut told = Some(results);
        let committed = engine.commit(changes, is_awaited, &mut || {
            group.tell(told.take().unwrap_or_default());
        });
        match committed {
            Ok(()) => Ok(touched),
            // One of them meets with damage, and nothing is written. The others must not suffer from it.
            Err(Error::Damaged { .. }) if told.is_some() => {
                self.known.forget();
                let results = write_each(engine, &mut self.known, &group.batches)?;
                let results = unless_io_failed(results)?;
                let touched = group.touched(&results);
                if is_awaited {
                    engine.sync()?;
                }
                group.tell(results);
                Ok(touched)
            }
            Err(error) => {
                self.known.forget();
                Err(error)
            }
        }
    }

    fn let_go(&mut self) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What became of each batch of a group.
type Results = Vec<Result<(), Error>>;

/// A file that cannot be read fails all of them: what a batch needs to know, no other one can know for
/// sure, and sled does not work on after such an error.
fn unless_io_failed(mut results: Results) -> Result<Results, Error> {
    match results.iter().position(|result| matches!(result, Err(Error::Io { .. }))) {
        Some(index) => results.swap_remove(index).map(|()| results),
        None => Ok(results),
    }
}

/// What becomes of each batch, and what they change together.
fn plan<E: Engine>(engine: &E, known: &mut KnownPlays, batches: &[Batch]) -> (Results, Changes) {
    let mut group = Group::new(engine, known);
    let results = batches.iter().map(|batch| group.add(batch)).collect();
    (results, group.into_changes())
}

/// Applies batches one by one, so that only those are refused that cannot be applied.
fn write_each<E: Engine>(
    engine: &E,
    known: &mut KnownPlays,
    batches: &[Batch],
) -> Result<Results, Error> {
    let mut results = Vec::with_capacity(batches.len());
    for batch in batches {
        let (mut planned, changes) = plan(engine, known, std::slice::from_ref(batch));
        let applied = if changes.is_empty() { Ok(()) } else { engine.apply(changes) };
        match applied.inspect_err(|_| known.forget()) {
            Ok(()) => results.append(&mut planned),
            Err(damaged @ Error::Damaged { .. }) => results.push(Err(damaged)),
            Err(other) => return Err(other),
        }
    }
    Ok(results)
}

/// A group of batches, and who waits for each.
#[derive(Default)]
struct Queuers {
    batches: Vec<Batch>,
    /// None where it was posted. Empty once they were told.
    replies: Vec<Option<Reply>>,
}

impl Queuers {
    fn add(&mut self, batch: Batch, reply: Option<Reply>) {
        self.batches.push(batch);
        self.replies.push(reply);
    }

    fn is_anyone_waiting(&self) -> bool {
        // A refusal also tells of what is stored, so it too waits until that is durable.
        self.replies.iter().any(Option::is_some)
    }

    /// The plays of the batches that were not refused.
    fn touched(&self, results: &Results) -> HashSet<PlaySid> {
        let written = self.batches.iter().zip(results).filter(|(_, result)| result.is_ok());
        let writes = written.flat_map(|(batch, _)| &batch.writes);
        writes.filter_map(play_of).cloned().collect()
    }

    fn tell(&mut self, results: Results) {
        for (reply, result) in self.replies.drain(..).zip(results) {
            match (reply, result) {
                // Whoever asked may have gone away.
                (Some(reply), result) => drop(reply.send(result)),
                (None, Err(error)) => {
                    tracing::warn!(reason = in_full(&error), "what was posted is refused");
                }
                (None, Ok(())) => {}
            }
        }
    }

    fn refuse_all(&mut self, reason: &str) {
        for reply in self.replies.drain(..).flatten() {
            let _ = reply.send(Err(Error::Stopped(reason.to_owned())));
        }
    }
}

fn play_of(write: &Write) -> Option<&PlaySid> {
    match write {
        Write::Play(play) => Some(&play.sid),
        Write::Request(play, _)
        | Write::Outcome(play, _)
        | Write::Span(play, _)
        | Write::Replayed(play, _)
        | Write::Log(play, _)
        | Write::Remove(play) => Some(play),
        Write::Version(_)
        | Write::Workflow(_)
        | Write::Retention(_)
        | Write::NumberedVersion(..)
        | Write::WorkflowChange(..)
        | Write::RemoveWorkflow(_)
        | Write::Schedule(_)
        | Write::Firing(_)
        | Write::RemoveSchedule(_) => None,
    }
}

/// The error and what caused it, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
