"""The running play: where in it a call stands, and what remembers for it.

At most one play runs in a process. Which call a piece of code stands in is a context variable, so tasks and
`asyncio.to_thread` inherit it; a plain thread has none and stands in the root flow.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import Future

    from ._names import Names


class Paused(BaseException):
    """The play stands at a pause and this process unwinds. Not an `Exception`, so that `except Exception`
    lets it through; `finally` and `with` run."""


class Journal(Protocol):
    """What remembers: the channel to a supervisor, or the memory of `pyhero.testing`."""

    def send(self, event_json: str, /) -> int:
        """Reports an event and returns its place."""
        ...

    def wait(self, seq: int, /) -> str | None:
        """Waits until the event of this place is durable; returns the answer it brought."""
        ...

    def request(self, event_json: str, /) -> str | None:
        """`send` and `wait` in one."""
        ...


class Memory(Protocol):
    """Remembered outcomes by key, as JSON text."""

    def take(self, key: str, /) -> str | None:
        """The outcome, or None; marks the key as asked for."""
        ...

    def left_over(self) -> list[str]:
        """The keys that nobody asked for."""
        ...

    def n_left(self) -> int:
        """How many those are."""
        ...


class Branch:
    """A line of execution: an asyncio task or a thread, and the one it was started from."""

    __slots__ = ("owner", "parent")

    def __init__(self, owner: object, parent: Branch | None) -> None:
        self.owner = owner
        self.parent = parent

    def leads_to(self, other: Branch) -> bool:
        """Whether the other is this one or was started from it, at whatever remove."""
        branch: Branch | None = other
        while branch is not None and branch is not self:
            branch = branch.parent
        return branch is self


class Occurrences:
    """Counts equal calls, pauses and blocks under one parent, whatever thread they come from."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def next(self, kind: str, what: str) -> int:
        """The number of this one, counted from 1."""
        with self._lock:
            self._counts[kind, what] += 1
            return self._counts[kind, what]


class Frame:
    """An open call. A `flow.step` block is one too, with the path and the counters of the call around it."""

    __slots__ = ("occurrences", "parent", "path", "paused_in", "play", "span_id", "step_key")

    def __init__(
        self,
        play: Play,
        parent: Frame | None,
        span_id: str,
        path: str,
        step_key: str,
        occurrences: Occurrences,
    ) -> None:
        self.play = play
        self.parent = parent
        self.span_id = span_id
        self.path = path
        self.step_key = step_key
        self.occurrences = occurrences
        self.paused_in: list[Branch] = []


class Play:
    """One launch of a play."""

    def __init__(
        self,
        *,
        sid: str,
        version: str,
        workflow: str,
        launch: int,
        bundle_dir: str,
        journal: Journal,
        steps: Memory,
        answers: Memory,
        names: Names,
    ) -> None:
        self.sid = sid
        self.version = version
        self.workflow = workflow
        self.launch = launch
        self.bundle_dir = bundle_dir
        self.journal = journal
        self.steps = steps
        self.answers = answers
        self.names = names
        self.root: Frame | None = None
        self.main_branch = Branch(_current_owner(), None)
        self.open_steps: set[Future[None]] = set()
        self.has_paused = False

    @property
    def is_replaying(self) -> bool:
        """Whether something is remembered that was not asked for yet."""
        return self.steps.n_left() + self.answers.n_left() > 0

    def mark_paused(self, frame: Frame) -> Paused:
        """Notes that a pause unwinds from here through every frame around it, and returns what to raise."""
        branch = current_branch(self)
        self.has_paused = True
        place: Frame | None = frame
        while place is not None:
            place.paused_in.append(branch)
            place = place.parent
        return Paused()

    def check_not_paused(self, frame: Frame) -> None:
        """Raises the pause again where this code can only run because someone swallowed it.

        Siblings of the branch that paused go on: they are neither that branch nor one it was started from.
        """
        branch = current_branch(self)
        if any(branch.leads_to(paused) for paused in frame.paused_in):
            raise Paused()


running: Play | None = None
"""The play of this process."""

current_frame: ContextVar[Frame | None] = ContextVar("current_frame", default=None)
_branch: ContextVar[tuple[Play, Branch] | None] = ContextVar("_branch", default=None)


def frame_in(play: Play) -> Frame | None:
    """The frame that this code stands in; None while the files of the play are being imported."""
    frame = current_frame.get()
    return frame if frame is not None and frame.play is play else play.root


def current_branch(play: Play) -> Branch:
    """The branch that this code runs in."""
    known = _branch.get()
    parent = known[1] if known is not None and known[0] is play else play.main_branch
    owner = _current_owner()
    if parent.owner == owner:
        return parent
    branch = Branch(owner, parent)
    _branch.set((play, branch))
    return branch


def _current_owner() -> object:
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop in this thread
            task = None
        if task is not None:
            return task
    return threading.get_ident()
