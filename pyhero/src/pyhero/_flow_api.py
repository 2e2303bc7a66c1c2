"""`flow`: the decorator, and everything a flow may call.

The same names work in `def` and in `async def`. Nothing but `flow.invoke` of an async flow has to be awaited.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from . import _names, _native, _outcome, _play, _step, _wire
from ._errors import ArgumentError, NotInFlowError
from ._flow import Flow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from ._current import CurrentPlay
    from ._play import Frame
    from ._wire import LogLevel

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class FlowApi:
    """The type of `flow`."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Flow[P, R]: ...

    @overload
    def __call__(
        self, /, *, name: str | None = None, outputs: Mapping[str, Any] | None = None
    ) -> Callable[[Callable[P, R]], Flow[P, R]]: ...

    def __call__(
        self,
        function: Callable[P, R] | None = None,
        /,
        *,
        name: str | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> Flow[P, R] | Callable[[Callable[P, R]], Flow[P, R]]:
        """Make a flow of a function: `@flow`, `@flow(name=…)`, or `flow(fn)(…)` for one you do not own.

        The first call runs the body and remembers how it ended, value or exception. On replay that is
        returned or raised again and the body is not entered.

        Args:
            name: What steps and plays of it are called. None takes the name of the function, with its
                module in front unless it stands in the entry file. Keep it stable: it is part of what a call
                is recognised by.
            outputs: Name → type, for a function that returns a dict of exactly those keys. None takes the
                return annotation.
        Raises:
            DefinitionError: a method, a generator, a bad name, or another flow of the same name.
        """
        if function is not None:
            return Flow(function, name, outputs)
        return lambda decorated: Flow(decorated, name, outputs)

    @overload
    def pause(self, name: str, *, schema: type[T], ui: Mapping[str, Any] | None = None) -> T: ...

    @overload
    def pause(self, name: str, *, schema: Any = None, ui: Mapping[str, Any] | None = None) -> Any: ...

    def pause(self, name: str, *, schema: Any = None, ui: Mapping[str, Any] | None = None) -> Any:
        """Wait for an answer from outside, however long it takes.

        The first time, the question is stored, the play becomes ``awaiting_resume`` and this process ends
        (exit 75): `finally` and `with` run, `except Exception` does not. On replay the recorded answer is
        returned at once; `None`, `0`, `""` and `False` are answers. Outside a play the terminal is asked.

        Args:
            name: What the answer is called, perhaps with `[…]` behind it. Prefill patterns and people see
                it; keep it stable.
            schema: A type or a JSON schema the answer must fit. None accepts any JSON.
            ui: How to draw the question, such as `{"kind": "confirm", "prompt": "Ship it?"}`. None draws no
                form: a program is expected to answer.
        Returns:
            The answer, decoded into *schema* where that is a type.
        Raises:
            AnswerMismatch: the answer was given to another *schema* and does not fit this one.
            NotInFlowError: called outside a running play, with no terminal to ask on.
        """
        from ._pause import Question, ask

        return ask(Question(name, schema, ui))

    @overload
    def invoke(self, target: Flow[..., R], /, **inputs: Any) -> R: ...

    @overload
    def invoke(self, target: str, /, **inputs: Any) -> Any: ...

    def invoke(self, target: Flow[..., Any] | str, /, **inputs: Any) -> Any:
        """Call a flow as a sub-flow, in this process.

        Remembered like a step: on replay its output is returned and the sub-flow is not entered.

        Args:
            target: A flow, or the name of a flow that this play has loaded.
            inputs: Its arguments, by name.
        Returns:
            What it returns; for an async flow a coroutine to await.
        Raises:
            FlowNotFound: no flow has this name.
        """
        play = _play.running
        names = play.names if play else _names.plain
        found = names.find(target) if isinstance(target, str) else target
        return _step.call(play, found, (), inputs, "subflow") if play else found(**inputs)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Group what happens inside a `with` block under one span.

        Only for the eye: the block is not remembered and runs again on replay, and the calls in it
        are recognised as if it were not there.
        """
        frame = _here()
        if frame is None:
            yield
            return
        block = _block_in(frame, name)
        journal = frame.play.journal
        journal.send(_wire.span_start(block.span_id, frame.span_id, name, "step"))
        token = _play.current_frame.set(block)
        try:
            yield
        except Exception as error:
            journal.send(_wire.span_end(block.span_id, "failed", _outcome.exception_json(error)))
            raise
        else:
            journal.send(_wire.span_end(block.span_id, "ok"))
        finally:
            _play.current_frame.reset(token)

    def log(self, text: str, level: LogLevel = "info") -> None:
        """Write to the play's log, under the current span.

        Not remembered: code that runs again on replay logs again. Outside a play it goes to standard error.

        Args:
            text: One line, or several.
            level: `"debug"`, `"info"`, `"warning"` or `"error"`.
        """
        if level not in ("debug", "info", "warning", "error"):
            raise ArgumentError(f"there is no log level `{level}`", "debug, info, warning or error")
        frame = _here()
        for line in str(text).splitlines() or [""]:
            if frame is None:
                import sys

                print(f"{level}: {line}", file=sys.stderr)
            else:
                frame.play.journal.send(_wire.span_log(frame.span_id, level, _outcome.printable(line)))

    def progress(self, done: float, total: float) -> None:
        """Say how far the current span is. Shown while it runs, not remembered; nothing outside a play.

        Args:
            done: How much is done, in any unit.
            total: How much there is, in the same unit.
        """
        self.annotate(progress={"done": done, "total": total})

    def annotate(self, *, cost_usd: float | None = None, **tags: Any) -> None:
        """Attach tags to the current span. A replayed step keeps those of the launch that ran it.

        Args:
            cost_usd: Money spent here, in US dollars; summed over the play. None adds nothing.
            tags: Any JSON by name; a later value replaces an earlier one.
        Raises:
            ArgumentError: a tag that has no JSON form.
        """
        from ._codec import Misfit, codec_for

        if cost_usd is not None:
            tags["cost_usd"] = cost_usd
        try:
            encoded = {name: codec_for(Any).encode(value) for name, value in tags.items()}
        except Misfit as misfit:
            raise ArgumentError(f"a span cannot carry this tag: {misfit.seen_from('tags')}") from None
        frame = _here()
        if frame is not None and encoded:
            frame.play.journal.send(_wire.span_tag(frame.span_id, dict(encoded)))

    def now(self) -> datetime:
        """The time, aware and in UTC. Recorded: the same on replay."""
        from ._recorded import now

        return now()

    def uuid4(self) -> UUID:
        """A random UUID. Recorded: the same on replay."""
        from ._recorded import uuid

        return uuid()

    def random(self) -> float:
        """A random number, 0 ≤ x < 1. Recorded: the same on replay."""
        from ._recorded import random

        return random()

    def current(self) -> CurrentPlay:
        """The play that this code runs in. Its `launch` and `replaying` differ on replay; the rest does not.

        Raises:
            NotInFlowError: no play is running.
        """
        from ._current import current_play

        if _play.running is None:
            raise NotInFlowError("there is no current play", "run the flow with `hero_logic run FILE`")
        return current_play(_play.running)

    def idempotency_key(self) -> str:
        """A text that is the same whenever this very step runs again, and another one for every other step
        and play.

        A step whose process dies between its effect and the moment it is remembered runs again; a
        service that is given this key can tell. For two effects in one step, add something to it. Outside a
        play it is a new one each time.
        """
        frame = _here()
        if frame is None:
            import uuid

            return uuid.uuid4().hex
        return _native.sha1_hex(f"{frame.play.sid}|{frame.step_key}")


def _here() -> Frame | None:
    return _play.frame_in(_play.running) if _play.running else None


def _block_in(frame: Frame, name: str) -> Frame:
    n = frame.occurrences.next("block", name)
    span_id = _native.sha1_hex(f"{frame.path}|{name}|{n}")[:16]
    return _play.Frame(frame.play, frame, span_id, frame.path, frame.step_key, frame.occurrences)


flow = FlowApi()
"""The decorator, and everything a flow may call; see `FlowApi`."""
