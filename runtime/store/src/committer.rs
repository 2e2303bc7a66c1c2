//! The one thread that writes.
//!
//! It takes whatever is queued, plans each batch in order, applies all of them at once, makes them
//! durable and only then answers. While it does so the next group gathers: the busier the store, the
//! more batches share one flush. It needs no async runtime.

mod queue;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use hero_schema::PlaySid;
use tokio::sync::{broadcast, oneshot};

use crate::plan::{Group, KnownPlays};
use crate::{Batch, Engine, Error, Write};
use queue::{Job, Queue, Reply};

/// The engine, shared with the readers; None once it was closed.
pub(crate) type Shared<E> = Arc<RwLock<Option<E>>>;

/// The writing thread, as those see it who queue something. Dropped, it finishes what is queued,
/// lets go of the engine and is gone.
pub(crate) struct Committer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start<E: Engine>(
        engine: Shared<E>,
        news: broadcast::Sender<PlaySid>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let jobs = queue.clone();
        let mut worker = Worker { engine, news, known: KnownPlays::default(), stopped: None };
        let work = move || {
            let _over = queue::Over(&jobs);
            worker.run(&jobs);
        };
        let thread = thread::Builder::new().name("store".into()).spawn(work)?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Returns once the batch is durable, or refused.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), Error> {
        self.ask(|reply| Job::Commit(batch, reply)).await
    }

    /// Queues a batch.
    pub(crate) fn post(&self, batch: Batch) {
        if self.queue.send(Job::Post(batch)).is_err() {
            tracing::warn!("what was posted after the store was closed is lost");
        }
    }

    /// Returns once everything queued is durable and the engine is gone.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        self.ask(Job::Close).await
    }

    async fn ask(&self, job: impl FnOnce(Reply) -> Job) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        // A job that nobody takes any more drops its reply.
        let _ = self.queue.send(job(reply));
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.queue.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of the store panicked");
        }
    }
}

/// What the thread holds.
struct Worker<E> {
    engine: Shared<E>,
    news: broadcast::Sender<PlaySid>,
    known: KnownPlays,
    /// Why nothing is acknowledged any more.
    stopped: Option<String>,
}

impl<E: Engine> Worker<E> {
    fn run(&mut self, queue: &Queue) {
        while let Some(jobs) = queue.take() {
            let mut waiting = Waiting::default();
            let mut batches = Vec::with_capacity(jobs.len());
            for job in jobs {
                match job {
                    Job::Commit(batch, reply) => batches.push((batch, Some(reply))),
                    Job::Post(batch) => batches.push((batch, None)),
                    Job::Close(reply) => {
                        waiting.closing = Some(reply);
                        break;
                    }
                }
            }
            self.write(batches, &mut waiting);
            if let Some(closing) = waiting.closing {
                let end = self.stopped.take().map_or(Ok(()), |reason| Err(Error::Stopped(reason)));
                self.let_go();
                // Whoever asked may have gone away.
                let _ = closing.send(end);
                return;
            }
        }
        self.let_go();
    }

    /// Writes a group and tells everyone how it went.
    fn write(&mut self, batches: Vec<(Batch, Option<Reply>)>, waiting: &mut Waiting) {
        let mut touched = HashSet::new();
        let result = match &self.stopped {
            Some(reason) => {
                waiting.accepted.extend(batches.into_iter().filter_map(|(_, reply)| reply));
                Err(reason.clone())
            }
            None => self.try_write(batches, waiting, &mut touched).map_err(|error| in_full(&error)),
        };
        if let Err(reason) = result {
            if self.stopped.is_none() {
                tracing::error!(reason, "the store stopped writing");
            }
            waiting.refuse_all(&reason);
            self.stopped = Some(reason);
            return;
        }
        waiting.acknowledge_all();
        for play in touched {
            // Nobody may be listening.
            let _ = self.news.send(play);
        }
    }

    fn try_write(
        &mut self,
        batches: Vec<(Batch, Option<Reply>)>,
        waiting: &mut Waiting,
        touched: &mut HashSet<PlaySid>,
    ) -> Result<(), Error> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        let engine = engine.as_ref().ok_or(Error::Closed)?;
        let (batches, replies): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let results = match write_together(engine, &mut self.known, &batches) {
            // One of them meets with damage. The others must not suffer from it.
            Err(Error::Damaged { .. }) => write_each(engine, &mut self.known, &batches),
            results => results,
        };
        let results = match results.and_then(unless_io_failed) {
            Ok(results) => results,
            Err(error) => {
                waiting.accepted.extend(replies.into_iter().flatten());
                return Err(error);
            }
        };
        for ((batch, reply), result) in batches.iter().zip(replies).zip(results) {
            match result {
                Ok(()) => {
                    touched.extend(batch.writes.iter().filter_map(play_of).cloned());
                    waiting.accepted.extend(reply);
                }
                Err(error) => waiting.refuse(reply, error),
            }
        }
        if waiting.is_anyone_waiting() { engine.sync() } else { Ok(()) }
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

/// Plans batches and applies them at once.
///
/// # Errors
/// As [`Engine::apply`].
fn write_together<E: Engine>(
    engine: &E,
    known: &mut KnownPlays,
    batches: &[Batch],
) -> Result<Results, Error> {
    let mut group = Group::new(engine, known);
    let results = batches.iter().map(|batch| group.add(batch)).collect();
    let changes = group.into_changes();
    if !changes.is_empty() {
        engine.apply(changes).inspect_err(|_| known.forget())?;
    }
    Ok(results)
}

/// The same one by one, so that only those are refused that cannot be applied.
fn write_each<E: Engine>(
    engine: &E,
    known: &mut KnownPlays,
    batches: &[Batch],
) -> Result<Results, Error> {
    let mut results = Vec::with_capacity(batches.len());
    for batch in batches {
        match write_together(engine, known, std::slice::from_ref(batch)) {
            Ok(result) => results.extend(result),
            Err(damaged @ Error::Damaged { .. }) => results.push(Err(damaged)),
            Err(other) => return Err(other),
        }
    }
    Ok(results)
}

/// Who waits for a group.
#[derive(Default)]
struct Waiting {
    accepted: Vec<Reply>,
    refused: Vec<(Reply, Error)>,
    closing: Option<Reply>,
}

impl Waiting {
    fn is_anyone_waiting(&self) -> bool {
        // A refusal also tells of what is stored, so it too waits until that is durable.
        !self.accepted.is_empty() || !self.refused.is_empty() || self.closing.is_some()
    }

    fn refuse(&mut self, reply: Option<Reply>, error: Error) {
        match reply {
            Some(reply) => self.refused.push((reply, error)),
            None => tracing::warn!(reason = in_full(&error), "what was posted is refused"),
        }
    }

    fn acknowledge_all(&mut self) {
        for reply in self.accepted.drain(..) {
            let _ = reply.send(Ok(()));
        }
        for (reply, error) in self.refused.drain(..) {
            let _ = reply.send(Err(error));
        }
    }

    fn refuse_all(&mut self, reason: &str) {
        let refused = self.refused.drain(..).map(|(reply, _)| reply);
        for reply in self.accepted.drain(..).chain(refused) {
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
        | Write::Log(play, _)
        | Write::Remove(play) => Some(play),
        Write::Version(_)
        | Write::Workflow(_)
        | Write::Retention(_)
        | Write::NumberedVersion(..)
        | Write::WorkflowChange(..)
        | Write::RemoveWorkflow(_) => None,
    }
}

/// The error and what caused it, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
