"""Durations, as people write them: seconds, or a `timedelta`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Union

from ._errors import ArgumentError

if TYPE_CHECKING:
    from datetime import timedelta

Duration = Union[float, "timedelta"]
"""Seconds, or a `timedelta`."""

SECONDS_MAX = 100 * 366 * 24 * 3600
"""A hundred years: more is a mistake in the unit."""

WAIT_IN_PROCESS_SECONDS_MAX = 2.0
"""Up to here a wait stays in the process; a longer one holds none."""


def seconds_of(duration: Any, what: str, refuse: type[Exception] = ArgumentError) -> float:
    """The duration in seconds; *what* names it in the error.

    Raises:
        ArgumentError (or *refuse*): no duration, a negative one, or one of more than a hundred years.
    """
    hint = "seconds, such as 1.5, or a datetime.timedelta"
    datetime = sys.modules.get("datetime")
    if datetime is not None and isinstance(duration, datetime.timedelta):  # who imported none, has none
        seconds = float(duration.total_seconds())
    elif isinstance(duration, (int, float)) and not isinstance(duration, bool):
        seconds = float(min(duration, 2.0 * SECONDS_MAX))
    else:
        raise refuse(f"{what} cannot be `{duration!r}`", hint)
    if not 0 <= seconds <= SECONDS_MAX:  # also refuses what is not a number
        raise refuse(f"{what} cannot be {duration}: at least 0 and at most a hundred years", hint)
    return seconds


def micros(seconds: float) -> int:
    """The seconds as the wire has them."""
    return round(seconds * 1_000_000)


def in_words(seconds: float) -> str:
    """The seconds for a message."""
    return f"{seconds:g} s"
