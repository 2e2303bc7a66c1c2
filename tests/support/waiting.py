"""Waiting for conditions. Tests never sleep for a while and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.01


def eventually(look: Callable[[], T], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> T:
    """The first true answer of *look*.

    Args:
        what: Completes "waited in vain for …".
        deadline_seconds: After so long the test fails.
    """
    deadline = time.monotonic() + deadline_seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {deadline_seconds:g} s in vain for {what}; last seen: {seen!r}")
        time.sleep(_LOOK_AGAIN_SECONDS)
    return seen
