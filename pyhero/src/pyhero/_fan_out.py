"""Several branches of a flow at once: `flow.parallel` and `flow.map`.

In sync code they are threads, in an event loop tasks. Each branch stands in a path of its own, so that which
call is which does not depend on who comes first.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from . import _native, _outcome, _play, _wire
from ._errors import ArgumentError, DefinitionError
from ._play import Frame, Paused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

THREADS_MAX = 32
"""How many threads work at a fan-out that sets no limit."""


def fan_out(name: str, thunks: Iterable[Callable[[], Any]], limit: int | None) -> Any:
    """Calls each; a list of what they return, in order, or a coroutine that gives it."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ArgumentError(f"flow.{name} cannot have the limit `{limit!r}`", "at least 1; None sets none")
    play = _play.running
    frame = _play.frame_in(play) if play else None
    if play and not frame:
        raise DefinitionError(
            f"flow.{name} is called while its file is being imported", "call it inside of a flow"
        )
    block = _block(frame, name) if frame else None
    branches = [_Branch(index, thunk, block) for index, thunk in enumerate(thunks)]
    for branch in branches:
        if not callable(branch.thunk):
            raise ArgumentError(
                f"flow.{name} cannot call `{branch.thunk!r}`", "functions: flow.parallel(lambda: f(1), …)"
            )
    together = _Together(name, branches, block)
    if _play.has_event_loop():
        return _run_tasks(together, limit)
    _run_threads(together, limit or THREADS_MAX)
    return together.results()


def _block(frame: Frame, name: str) -> Frame:
    frame.play.check_not_paused(frame)
    n = frame.occurrences.next("block", name)
    return frame.block(_native.sha1_hex(f"{frame.path}|{name}|{n}")[:16])


class _Branch:
    """One of the calls, and how it ended."""

    def __init__(self, index: int, thunk: Callable[[], Any], block: Frame | None) -> None:
        self.thunk = thunk
        self.frame = block and block.branch(index)
        self.result: Any = None
        self.error: BaseException | None = None

    def enter(self) -> None:
        """Puts the code that follows in this context into the branch."""
        if self.frame is not None:
            _play.current_frame.set(self.frame)

    def run(self) -> None:
        """Calls it in this thread."""
        self.enter()
        try:
            self.result = self.thunk()
        except BaseException as error:  # told by the one who waits for all
            self.error = error

    async def run_in_loop(self) -> None:
        """Calls it in this task, and awaits what it gives if that can be awaited."""
        self.enter()
        try:
            self.result = self.thunk()
            if hasattr(self.result, "__await__"):
                self.result = await self.result
        except BaseException as error:
            self.error = error
            if not isinstance(error, (Exception, Paused)):
                raise  # a task that is cancelled, or Ctrl-C, is the event loop's to know

    @property
    def has_paused(self) -> bool:
        """Whether it stands at a pause, whatever it made of that."""
        return isinstance(self.error, Paused) or (self.frame is not None and bool(self.frame.paused_in))


class _Together:
    """All branches, shown as one span."""

    def __init__(self, name: str, branches: list[_Branch], block: Frame | None) -> None:
        self.branches = branches
        self._block = block
        if block is not None:
            _play.current_branch(block.play)  # what starts from here is to know where it comes from
            parent = cast(Frame, block.parent)
            block.play.journal.send(_wire.span_start(block.span_id, parent.span_id, name, "other"))

    def results(self) -> list[Any]:
        """What the branches returned. Raises what ended them: a pause, else the first exception in order."""
        errors = [branch.error for branch in self.branches if branch.error is not None]
        for error in errors:
            if not isinstance(error, (Exception, Paused)):
                raise error
        if any(branch.has_paused for branch in self.branches):
            raise Paused()
        self._show_end(errors)
        if errors:
            raise errors[0]
        return [branch.result for branch in self.branches]

    def _show_end(self, errors: list[BaseException]) -> None:
        if self._block is None:
            return
        send, span_id = self._block.play.journal.send, self._block.span_id
        for error in errors[1:]:
            text = f"another branch failed too: {type(error).__name__}: {_outcome.message_of(error)}"
            send(_wire.span_log(span_id, "warning", " ".join(text.splitlines())))
        status = "failed" if errors else "ok"
        send(_wire.span_end(span_id, status, _outcome.exception_json(errors[0]) if errors else None))


def _run_threads(together: _Together, limit: int) -> None:
    """Runs all branches. One that pauses makes room for the next, so that all questions are asked at once."""
    rest = iter([(branch, copy_context()) for branch in together.branches])
    taking = threading.Lock()
    is_abandoned = False

    def work() -> None:
        while not is_abandoned:
            with taking:
                branch, context = next(rest, (None, None))
            if branch is None or context is None:
                return
            context.run(branch.run)

    n_threads = min(limit, len(together.branches))
    threads = [threading.Thread(target=work, name=f"pyhero-branch-{n}") for n in range(n_threads)]
    try:
        for thread in _started(threads):
            thread.join()
    except BaseException:  # such as Ctrl-C: what has begun goes on, nothing more begins
        is_abandoned = True
        raise


def _started(threads: list[threading.Thread]) -> list[threading.Thread]:
    """Those that could be started; the machine may have no room for more."""
    for n, thread in enumerate(threads):
        try:
            thread.start()
        except RuntimeError:
            if n == 0:
                raise
            return threads[:n]
    return threads


def _run_tasks(together: _Together, limit: int | None) -> Coroutine[Any, Any, list[Any]]:
    import asyncio
    from contextlib import nullcontext

    from ._acks import open_step

    play = _play.running
    slots = asyncio.Semaphore(limit) if limit else None

    async def run(branch: _Branch) -> None:
        if slots is None:
            await branch.run_in_loop()
            return
        async with slots:
            await branch.run_in_loop()

    async def run_all() -> list[Any]:
        with open_step(play) if play else nullcontext():
            await asyncio.gather(*(run(branch) for branch in together.branches), return_exceptions=True)
        return together.results()

    return run_all()
