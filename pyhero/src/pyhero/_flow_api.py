"""`flow`: the decorator, and everything a flow may call.

The same names work in `def` and in `async def`. What calls async functions has to be awaited: `flow.invoke`,
`flow.poll`, `flow.parallel` and `flow.map` of them; and `flow.rpc` in an event loop.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from . import _names, _native, _outcome, _play, _step, _wire
from ._errors import ArgumentError, FlowNotFound, NotInFlowError
from ._flow import Flow
from ._options import NOT_GIVEN, Options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from ._callback import Callback
    from ._current import CurrentPlay
    from ._durations import Duration
    from ._play import Frame
    from ._retry import Retry
    from ._wire import LogLevel

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
D = TypeVar("D")
A = TypeVar("A")


class FlowApi:
    """The type of `flow`."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Flow[P, R]: ...

    @overload
    def __call__(
        self,
        /,
        *,
        name: str | None = None,
        outputs: Mapping[str, Any] | None = None,
        retry: Retry | Literal["never"] | None = None,
        timeout: Duration | None = None,
        compensate: Callable[[Any], Any] | None = None,
        memory: int | str | None = None,
        env: Iterable[str] = (),
        plan: bool = False,
    ) -> Callable[[Callable[P, R]], Flow[P, R]]: ...

    def __call__(
        self,
        function: Callable[P, R] | None = None,
        /,
        *,
        name: str | None = None,
        outputs: Mapping[str, Any] | None = None,
        retry: Retry | Literal["never"] | None = None,
        timeout: Duration | None = None,
        compensate: Callable[[Any], Any] | None = None,
        memory: int | str | None = None,
        env: Iterable[str] = (),
        plan: bool = False,
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
            retry: When a step is tried again; see `Retry`. `"never"` runs its body at most once: should its
                process end in the middle, `StepInterrupted` is raised instead of running it again. Such a
                step cannot pause. None runs it again after a crash, and remembers what it raises.
            timeout: Seconds (or a `timedelta`). A step that takes longer, all attempts and waits between them
                included, raises `StepTimeout`. Whatever it hangs in, the process is ended and the play goes
                on in another one, where other steps that were under way run again; an async step is
                cancelled first, and has a second to unwind. A pause in it stops the clock. A play of the
                flow that takes longer from its first launch on, pauses included, ends as ``timed_out``.
                None sets no limit.
            compensate: Undoes the step: called with its output should an exception leave the root flow. The
                undos of all completed steps run one by one, the step that completed last first. Each is
                remembered, and may pause; one that raises is recorded and the others still run. Then the
                play fails with the exception of the flow. A play that is cancelled or runs out of time is
                not undone.
            memory: The address space that the process of a play of this flow may take: bytes, or text such
                as `"512MB"` (of 1024² bytes). Beyond it Python raises `MemoryError`, and native code may
                end the process. None sets no limit.
            env: The names of variables of the server's environment that a play of this flow needs, as a
                literal list. It gets those that the server permits.
            plan: Whether what the step returns is a plan, which is frozen into a workflow that is saved from
                a play.
        Raises:
            DefinitionError: a method, a generator, a bad name or option, or another flow of the same name.
        """
        if function is not None:
            return Flow(function)
        options = Options(
            outputs=outputs,
            retry=retry,
            timeout=timeout,
            compensate=compensate,
            memory=memory,
            env=env,
            plan=plan,
        )
        return lambda decorated: Flow(decorated, name, options)

    @overload
    def pause(
        self,
        name: str,
        *,
        schema: type[T],
        ui: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> T: ...

    @overload
    def pause(
        self,
        name: str,
        *,
        schema: type[T],
        ui: Mapping[str, Any] | None = None,
        timeout: Duration,
        default: D,
    ) -> T | D: ...

    @overload
    def pause(
        self,
        name: str,
        *,
        schema: Any = None,
        ui: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
        default: Any = ...,
    ) -> Any: ...

    def pause(
        self,
        name: str,
        *,
        schema: Any = None,
        ui: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
        default: Any = NOT_GIVEN,
    ) -> Any:
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
            timeout: Seconds (or a `timedelta`) from the first time it is asked. None waits for ever.
            default: What is returned when nobody has answered by then: a value of *schema*, or None. Without
                one `PauseTimeout` is raised.
        Returns:
            The answer, decoded into *schema* where that is a type.
        Raises:
            PauseTimeout: nobody answered in time, and there is no *default*. Remembered.
            AnswerMismatch: the answer was given to another *schema* and does not fit this one.
            ArgumentError: a *default* that does not fit *schema*, or one without a *timeout*.
            NotInFlowError: called outside a running play, with no terminal to ask on.
        """
        from ._pause import Question, ask

        return ask(Question(name, schema, ui, timeout=timeout, default=default))

    @overload
    def callback(self, name: str, *, schema: type[T], timeout: Duration | None = None) -> Callback[T]: ...

    @overload
    def callback(
        self, name: str, *, schema: Any = None, timeout: Duration | None = None
    ) -> Callback[Any]: ...

    def callback(self, name: str, *, schema: Any = None, timeout: Duration | None = None) -> Callback[Any]:
        """Make a signed URL at which another system answers, once; `wait` for that with its `wait()`.

        The question is stored when this returns, so the URL may be handed over at once, and an answer that
        comes before the flow waits for it is kept. On replay the URL is the same. Prefill answers it with
        what `wait` returns.

        Args:
            name: What the answer is called, perhaps with `[…]` behind it; keep it stable.
            schema: A type or a JSON schema that the posted ``data`` must fit. None accepts any JSON.
            timeout: Seconds (or a `timedelta`) from now on. After that the URL is void and `wait` raises
                `PauseTimeout`. None waits for ever.
        Raises:
            NotInFlowError: called outside a running play.
        """
        from ._callback import callback

        return callback(name, schema, timeout)

    def sleep(self, duration: Duration) -> None:
        """Wait, and hold no process meanwhile.

        Up to two seconds are waited in the process. For longer ones, and always in an event loop, where
        nothing may block, the play stands at a timer as at a pause: this process unwinds, and a later one
        goes on. On replay it returns at once. Outside a play it is `time.sleep`.

        Args:
            duration: Seconds, or a `timedelta`.
        Raises:
            ArgumentError: a negative duration, or one of more than a hundred years.
        """
        from ._sleep import sleep

        sleep(duration)

    def sleep_until(self, when: datetime) -> None:
        """Wait for a moment, and hold no process meanwhile; see `sleep`. One in the past returns at once.

        Args:
            when: A datetime with its time zone. Make it of inputs, of `flow.now()` and of what steps
                returned.
        Raises:
            ArgumentError: a datetime without a time zone, or more than a hundred years ahead.
        """
        from ._sleep import sleep_until

        sleep_until(when)

    @overload
    def poll(
        self,
        fn: Callable[[], Coroutine[Any, Any, T | None]],
        /,
        *,
        every: Duration,
        timeout: Duration | None = None,
    ) -> Coroutine[Any, Any, T]: ...

    @overload
    def poll(
        self, fn: Callable[[], T | None], /, *, every: Duration, timeout: Duration | None = None
    ) -> T: ...

    def poll(self, fn: Callable[[], Any], /, *, every: Duration, timeout: Duration | None = None) -> Any:
        """Call a function again and again until it returns something, and hold no process meanwhile.

        Each call is a step, and so is the whole: what it found is remembered, and what it raised.

        Args:
            fn: What looks, without arguments. None means not yet. Of an async one the poll is awaited.
            every: How long to `sleep` between two calls.
            timeout: Seconds (or a `timedelta`) from the first call. None looks for ever.
        Returns:
            The first result that is not None.
        Raises:
            PollTimeout: there was none in time.
        """
        from ._sleep import poll

        return poll(fn, every, timeout)

    # A coroutine is an object too, so strictly the second overload takes what the first does.
    @overload
    def parallel(  # type: ignore[overload-overlap]
        self, /, *thunks: Callable[[], Coroutine[Any, Any, T]], limit: int | None = None
    ) -> Coroutine[Any, Any, list[T]]: ...

    @overload
    def parallel(self, /, *thunks: Callable[[], T], limit: int | None = None) -> list[T]: ...

    def parallel(self, /, *thunks: Callable[[], Any], limit: int | None = None) -> Any:
        """Call several functions at once: `flow.parallel(lambda: a(1), lambda: b(2))`.

        In sync code they run in threads; in a running event loop as tasks, and the whole is to be awaited.
        Each branch runs on to its own end or pause, so that all questions are asked at once, and each
        stands in a place of its own: which call is which does not depend on who comes first. The functions
        are not steps themselves; the flows that they call are.

        Args:
            thunks: What to call, without arguments.
            limit: How many may run at a time, at least 1; one that pauses makes room. None: 32 threads,
                any number of tasks.
        Returns:
            What they returned, in the order of the call.
        Raises:
            Exception: the first of those that they raised, in the order of the call, once all have ended; the
                others are logged.
        """
        from ._fan_out import fan_out

        return fan_out("parallel", thunks, limit)

    @overload
    def map(  # type: ignore[overload-overlap]
        self,
        fn: Callable[[A], Coroutine[Any, Any, T]],
        items: Iterable[A],
        /,
        *,
        limit: int | None = None,
    ) -> Coroutine[Any, Any, list[T]]: ...

    @overload
    def map(self, fn: Callable[[A], T], items: Iterable[A], /, *, limit: int | None = None) -> list[T]: ...

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any], /, *, limit: int | None = None) -> Any:
        """Call a function with each item at once; in all else as `parallel`.

        Args:
            fn: What to call.
            items: What to call it with; the first is branch 0 on every replay.
            limit: As of `parallel`.
        Returns:
            What it returned, in the order of the items.
        """
        from functools import partial

        from ._fan_out import fan_out

        return fan_out("map", [partial(fn, item) for item in items], limit)

    @overload
    def invoke(self, target: Flow[..., R], /, *, spawn: bool = False, **inputs: Any) -> R: ...

    @overload
    def invoke(self, target: str, /, *, spawn: bool = False, **inputs: Any) -> Any: ...

    def invoke(self, target: Flow[..., Any] | str, /, *, spawn: bool = False, **inputs: Any) -> Any:
        """Call a flow as a sub-flow, in this process or as a play of its own.

        Remembered like a step: on replay its output is returned and the sub-flow is not entered.

        Args:
            target: A flow, or the name of a flow that this play has loaded, else of a saved workflow: its
                current version, or the one of `"NAME@3"`, by number or sid. In this process the version
                that a name stood for when the play first asked stays for all of the play.
            spawn: Whether it runs as a play of its own. This play waits for its end as at a pause; a launch
                that dies finds the same play again, and cancelling this play cancels it.
            inputs: Its arguments, by name; those of a saved workflow that is spawned are JSON.
        Returns:
            What it returns; for an async flow a coroutine to await.
        Raises:
            FlowNotFound: no flow and no workflow has this name, or no such version.
            FlowFailed, FlowCancelled: the play that was spawned, or the saved workflow, did not succeed;
                see `play_sid` of one that was spawned.
            DefinitionError: saved workflows invoke each other in a circle.
        """
        if spawn:
            from ._spawn import spawn as run_spawned

            return run_spawned(target, inputs)
        play = _play.running
        names = play.names if play else _names.plain
        try:
            found = names.find(target) if isinstance(target, str) else target
        except FlowNotFound:
            if play is None or play.is_hurried:
                raise
            from ._library import invoke

            return invoke(play, str(target), inputs)
        return _step.call(play, found, (), inputs, "subflow") if play else found(**inputs)

    def rpc(self, target: str, method: str, /, **params: Any) -> Any:
        """Call a method of another service, JSON-RPC 2.0 over HTTP, and remember its answer.

        The id of the request is `idempotency_key()` of the call: should a crash repeat it, the service can
        tell. Each wait for the service takes at most 30 seconds; proxies are not used and redirects not
        followed. Failures are remembered too; to try again, call it in a step with `Retry(on=RpcError)`.

        Args:
            target: `https://…` or `http://…`, or the absolute path of a Unix socket for ``POST /rpc`` on it;
                `unix:/path/of.sock:/http/path` posts to another path.
            method: The method.
            params: Its parameters by name, JSON.
        Returns:
            The result, any JSON. In a running event loop a coroutine that gives it.
        Raises:
            RpcError: the service refused; `code` and `kind` say why.
            ConnectionFailed: nobody answers there.
            ArgumentError: a bad *target*, or parameters that are no JSON.
        """
        from ._rpc import rpc

        return rpc(target, method, params, self.idempotency_key)

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

    def annotate(
        self,
        *,
        cost_usd: float | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        **tags: Any,
    ) -> None:
        """Attach tags to the current span. A replayed step keeps those of the launch that ran it.

        Those of the root flow are the tags of the play: it is found by them. What is spent counts towards the
        budget of the play, and nothing is counted again on replay.

        Args:
            cost_usd: Money spent here, in US dollars; summed over the play. None adds nothing.
            input_tokens: How many tokens a model read here; summed likewise.
            output_tokens: How many tokens a model wrote here; summed likewise.
            tags: Any JSON by name; a later value replaces an earlier one.
        Raises:
            ArgumentError: a tag that has no JSON form.
        """
        from ._codec import Misfit, codec_for

        spent = {"cost_usd": cost_usd, "input_tokens": input_tokens, "output_tokens": output_tokens}
        tags.update({name: amount for name, amount in spent.items() if amount is not None})
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
        """A text that is the same whenever this very step runs again, in another attempt, launch or retry of
        the play, and another one for every other step and play.

        A step whose process dies between its effect and the moment it is remembered runs again; a
        service that is given this key can tell. For two effects in one step, add something to it. Outside a
        play it is a new one each time.
        """
        frame = _here()
        if frame is None:
            import uuid

            return uuid.uuid4().hex
        return _native.sha1_hex(f"{frame.play.idempotency_sid}|{frame.step_key}")


def _here() -> Frame | None:
    return _play.frame_in(_play.running) if _play.running else None


def _block_in(frame: Frame, name: str) -> Frame:
    n = frame.occurrences.next("block", name)
    return frame.block(_native.sha1_hex(f"{frame.path}|{name}|{n}")[:16])


flow = FlowApi()
"""The decorator, and everything a flow may call; see `FlowApi`."""
