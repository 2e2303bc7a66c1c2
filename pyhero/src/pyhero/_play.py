"""The running play: where in it a call stands, and what remembers for it.

At most one play runs in a process. Which call a piece of code stands in is a context variable, so tasks and
`asyncio.to_thread` inherit it; a plain thread has none and stands in the root flow.
"""

from __future__ import annotations

import sys
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from . import _native, _outcome, _wire
from ._errors import PlanMissing

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Mapping
    from types import FrameType

    from ._names import Names


class Paused(BaseException):
    """The play stands at a pause and this process unwinds. Not an `Exception`, so that `except Exception`
    lets it through; `finally` and `with` run."""


class Journal(Protocol):
    """What remembers: the channel to a supervisor, or the memory of `pyhero.testing`."""

    def send(self, event_json: str, /) -> int:
        """Reports an event and returns its place."""
        ...

    def post(self, event_json: str, more: bool, /) -> int:
        """As `send`, for what may be heard later; *more* of the kind is to follow."""
        ...

    def post_replayed(self, parent_id: str, launch: int, seq: int, more: bool, /) -> None:
        """As `post`: a step was replayed, which ran as the span of this place."""
        ...

    def flush(self) -> None:
        """Lets all be heard."""
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

    def ran_as(self, key: str, /) -> tuple[int, int] | None:
        """Launch and place of the span in which this step ran, where the supervisor has it."""
        ...

    def left_over(self) -> list[str]:
        """The keys that nobody asked for."""
        ...

    def n_left(self) -> int:
        """How many those are."""
        ...


SWALLOWED_MAX = 1000
"""How often a pause is raised again before the process ends where it stands: its questions are stored."""


class Branch:
    """A line of execution: an asyncio task or a thread, and the one it was started from.

    Attributes:
        owner: The task, else the thread's number.
        work: What a thread of a pool works at, as it takes on one thing after the other; else None.
    """

    __slots__ = ("owner", "parent", "work")

    def __init__(self, owner: object, work: object, parent: Branch | None) -> None:
        self.owner = owner
        self.work = work
        self.parent = parent

    def leads_to(self, other: Branch) -> bool:
        """Whether the other is this one or was started from it, at whatever remove."""
        branch: Branch | None = other
        while branch is not None and branch is not self:
            branch = branch.parent
        return branch is self


class Frame:
    """An open call. A `flow.step` block is one too, with the path and the counters of the call around it,
    and so is a branch of a fan-out.

    Attributes:
        attempt: Which attempt at its step this is, counted from 1; None where there is only one.
        may_pause: Whether the body may be entered again.
        is_limited: Whether it runs out of time should its span stay open.
        place: Where it stands whatever its arguments are; kept only where the play has plans.
    """

    __slots__ = (
        "attempt",
        "is_limited",
        "may_pause",
        "occurrences",
        "parent",
        "path",
        "paused_in",
        "place",
        "play",
        "span_id",
        "step_key",
    )

    def __init__(
        self,
        play: Play,
        parent: Frame | None,
        span_id: str,
        path: str,
        step_key: str,
        occurrences: _native.Occurrences,
    ) -> None:
        self.play = play
        self.parent = parent
        self.span_id = span_id
        self.path = path
        self.step_key = step_key
        self.occurrences = occurrences
        self.attempt: int | None = None
        self.may_pause = True
        self.is_limited = False
        self.place = ""
        self.paused_in: list[Branch] = []

    def block(self, span_id: str) -> Frame:
        """A span within this call that is no call itself."""
        block = Frame(self.play, self, span_id, self.path, self.step_key, self.occurrences)
        block.attempt = self.attempt
        block.place = self.place
        return block

    def aside(self, key: str = "") -> Frame:
        """A place beside what the call does: for what undoes the step of this key, else for a note of the
        launch. A play that is tried again takes over nothing from there; no name begins like it."""
        occurrences = _native.Occurrences()
        frame = Frame(self.play, self, self.span_id, f"{self.path}/~{key}", key or self.step_key, occurrences)
        frame.place = f"{self.place}/~"
        return frame

    def branch(self, index: int) -> Frame:
        """A branch of a fan-out that is shown as this block."""
        part = f"[{index}]"
        occurrences = self.occurrences.branch(index)
        branch = Frame(self.play, self, self.span_id, self.path + part, self.step_key + part, occurrences)
        branch.attempt = self.attempt
        branch.place = self.place + part
        return branch


class Completed(NamedTuple):
    """A completed step that has an undo (`hero_schema::child::Compensable`). *output* is JSON text."""

    key: str
    name: str
    output: str


class Plans:
    """What a play knows of its steps that are plans (`hero_schema::child::Plans`).

    Attributes:
        frozen: Their frozen outputs by place, JSON.
        may_plan: Whether one that is not frozen may run.
    """

    def __init__(self, frozen: Mapping[str, Any], *, may_plan: bool) -> None:
        self.frozen = frozen
        self.may_plan = may_plan

    def place(self, parent: Frame, name: str) -> str:
        """Where a call stands: which call of this name it is in that body. Each call asks once."""
        n = parent.occurrences.next("place", name)
        return f"{parent.place}/{name}#{n}"

    def outcome(self, place: str, name: str) -> str | None:
        """What a plan returned in the play that was saved; None where it is to run."""
        if place in self.frozen:
            return _outcome.returned(self.frozen[place])
        if not self.may_plan:
            raise PlanMissing(
                f"step `{name}` is a plan that is not frozen, and this play may not plan",
                "save the workflow from a play that planned it, or allow the schedule to replan",
            )
        return None


class Play:
    """One launch of a play.

    Attributes:
        plans: Its steps that are plans; None where no step of it is one.
        completed: The completed steps that have an undo, in the order in which they completed.
        is_undoing: Whether the root flow has failed, and is being undone.
        was_entered: Whether the body of the root flow was.
        is_hurried: Whether waits pass at once (`pyhero.testing`).
        skipped_seconds: How long those were that did.
    """

    def __init__(
        self,
        *,
        sid: str,
        version: str,
        code_version: str | None = None,
        workflow: str,
        launch: int,
        bundle_dir: str,
        journal: Journal,
        steps: Memory,
        answers: Memory,
        names: Names,
        idempotency_sid: str | None = None,
        completed: list[Completed] | None = None,
        plans: Plans | None = None,
        is_hurried: bool = False,
    ) -> None:
        self.sid = sid
        self.idempotency_sid = idempotency_sid or sid
        self.version = version
        self.code_version = code_version or version
        self.workflow = workflow
        self.launch = launch
        self.bundle_dir = bundle_dir
        self.journal = journal
        self.steps = steps
        self.answers = answers
        self.names = names
        self.completed = completed or []
        self.plans = plans
        self.is_undoing = False
        self.was_entered = False
        self.is_hurried = is_hurried
        self.skipped_seconds = 0.0
        self.root: Frame | None = None
        self.main_branch = Branch(*_current_owner(), None)
        self.open_steps: set[Future[None]] = set()
        self.has_paused = False
        self.n_swallowed = 0
        # Ends the process of a launch that would catch its pause for ever; a run in a test has none to end.
        self.leave: Callable[[], None] = lambda: None

    @property
    def is_replaying(self) -> bool:
        """Whether something is remembered that was not asked for yet."""
        return self.steps.n_left() + self.answers.n_left() > 0

    def left_over(self) -> list[str]:
        """The keys of remembered steps that the flow did not ask for."""
        return self.steps.left_over() if self.was_entered else []

    def mark_paused(self, frame: Frame) -> Paused:
        """Notes that a pause unwinds from here through every frame around it, and returns what to raise."""
        branch = current_branch(self)
        self.has_paused = True
        place: Frame | None = frame
        while place is not None:
            place.paused_in.append(branch)
            place = place.parent
        return Paused()

    def stop_clock(self, *frames: Frame) -> None:
        """Shows these calls as paused where time runs for them: it must not while their siblings run on."""
        for frame in frames:
            if frame.is_limited:
                self.journal.send(_wire.span_end(frame.span_id, "paused"))
                frame.is_limited = False

    def check_not_paused(self, frame: Frame) -> None:
        """Raises the pause again where this code can only run because someone swallowed it.

        Siblings of the branch that paused go on: they are neither that branch nor one it was started from.
        """
        branch = current_branch(self)
        if any(branch.leads_to(paused) for paused in frame.paused_in):
            self.n_swallowed += 1
            if self.n_swallowed >= SWALLOWED_MAX:
                self.leave()
            raise Paused()


running: Play | None = None
"""The play of this process."""

current_frame: ContextVar[Frame | None] = ContextVar("current_frame", default=None)
known_branch: ContextVar[tuple[Play, Branch] | None] = ContextVar("known_branch", default=None)


def frame_in(play: Play) -> Frame | None:
    """The frame that this code stands in; None while the files of the play are being imported."""
    frame = current_frame.get()
    return frame if frame is not None and frame.play is play else play.root


def current_branch(play: Play) -> Branch:
    """The branch that this code runs in."""
    known = known_branch.get()
    parent = known[1] if known is not None and known[0] is play else play.main_branch
    owner, work = _current_owner()
    if parent.owner == owner:
        if parent.work is work:
            return parent
        # Another piece of work in the same thread of a pool: it goes on from nothing that was there before.
        parent = parent.parent or play.main_branch
    branch = Branch(owner, work, parent)
    known_branch.set((play, branch))
    return branch


def now() -> float:
    """The time, in seconds since the epoch; in a hurried play later by what was skipped."""
    return time.time() + (running.skipped_seconds if running else 0)


def skip(seconds: float) -> None:
    """Lets that much time have passed, where the play is hurried."""
    if running is not None and running.is_hurried:
        running.skipped_seconds += seconds


def has_event_loop() -> bool:
    """Whether this code runs in an event loop, which must not be kept waiting."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _current_owner() -> tuple[object, object]:
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop in this thread
            task = None
        if task is not None:
            return task, None
    return threading.get_ident(), _current_work()


def _current_work() -> object:
    """The piece of work that a thread of a `ThreadPoolExecutor` is at; None in any other thread."""
    pools = sys.modules.get("concurrent.futures.thread")
    frame = _frame_of(pools._WorkItem.run) if pools else None
    return None if frame is None else frame.f_locals["self"]


def is_in_deaf_pool() -> bool:
    """Whether this thread is one of a `multiprocessing.pool.ThreadPool`: a pause would end it, and whoever
    waits for its result would wait for ever."""
    pools = sys.modules.get("multiprocessing.pool")
    return pools is not None and _frame_of(pools.worker) is not None


def _frame_of(function: Any) -> FrameType | None:
    """The innermost call of a function in this thread, other than the main one."""
    if threading.current_thread() is threading.main_thread():
        return None
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return frame
