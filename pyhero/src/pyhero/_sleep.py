"""Waiting for a time: `flow.sleep`, `flow.sleep_until` and `flow.poll`."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import _play, _step
from ._arguments import type_hints
from ._codec import codec_for
from ._durations import WAIT_IN_PROCESS_SECONDS_MAX, in_words, micros, seconds_of
from ._errors import ArgumentError, PollTimeout
from ._flow import Flow, is_coroutine_function
from ._pause import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._durations import Duration
    from ._play import Play


def sleep(duration: Duration) -> None:
    """See `flow.sleep`."""
    seconds = seconds_of(duration, "flow.sleep")
    play = _play.running
    if play is None:
        time.sleep(seconds)
    elif seconds > 0:
        if seconds <= WAIT_IN_PROCESS_SECONDS_MAX and not _play.has_event_loop():
            _short_sleep(seconds)
        else:
            _wait_without_process(_timer(play), seconds)
        _play.skip(seconds)


def sleep_until(when: datetime) -> None:
    """See `flow.sleep_until`."""
    if not isinstance(when, datetime) or when.utcoffset() is None:
        raise ArgumentError(
            f"flow.sleep_until cannot tell which moment `{when!r}` is",
            "a datetime with its time zone, such as flow.now() + timedelta(days=1)",
        )
    play = _play.running
    # It is there even where the time is over, so that every sleep has the same place in each launch.
    request = _timer(play) if play else None
    seconds = seconds_of(max(0.0, when.timestamp() - _play.now()), "flow.sleep_until")
    if request is None:
        time.sleep(seconds)
        return
    if seconds > WAIT_IN_PROCESS_SECONDS_MAX or (seconds > 0 and _play.has_event_loop()):
        _wait_without_process(request, seconds)
    elif request.answer() is None:
        _sleep(seconds)  # nothing to remember: the next launch finds the time over
    _play.skip(seconds)


def _timer(play: Play) -> Request:
    return Request(play, "sleep", "timer")


def _wait_without_process(timer: Request, seconds: float) -> None:
    if timer.answer() is None:
        timer.ask(timeout_micros=micros(seconds), default="null")


def _sleep(seconds: float) -> None:
    if not (_play.running and _play.running.is_hurried):
        time.sleep(seconds)


_short_sleep = Flow(_sleep, "pyhero.sleep")


def poll(fn: Callable[[], Any], every: Duration, timeout: Duration | None) -> Any:
    """See `flow.poll`."""
    is_async = is_coroutine_function(fn.function if isinstance(fn, Flow) else fn)
    rounds = _Rounds(fn, every, timeout, is_async=is_async)
    function = rounds.run_async if is_async else rounds.run
    play = _play.running
    if play is None:
        return function()
    return _step.run(_step.Step(play, "poll", "{}", "step", rounds.returns), function, is_async=is_async)


class _Rounds:
    """One look after the other, each remembered, and a sleep between."""

    def __init__(
        self, fn: Callable[[], Any], every: Duration, timeout: Duration | None, *, is_async: bool
    ) -> None:
        self._fn = fn
        self._is_async = is_async
        self._every = seconds_of(every, "flow.poll: `every`")
        self._timeout = None if timeout is None else seconds_of(timeout, "flow.poll: `timeout`")
        self.returns = fn.returns if isinstance(fn, Flow) else codec_for(type_hints(fn).get("return", Any))

    def run(self) -> Any:
        """Looks until there is something."""
        began = None if self._timeout is None else _noted_now()
        while (found := self._look()) is None:
            self._sleep(began)
        return found

    async def run_async(self) -> Any:
        """The same with a function that is awaited."""
        began = None if self._timeout is None else _noted_now()
        while (found := await self._look()) is None:
            self._sleep(began)
        return found

    def _look(self) -> Any:
        play = _play.running
        if play is None or isinstance(self._fn, Flow):
            return self._fn()
        step = _step.Step(play, "look", "{}", "step", self.returns)
        return _step.run(step, self._fn, is_async=self._is_async)

    def _sleep(self, began: float | None) -> None:
        left = self._every
        if began is not None and self._timeout is not None:
            left = min(left, began + self._timeout - _noted_now())
            if left <= 0:
                raise PollTimeout(f"flow.poll found nothing in {in_words(self._timeout)}")
        sleep(left)


def _noted_now() -> float:
    """The time, remembered: each launch must give up after the same look. A play that is tried again has the
    whole time again."""
    play = _play.running
    frame = _play.frame_in(play) if play else None
    if play is None or frame is None:
        return _play.now()
    n = frame.occurrences.next("note", "time")
    step = _step.Step(play, "time", f'{{"n":{n}}}', "other", parent=frame.aside())
    now: float = _step.run(step, _play.now)
    return now
