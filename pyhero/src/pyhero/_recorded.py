"""What differs each time it is asked: drawn once in a step, the same in every launch."""

from __future__ import annotations

from datetime import datetime, timezone
from random import SystemRandom
from uuid import UUID, uuid4

from . import _play
from ._flow import Flow

_chance = SystemRandom()  # neither `random.seed` in a flow nor a fork makes it repeat itself


def _now() -> datetime:
    return datetime.fromtimestamp(_play.now(), timezone.utc)


def _uuid4() -> UUID:
    return uuid4()


def _random() -> float:
    return _chance.random()


now = Flow(_now, "pyhero.now")
"""The time of the first run, aware, in UTC."""
uuid = Flow(_uuid4, "pyhero.uuid4")
"""A random UUID."""
random = Flow(_random, "pyhero.random")
"""A random number in [0, 1)."""
