"""Waiting for a time: `flow.sleep`, `flow.sleep_until` and `flow.poll`."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from . import _play, _recorded, _step
from ._arguments import type_hints
from ._codec import codec_for
from ._durations import WAIT_IN_PROCESS_SECONDS_MAX, in_words, micros, seconds_of
from ._errors import ArgumentError, PollTimeout
from ._flow import Flow, is_coroutine_function
from ._pause import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._durations import Duration
    from ._play import Play


def sleep(duration: Duration) -> None:
    """See `flow.sleep`."""
    seconds = seconds_of(duration, "flow.sleep")
    play = _play.running
    if play is None:
        time.sleep(seconds)
    elif 0 < seconds <= WAIT_IN_PROCESS_SECONDS_MAX and not _play.has_event_loop():
        _short_sleep(seconds)
    elif seconds > 0:
        request = _timer(play)
        if request.answer() is None:
            request.ask(timeout_micros=micros(seconds), default="null")


def sleep_until(when: datetime) -> None:
    """See `flow.sleep_until`."""
    if not isinstance(when, datetime) or when.utcoffset() is None:
        raise ArgumentError(
            f"flow.sleep_until cannot tell which moment `{when!r}` is",
            "a datetime with its time zone, such as flow.now() + timedelta(days=1)",
        )
    play = _play.running
    # It is asked for even where the time is over, so that every sleep has the same place in each launch.
    request = _timer(play) if play else None
    if request is not None and request.answer() is not None:
        return
    left = seconds_of(max(0.0, (when - datetime.now(timezone.utc)).total_seconds()), "flow.sleep_until")
    if request is None:
        time.sleep(left)
    elif left > WAIT_IN_PROCESS_SECONDS_MAX or (left > 0 and _play.has_event_loop()):
        request.ask(timeout_micros=micros(left), default="null")
    else:
        _wait(left)  # nothing to remember: the next launch finds the time over


def _timer(play: Play) -> Request:
    return Request(play, "sleep", "timer")


def _sleep(seconds: float) -> None:
    _wait(seconds)


def _wait(seconds: float) -> None:
    if not (_play.running and _play.running.is_hurried):
        time.sleep(seconds)


_short_sleep = Flow(_sleep, "pyhero.sleep")


def poll(fn: Callable[[], Any], every: Duration, timeout: Duration | None) -> Any:
    """See `flow.poll`."""
    rounds = _Rounds(fn, every, timeout)
    if is_coroutine_function(fn.function if isinstance(fn, Flow) else fn):
        return _poll_async(rounds)
    for found in rounds:
        rounds.found = found
    return rounds.found


async def _poll_async(rounds: _Rounds) -> Any:
    for awaitable in rounds:
        rounds.found = await awaitable
    return rounds.found


class _Rounds:
    """One look after the other, each remembered, and a sleep between."""

    def __init__(self, fn: Callable[[], Any], every: Duration, timeout: Duration | None) -> None:
        self.found: Any = None
        self._look = _remembered(fn)
        self._every = seconds_of(every, "flow.poll: `every`")
        self._timeout = None if timeout is None else seconds_of(timeout, "flow.poll: `timeout`")

    def __iter__(self) -> Iterator[Any]:
        ends_at = None
        if self._timeout is not None:
            ends_at = _recorded.now() + timedelta(seconds=self._timeout)
        while True:
            yield self._look()
            if self.found is not None:
                return
            left = self._every
            if ends_at is not None:
                # The recorded time: each launch must give up after the same look.
                left = min(left, (ends_at - _recorded.now()).total_seconds())
                if left <= 0:
                    raise PollTimeout(f"flow.poll found nothing in {in_words(self._timeout or 0)}")
            sleep(left)


def _remembered(fn: Callable[[], Any]) -> Callable[[], Any]:
    if isinstance(fn, Flow) or _play.running is None:
        return fn
    play = _play.running
    returns = codec_for(type_hints(fn).get("return", Any))
    is_async = is_coroutine_function(fn)

    def look() -> Any:
        return _step.run(_step.Step(play, "poll", "{}", "step", returns), fn, is_async=is_async)

    return look
