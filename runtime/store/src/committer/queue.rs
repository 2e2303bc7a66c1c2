//! What waits to be written.
//!
//! Whoever commits sees to it that it is written. What is only posted gathers: it goes with the next
//! commit, or by itself once it has waited for a while, and wakes the writing thread only where that
//! sleeps soundly. So a step costs one write, though it posts its span before its outcome.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::{Batch, Error};

/// How many batches are taken together. More would make the first of them wait for too long.
const GROUP_BATCHES_MAX: usize = 1024;

/// How long what was posted waits for a commit to go with: live readers see it after that.
const GATHERING: Duration = Duration::from_millis(50);

/// How much may have gathered by then.
const GATHERED_MAX: usize = 256;

/// What the writing thread is asked to do.
pub(super) enum Job {
    Commit(Batch, Reply),
    Post(Batch),
    Close(Reply),
}

pub(super) type Reply = oneshot::Sender<Result<(), Error>>;

/// The jobs, in order.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    has_work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Whether someone waits for one of them.
    is_awaited: bool,
    /// Since when the oldest of them is here.
    since: Option<Instant>,
    sleep: Sleep,
    /// Whether no more come.
    has_ended: bool,
}

/// What the writing thread does.
#[derive(Clone, Copy, Default, PartialEq)]
enum Sleep {
    #[default]
    Awake,
    /// It looks again by itself within [`GATHERING`].
    Light,
    Sound,
}

impl State {
    /// Whether the thread is to write now, or else how long it may sleep; None for ever.
    fn rest(&self) -> Result<(), Option<Duration>> {
        if self.is_awaited || self.has_ended || self.jobs.len() >= GATHERED_MAX {
            return Ok(());
        }
        let Some(since) = self.since else { return Err(None) };
        match GATHERING.checked_sub(since.elapsed()).filter(|rest| !rest.is_zero()) {
            Some(rest) => Err(Some(rest)),
            None => Ok(()),
        }
    }
}

impl Queue {
    /// Adds a job, or drops it where nobody takes it any more. Nothing comes after the last.
    pub(super) fn send(&self, job: Job) -> Result<(), Error> {
        let mut state = self.state();
        if state.has_ended {
            return Err(Error::Closed);
        }
        if state.jobs.is_empty() {
            state.since = Some(Instant::now());
        }
        let is_posted = matches!(job, Job::Post(_));
        state.is_awaited |= !is_posted;
        state.has_ended |= matches!(job, Job::Close(_));
        state.jobs.push_back(job);
        let wakes = is_posted
            && (state.sleep == Sleep::Sound
                || state.sleep == Sleep::Light && state.jobs.len() >= GATHERED_MAX);
        if wakes {
            self.wake(state);
        }
        Ok(())
    }

    /// Has the thread write what somebody waits for.
    pub(super) fn wake_if_awaited(&self) {
        let state = self.state();
        if (state.is_awaited || state.has_ended) && state.sleep != Sleep::Awake {
            self.wake(state);
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        // It is awake as good as now; whoever comes next need not wake it again.
        state.sleep = Sleep::Awake;
        drop(state);
        self.has_work.notify_one();
    }

    /// Returns true once there is something to write, and false where there never will be.
    pub(super) fn wait(&self) -> bool {
        let mut state = self.state();
        // Where something was just written, more is about to come: a light sleep is not disturbed
        // by what is posted.
        let mut was_patient = false;
        loop {
            match state.rest() {
                Ok(()) => return !state.jobs.is_empty(),
                Err(None) if was_patient => {
                    state.sleep = Sleep::Sound;
                    state = self.has_work.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Err(rest) => {
                    was_patient |= rest.is_none();
                    state.sleep = Sleep::Light;
                    let woken = self.has_work.wait_timeout(state, rest.unwrap_or(GATHERING));
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
            state.sleep = Sleep::Awake;
        }
    }

    /// The next jobs that are to be done together.
    pub(super) fn take(&self) -> VecDeque<Job> {
        let mut state = self.state();
        let n_jobs = state.jobs.len().min(GROUP_BATCHES_MAX);
        let rest = state.jobs.split_off(n_jobs);
        let jobs = std::mem::replace(&mut state.jobs, rest);
        state.is_awaited = state.jobs.iter().any(|job| !matches!(job, Job::Post(_)));
        state.since = state.since.filter(|_| !state.jobs.is_empty());
        jobs
    }

    /// Lets no more jobs come. What is here is still done.
    pub(super) fn end(&self) {
        self.state().has_ended = true;
        self.has_work.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the writing thread. Dropped, also by a panic, it drops what nobody will do any more.
pub(super) struct Over<'a>(pub(super) &'a Queue);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.end();
        let undone = std::mem::take(&mut self.0.state().jobs);
        drop(undone);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn post(queue: &Queue) {
        queue.send(Job::Post(Batch::default())).expect("it is open");
    }

    fn commit(queue: &Queue) {
        let (reply, _) = oneshot::channel();
        queue.send(Job::Commit(Batch::default(), reply)).expect("it is open");
    }

    fn kinds(jobs: VecDeque<Job>) -> Vec<&'static str> {
        let kind = |job| match job {
            Job::Post(_) => "post",
            Job::Commit(..) => "commit",
            Job::Close(_) => "close",
        };
        jobs.into_iter().map(kind).collect()
    }

    fn next(queue: &Queue) -> Option<Vec<&'static str>> {
        queue.wait().then(|| kinds(queue.take()))
    }

    #[test]
    fn what_is_posted_goes_with_the_next_commit_in_order() {
        let queue = Queue::default();
        post(&queue);
        post(&queue);
        commit(&queue);
        post(&queue);
        assert_eq!(next(&queue).expect("work"), ["post", "post", "commit", "post"]);
    }

    #[test]
    fn what_is_only_posted_goes_by_itself_after_a_while_or_once_it_is_much() {
        let queue = Queue::default();
        let began = Instant::now();
        post(&queue);
        post(&queue);
        assert_eq!(next(&queue).expect("work"), ["post", "post"]);
        assert!(began.elapsed() >= GATHERING);
        (0..GATHERED_MAX).for_each(|_| post(&queue));
        assert_eq!(next(&queue).expect("work").len(), GATHERED_MAX);
    }

    #[test]
    fn no_more_than_a_group_is_taken_at_once_and_nothing_is_left_behind() {
        let queue = Queue::default();
        (0..=GROUP_BATCHES_MAX).for_each(|_| commit(&queue));
        queue.end();
        assert_eq!(next(&queue).expect("work").len(), GROUP_BATCHES_MAX);
        assert_eq!(next(&queue).expect("work"), ["commit"]);
        assert!(next(&queue).is_none());
        assert!(queue.send(Job::Post(Batch::default())).is_err());
    }

    #[test]
    fn nothing_comes_after_the_last() {
        let queue = Queue::default();
        commit(&queue);
        let (reply, _) = oneshot::channel();
        queue.send(Job::Close(reply)).expect("it is open");
        assert!(queue.send(Job::Post(Batch::default())).is_err());
        assert_eq!(next(&queue).expect("work"), ["commit", "close"]);
        assert!(next(&queue).is_none());
    }

    #[test]
    fn whoever_sleeps_is_woken_by_the_first_post_and_by_what_is_awaited() {
        let queue = Arc::new(Queue::default());
        let taking = queue.clone();
        let taker = thread::spawn(move || [next(&taking), next(&taking)]);
        while queue.state().sleep != Sleep::Sound {
            thread::yield_now();
        }
        post(&queue);
        // It gathers, and sleeps lightly meanwhile or writes already.
        while !queue.state().jobs.is_empty() {
            thread::yield_now();
        }
        commit(&queue);
        queue.wake_if_awaited();
        let taken = taker.join().expect("it ends").map(Option::unwrap_or_default);
        assert_eq!(taken, [["post"], ["commit"]]);
    }
}
