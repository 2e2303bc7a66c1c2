"""Steps that are tried again, tried at most once, or limited in time."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from . import _outcome, _wire
from ._durations import WAIT_IN_PROCESS_SECONDS_MAX, micros, seconds_of
from ._errors import DefinitionError, StepInterrupted
from ._play import Paused, has_event_loop
from ._step import CANCEL_GRACE_SECONDS, Ended, Remember, Wait, run_body

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from ._durations import Duration
    from ._errors import StepTimeout
    from ._step import Act, Life, Step


class Retry:
    """When a step is tried again: `@flow(retry=Retry(on=ConnectionError))`.

    Every attempt has a span of its own and stands by itself: what it called is called again by the next
    one. A failed attempt is remembered, so that a launch that dies goes on with the next. The step itself is
    remembered once an attempt succeeded, raised what *on* does not name, or was the last; the last failure
    is what the step raises. Short waits stay in the process, longer ones hold none.

    The root of a play is not tried again by itself: that is what `Client.retry` does.
    """

    __slots__ = ("attempts", "on", "timeout", "wait_factor", "wait_initial", "wait_jitter", "wait_max")

    def __init__(
        self,
        on: type[Exception] | Iterable[type[Exception]],
        *,
        attempts: int = 3,
        wait_initial: Duration = 1.0,
        wait_max: Duration = 60.0,
        wait_jitter: Duration = 0.1,
        wait_factor: float = 2.0,
        timeout: Duration | None = None,
    ) -> None:
        """Says when and how often.

        Args:
            on: The exceptions after which it is tried again, subclasses included. There is no default: what
                can be repeated is for you to know.
            attempts: How often it is tried in all, at least once.
            wait_initial: How long to wait before the second attempt.
            wait_max: The longest wait.
            wait_jitter: Up to so much is added to each wait by chance, so that many do not try at once.
            wait_factor: How much longer each wait is than the one before, at least 1.
            timeout: How long an attempt may take; one that takes longer is ended, and is tried again
                whatever *on* says. `StepTimeout` is raised after the last. None sets no limit.
        Raises:
            DefinitionError: none of these.
        """
        self.on = tuple([on] if isinstance(on, type) else on)
        if not self.on or not all(
            isinstance(error, type) and issubclass(error, Exception) for error in self.on
        ):
            raise DefinitionError(f"Retry cannot be on `{on!r}`", "exceptions: on=(TimeoutError, OSError)")
        if attempts < 1 or wait_factor < 1:
            raise DefinitionError(
                f"Retry cannot make {attempts} attempts with waits that grow by {wait_factor}",
                "at least 1 each",
            )
        self.attempts = attempts
        self.wait_initial = _seconds("wait_initial", wait_initial)
        self.wait_max = _seconds("wait_max", wait_max)
        self.wait_jitter = _seconds("wait_jitter", wait_jitter)
        self.wait_factor = wait_factor
        self.timeout = None if timeout is None else _seconds("timeout", timeout)
        if self.timeout == 0:
            raise DefinitionError("Retry cannot have a timeout of 0", "None sets no limit")

    def wait_after(self, attempt: int) -> float:
        """How long to wait after this attempt has failed, in seconds, what chance adds left out."""
        try:
            grown: float = self.wait_initial * self.wait_factor ** (attempt - 1)
        except OverflowError:
            grown = self.wait_max
        return min(grown, self.wait_max)

    def __repr__(self) -> str:
        return f"Retry(on={self.on!r}, attempts={self.attempts})"


def _seconds(name: str, duration: object) -> float:
    return seconds_of(duration, f"`{name}` of Retry", DefinitionError)


def guarded(step: Step) -> Life:
    """The life of a step with `retry=` or `timeout=`, up to what is to be remembered."""
    retry = step.options.retry
    limit = _Limit(step)
    if isinstance(retry, Retry):
        return (yield from _attempts(step, retry, limit))
    if retry == "never":
        if (yield from _was_begun(step)):
            return _raising(_interrupted(step))
        step.frame.may_pause = False
    limit.announce()
    return (yield from run_body(step.frame, limit.seconds, limit.timeout))


class _Limit:
    """The time that all attempts at a step may take together.

    What a launch takes that ends before the step does, at a pause or in a crash, does not count; but the
    waits between attempts do, and what led to them.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._began = time.monotonic()
        self._is_announced = False
        self.seconds = step.options.timeout_seconds
        self.timeout = step.timed_out("step", self.seconds or 0)

    @property
    def spent(self) -> float:
        """How much is spent, in seconds."""
        return time.monotonic() - self._began

    @spent.setter
    def spent(self, seconds: float) -> None:
        self._began = time.monotonic() - seconds

    def left(self) -> float:
        """How much is left, in seconds."""
        return float("inf") if self.seconds is None else self.seconds - self.spent

    def announce(self) -> None:
        """Tells the supervisor, once."""
        if self.seconds is not None and not self._is_announced:
            self._is_announced = True
            self._step.limit(self.left(), self.timeout, _grace(self._step))


def _grace(step: Step) -> float:
    return CANCEL_GRACE_SECONDS if step.flow is not None and step.flow.is_async else 0.0


def _was_begun(step: Step) -> Generator[Act, Ended | None, bool]:
    """Whether an earlier launch has begun the step; remembers that this one has."""
    started = step.note("started")
    if started.begin() is not None:
        return True
    yield Remember(started.output_event(_outcome.returned(None)))
    return False


def _interrupted(step: Step) -> StepInterrupted:
    return StepInterrupted(
        f"step `{step.name}` was begun by an earlier launch, which ended before the step did",
        'it has retry="never": find out whether its effect happened',
    )


def _raising(error: Exception) -> Ended:
    return Ended(_outcome.raised(error), error)


def _attempts(step: Step, retry: Retry, limit: _Limit) -> Life:
    """Tries until an attempt ends the step."""
    ended = _raising(limit.timeout)
    for n in range(1, retry.attempts + 1):
        attempt = step.attempt(n)
        is_over = step.play.steps.take(attempt.key) is not None
        if n > 1:
            yield from _waited(step, n - 1, retry, limit, is_over=is_over)
        if limit.left() <= 0 and not is_over:
            return _raising(limit.timeout)
        remembered = attempt.begin()
        if remembered is not None:  # it is to be followed by another one, or was ended by the supervisor
            ended = Ended(remembered)
            continue
        limit.announce()
        attempt.frame.attempt = n
        attempt.frame.step_key = step.key  # what is outside shall see one step, however often it is tried
        seconds, timeout = _limit_of(attempt, step, n, retry, limit)
        ended = yield from run_body(attempt.frame, seconds, timeout)
        is_retried = isinstance(ended.error, retry.on) or ended.error is timeout
        if n == retry.attempts or not is_retried or ended.error is limit.timeout:
            _show_end(attempt, ended)
            return ended
        yield Remember(attempt.output_event(ended.outcome))
    return ended


def _limit_of(
    attempt: Step, step: Step, n: int, retry: Retry, limit: _Limit
) -> tuple[float | None, StepTimeout]:
    """How long an attempt may take, and what it raises then."""
    if retry.timeout is None or retry.timeout >= limit.left():
        return (None if limit.seconds is None else limit.left()), limit.timeout
    timeout = step.timed_out(f"attempt {n} at step", retry.timeout)
    attempt.limit(retry.timeout, timeout, _grace(step))
    return retry.timeout, timeout


def _chance() -> float:
    """A random number in [0, 1); neither `random.seed` in a flow nor a fork makes all plays try at once."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def _show_end(attempt: Step, ended: Ended) -> None:
    status = "ok" if ended.error is None else "failed"
    error = None if ended.error is None else _outcome.exception_json(ended.error)
    attempt.play.journal.send(_wire.span_end(attempt.frame.span_id, status, error))


def _waited(
    step: Step, n: int, retry: Retry, limit: _Limit, *, is_over: bool
) -> Generator[Act, Ended | None, None]:
    """Waits after attempt *n*: here, or without a process; not where the next attempt is over."""
    seconds = retry.wait_after(n)
    is_async = step.flow is not None and step.flow.is_async
    # Chance has no say in where the wait takes place, so that each launch looks for it in the same one.
    is_short = seconds <= WAIT_IN_PROCESS_SECONDS_MAX and (is_async or not has_event_loop())
    wait = max(0.0, min(seconds + _chance() * retry.wait_jitter, limit.left()))
    if is_short:
        if not is_over and not step.play.is_hurried:
            yield Wait(wait)
        return
    if limit.seconds is not None:
        yield from _note_spent(step, n, wait, limit)
    if is_over:
        return
    from ._pause import Request

    request = Request(step.play, "retry", "retry", step.frame, n)
    if request.answer() is not None:
        return
    try:
        request.ask(timeout_micros=micros(wait), default="null")
    except Paused:
        step.play.stop_clock(step.frame)
        raise


def _note_spent(step: Step, n: int, wait: float, limit: _Limit) -> Generator[Act, Ended | None, None]:
    """Remembers how much of its time the step has spent once it has waited after attempt *n*."""
    note = step.note("waited", f'{{"n":{n}}}')
    known = note.begin()
    if known is not None:
        limit.spent = json.loads(known)["returned"]
        return
    yield Remember(note.output_event(_outcome.returned(limit.spent + wait)))
