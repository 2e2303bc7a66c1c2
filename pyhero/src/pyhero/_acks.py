"""Waiting for acknowledgements without blocking an event loop.

Asyncio steps hand their wait to one thread, which waits for them in turn: acknowledgements come in the
order of the frames, so no step waits longer for standing in line, and a hundred of them share one flush.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._play import Journal, Play


class _Wait(NamedTuple):
    journal: Journal
    seq: int
    loop: asyncio.AbstractEventLoop
    answered: asyncio.Future[str | None]


_waits: queue.SimpleQueue[_Wait] = queue.SimpleQueue()
_start = threading.Lock()
_thread: threading.Thread | None = None


async def acknowledged(journal: Journal, event: str) -> str | None:
    """Sends an event and returns, once it is durable, the answer it brought."""
    loop = asyncio.get_running_loop()
    wait = _Wait(journal, journal.send(event), loop, loop.create_future())
    _waits.put(wait)
    _ensure_thread()
    return await wait.answered


@contextlib.contextmanager
def open_step(play: Play) -> Iterator[None]:
    """Notes that a step is under way, for a root flow that pauses meanwhile."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    play.open_steps.add(ended)
    try:
        yield
    finally:
        play.open_steps.discard(ended)
        ended.set_result(None)


def _ensure_thread() -> None:
    global _thread
    with _start:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_serve, name="pyhero-acks", daemon=True)
            _thread.start()


def _serve() -> None:
    while True:
        wait = _waits.get()
        answer, error = None, None
        try:
            answer = wait.journal.wait(wait.seq)
        except BaseException as abandoned:  # this is how `pyhero.testing` ends a run early
            error = abandoned
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            wait.loop.call_soon_threadsafe(_settle, wait.answered, answer, error)


def _settle(answered: asyncio.Future[str | None], answer: str | None, error: BaseException | None) -> None:
    if answered.done():  # the step was cancelled
        return
    if error is None:
        answered.set_result(answer)
    else:
        answered.set_exception(error)
