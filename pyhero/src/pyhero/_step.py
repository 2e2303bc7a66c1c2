"""One call of a flow within a play: recognised, then replayed or run and remembered."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _native, _outcome, _play, _wire
from ._codec import Misfit, codec_for, dumps
from ._durations import in_words, micros
from ._errors import ArgumentError, DefinitionError, EncodeError, StepTimeout
from ._options import PLAIN
from ._play import Completed, Frame, Paused, Play

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ._codec import Codec
    from ._flow import Flow
    from ._options import Options
    from ._wire import Source, SpanKind

CANCEL_GRACE_SECONDS = 1.0
"""How long after its timeout an async step may take to unwind, before its launch is ended instead."""

_plain = codec_for(Any)


def call(
    play: Play, flow: Flow[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], kind: SpanKind
) -> Any:
    """Calls a flow as a step. Which call it is, is settled here, also for one that is awaited later."""
    if kind == "step":
        known_in, recognizer = flow.recognizer
        if known_in is not play:
            recognizer = _recognizer(play, flow)
        if recognizer is not None:
            found = recognizer.call(play, args, kwargs)
            if type(found) is _native.Recognized:
                return _go_on(play, flow, args, kwargs, found)
            if found is not NotImplemented:
                return found
    arguments = canonical_arguments(flow, args, kwargs)
    return run(step_of(play, flow, arguments, kind), flow.function, args, kwargs, is_async=flow.is_async)


def _recognizer(play: Play, flow: Flow[Any, Any]) -> _native.Recognizer | None:
    """What takes the short way for plain calls of this flow, if there is one."""
    recognizer = None
    signature = flow.parameters.native
    journal, memory = play.journal, play.steps
    if (
        signature is not None
        # Plans are told by which call they are, so every call is counted.
        and play.plans is None
        and not flow.is_async
        and isinstance(journal, _native.Channel)
        and isinstance(memory, _native.ReplayCache)
    ):
        recognizer = _native.Recognizer(
            play.version,
            journal,
            memory,
            play.names.claim(flow),
            signature,
            flow.returns.plain_form,
            flow.source and flow.source.within(play.bundle_dir),
            _play.current_frame.get,
            _play.known_branch.get,
        )
    flow.recognizer = (play, recognizer)
    return recognizer


def _go_on(play: Play, flow: Flow[Any, Any], args: Any, kwargs: Any, found: _native.Recognized) -> Any:
    """What a call returns or raises that was recognised and shown, and has to be run or raised."""
    step = Step(play, found.name, found.arguments, "step", flow.returns, flow.options, flow, found=found)
    if found.outcome is not None:
        return step.opened(Ended(found.outcome))
    return (_run_plain if flow.options.is_plain else _run)(step, flow.function, args, kwargs)


def step_of(
    play: Play, flow: Flow[Any, Any], arguments: str, kind: SpanKind, cls: type[Step] | None = None
) -> Step:
    """The call of a flow with these arguments (canonical JSON)."""
    name = play.names.claim(flow)
    return (cls or Step)(play, name, arguments, kind, flow.returns, flow.options, flow)


def run(
    step: Step, function: Callable[..., Any], args: Any = (), kwargs: Any = None, *, is_async: bool = False
) -> Any:
    """What the step returns or raises: remembered, or by running the function. A coroutine where that is
    async."""
    return (_run_async if is_async else _run)(step, function, args, kwargs or {})


def _run(step: Step, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    life = step.life()
    act = _next_act(life, None)
    while not isinstance(act, Ended):
        answer = None
        if isinstance(act, RunBody):
            with Body(step, act.frame) as body:
                body.returned(function(*args, **kwargs))
            answer = body.ended
        elif isinstance(act, Remember):
            step.play.journal.request(act.event)
        else:
            time.sleep(act.seconds)
        act = _next_act(life, answer)
    return step.opened(act)


def _run_plain(step: Step, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The life of a step that is shown, and whose body is simply run: as `_run`, without asking for each
    act."""
    with Body(step, step.frame) as body:
        body.returned(function(*args, **kwargs))
    step.play.journal.request(step.output_event(body.ended.outcome))
    step.note_completed(body.ended.outcome)
    return step.opened(body.ended)


async def _run_async(step: Step, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    from ._acks import acknowledged, open_step
    from ._tasks import sleep, within

    life = step.life()
    act = _next_act(life, None)
    if isinstance(act, Ended):
        return step.opened(act)
    with open_step(step.play):
        while not isinstance(act, Ended):
            answer = None
            if isinstance(act, RunBody):
                with Body(step, act.frame) as body:
                    body.returned(await within(act.seconds, act.timeout, function(*args, **kwargs)))
                answer = body.ended
            elif isinstance(act, Remember):
                await acknowledged(step.play.journal, act.event)
            else:
                await sleep(act.seconds)
            act = _next_act(life, answer)
    return step.opened(act)


def _next_act(life: Life, answer: Ended | None) -> Act | Ended:
    """What the step asks for next, or how it ended."""
    try:
        return life.send(answer)
    except StopIteration as end:
        ended: Ended = end.value
        return ended


class Ended(NamedTuple):
    """How a body ended.

    Attributes:
        outcome: What to remember.
        error: The exception that the outcome was made of; None where it returned, or was remembered.
    """

    outcome: str
    error: BaseException | None = None


class RunBody(NamedTuple):
    """Run the body in this frame, and answer how it `Ended`. An async one is cancelled after *seconds*,
    and ends with *timeout*."""

    frame: Frame
    seconds: float | None = None
    timeout: StepTimeout | None = None


class Remember(NamedTuple):
    """Send this event and go on once it is durable."""

    event: str


class Wait(NamedTuple):
    """Go on after a while."""

    seconds: float


Act = RunBody | Remember | Wait
"""What the life of a step asks of whoever carries it out, in a thread or in an event loop."""

if TYPE_CHECKING:
    Life = Generator[Act, Ended | None, Ended]


class Step:
    """A call: what it is recognised by, and what is remembered of it."""

    def __init__(
        self,
        play: Play,
        name: str,
        arguments: str,
        kind: SpanKind,
        returns: Codec = _plain,
        options: Options = PLAIN,
        flow: Flow[Any, Any] | None = None,
        parent: Frame | None = None,
        found: _native.Recognized | None = None,
    ) -> None:
        """Recognises the call.

        Args:
            play: The play.
            name: What it is called.
            arguments: Its arguments, canonical JSON.
            kind: What its span stands for.
            returns: The codec of its result.
            options: What was said of it.
            flow: The flow that is called; None where it is none.
            parent: The call in which it stands. None is the one that this code runs in.
            found: What is known of it already: it was recognised, and is not remembered.
        """
        self.play = play
        self.name = name
        self.arguments = arguments
        self.kind: SpanKind = kind
        self.returns = returns
        self.options = options
        self.flow = flow
        self.is_shown = found is not None
        if found is not None:
            self.parent, self.key, path = found.parent, found.key, found.path
        else:
            self.parent = self._parent(parent)
            self.key = self._key()
            path = _native.step_path(self.parent.path, name, self.key)
        self.frame = Frame(play, self.parent, self.key[:16], path, self.key, _native.Occurrences())
        if play.plans is not None:
            self.frame.place = play.plans.place(self.parent, name)

    def _parent(self, parent: Frame | None) -> Frame:
        parent = parent or _play.frame_in(self.play)
        if parent is None:
            raise DefinitionError(
                f"flow `{self.name}` is called while its file is being imported",
                'put the call under `if __name__ == "__main__":`',
            )
        self.play.check_not_paused(parent)
        return parent

    def _key(self) -> str:
        first = self._key_of(1)
        n = self.parent.occurrences.next_call(first)
        return first if n == 1 else self._key_of(n)

    def _key_of(self, occurrence: int) -> str:
        return _native.step_key(self.play.version, self.parent.path, self.name, self.arguments, occurrence)

    def attempt(self, n: int) -> Step:
        """One attempt at this call; it is remembered by itself."""
        attempt = Step(self.play, "attempt", f'{{"n":{n}}}', "other", parent=self.frame)
        # Which attempt succeeds is chance: what stands in it stands in the step.
        attempt.frame.place = self.frame.place
        return attempt

    def note(self, name: str, arguments: str = "{}") -> Step:
        """What is remembered of this call by the play alone, and by none that is made of it."""
        return Step(self.play, name, arguments, "other", parent=self.frame.aside())

    def begin(self) -> str | None:
        """Opens the span; returns the outcome if an earlier launch ended this call."""
        if self.is_shown:
            return None
        journal = self.play.journal
        outcome = self.play.steps.take(self.key)
        if outcome is not None and (ran_as := self.play.steps.ran_as(self.key)) is not None:
            journal.post_replayed(self.parent.span_id, *ran_as, self.play.is_replaying)
            return outcome
        if outcome is None and self.options.is_plan and self.play.plans is not None:
            outcome = self.play.plans.outcome(self.frame.place, self.name)
        event = _wire.span_start(
            self.frame.span_id,
            self.parent.span_id,
            self.name,
            self.kind,
            step_key=self.key,
            arguments=self.arguments,
            source=self._source(),
            replayed=outcome is not None,
        )
        if outcome is None:
            journal.send(event)
        else:
            journal.post(event, self.play.is_replaying)
        return outcome

    def _source(self) -> Source | None:
        source = self.flow.source if self.flow else None
        return source and source.within(self.play.bundle_dir)

    def life(self) -> Life:
        """All that happens to the step, up to how it ended."""
        remembered = self.begin()
        if remembered is not None:
            return Ended(remembered)
        ended = yield from self.ended()
        yield Remember(self.output_event(ended.outcome))
        self.note_completed(ended.outcome)
        return ended

    def ended(self) -> Life:
        """Lets it run, up to what is to be remembered."""
        if self.options.is_plain:
            return (yield from run_body(self.frame))
        from ._retry import guarded

        return (yield from guarded(self))

    def note_completed(self, outcome: str) -> None:
        """Notes that there is something to undo, if there is."""
        if not self._is_compensable:
            return
        payload = json.loads(outcome)
        if "returned" in payload:
            self.play.completed.append(Completed(self.key, self.name, dumps(payload["returned"])))

    @property
    def _is_compensable(self) -> bool:
        # What a step does to undo another is not undone itself.
        return self.options.compensate is not None and not self.play.is_undoing

    def output_event(self, outcome: str) -> str:
        """What makes the outcome durable."""
        return _wire.step_output(
            key=self.key,
            parent_path=self.parent.path,
            name=self.name,
            arguments=self.arguments,
            source_hash=self.flow.source_hash if self.flow else "",
            span_id=self.frame.span_id,
            outcome=outcome,
            compensable=self._is_compensable,
            plan=self.options.is_plan,
            place=self.frame.place if self.options.is_plan else None,
        )

    def limit(self, seconds: float, timeout: StepTimeout, grace_seconds: float) -> None:
        """Has this outcome stored, and the launch ended, should the span be open for longer."""
        event = self.output_event(_outcome.raised(timeout))
        self.play.journal.send(_wire.step_deadline(micros(seconds + grace_seconds), event))
        self.frame.is_limited = True

    def timed_out(self, what: str, seconds: float) -> StepTimeout:
        """The exception that tells of it."""
        return StepTimeout(f"{what} `{self.name}` took longer than {in_words(seconds)}")

    def opened(self, ended: Ended) -> Any:
        """Returns or raises how it ended."""
        try:
            return _outcome.open_outcome(ended.outcome, self.returns, ended.error)
        except Misfit as misfit:
            place = misfit.seen_from("return")
            raise EncodeError(f"what step `{self.name}` returned cannot be read back: {place}") from None


def run_body(frame: Frame, seconds: float | None = None, timeout: StepTimeout | None = None) -> Life:
    """Has the body run in this frame."""
    ended = yield RunBody(frame, seconds, timeout)
    assert ended is not None, "this act is answered"
    return ended


class Body:
    """Runs the body of a step in a frame, and holds how it ended."""

    def __init__(self, step: Step, frame: Frame) -> None:
        self._step = step
        self._frame = frame
        self.ended = Ended("")

    def __enter__(self) -> Body:
        self._token = _play.current_frame.set(self._frame)
        return self

    def returned(self, value: object) -> None:
        """The body returned."""
        step = self._step
        outcome = step.returns.plain.returned(value)
        self.ended = Ended(outcome or _outcome.returned(encoded(step.returns, step.name, value)))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        _play.current_frame.reset(self._token)
        if isinstance(error, Paused) or self._frame.paused_in:
            self._step.play.stop_clock(self._frame, self._step.frame)
            if isinstance(error, Paused):
                return False
            # The body goes on from its pause once that is answered; what it made without is worth nothing.
            raise Paused()
        if isinstance(error, Exception):
            self.ended = Ended(_outcome.raised(error), error)
        elif error is not None:
            self._report_abandoned(error)
        return isinstance(error, Exception)

    def _report_abandoned(self, error: BaseException) -> None:
        """KeyboardInterrupt, SystemExit, a cancelled task: it did not end, it was ended. Not remembered."""
        for span_id in dict.fromkeys((self._frame.span_id, self._step.frame.span_id)):
            self._step.play.journal.send(_wire.span_end(span_id, "cancelled", _outcome.exception_json(error)))


def canonical_arguments(flow: Flow[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The arguments of a call as canonical JSON. Raises `ArgumentError`."""
    native = flow.parameters.native
    known = native and native.arguments(args, kwargs)
    if known is not None:
        return known
    try:
        return _native.canonical_json(flow.parameters.encode(args, kwargs))
    except ValueError as error:
        raise ArgumentError(f"flow `{flow.name}` cannot be recognised by its arguments: {error}") from None


def encoded(returns: Codec, name: str, value: object) -> Any:
    """The result of a flow as JSON. Raises `EncodeError`."""
    try:
        form = returns.encode(value)
        _native.canonical_json(dumps(form))
    except Misfit as misfit:
        reason = misfit.seen_from("return")
    except RecursionError:
        reason = f"return: {type(value).__name__} holds itself"
    except ValueError as error:
        reason = f"return: {error}"
    else:
        return form
    raise EncodeError(f"what flow `{name}` returned cannot be stored: {reason}")
