"""One call of a flow within a play: recognised, then replayed or run and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _native, _outcome, _play, _wire
from ._codec import Misfit, dumps
from ._errors import ArgumentError, DefinitionError, EncodeError
from ._play import Frame, Occurrences, Paused, Play

if TYPE_CHECKING:
    from ._flow import Flow
    from ._wire import SpanKind


def call(
    play: Play, flow: Flow[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], kind: SpanKind
) -> Any:
    """Calls a flow as a step. Which call it is, is settled here, also for one that is awaited later."""
    step = Step(play, flow, args, kwargs, kind)
    return _run_async(step, args, kwargs) if flow.is_async else _run(step, args, kwargs)


def _run(step: Step, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    outcome = step.begin()
    if outcome is not None:
        return step.opened(outcome)
    with Body(step) as body:
        body.returned(step.flow.function(*args, **kwargs))
    step.play.journal.request(step.output_event(body.outcome))
    return step.opened(body.outcome, body.error)


async def _run_async(step: Step, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from ._acks import acknowledged, open_step

    outcome = step.begin()
    if outcome is not None:
        return step.opened(outcome)
    with open_step(step.play):
        with Body(step) as body:
            body.returned(await step.flow.function(*args, **kwargs))
        await acknowledged(step.play.journal, step.output_event(body.outcome))
    return step.opened(body.outcome, body.error)


class Step:
    """A call: what it is recognised by, and what is remembered of it."""

    def __init__(
        self, play: Play, flow: Flow[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], kind: SpanKind
    ) -> None:
        parent = _play.frame_in(play)
        self.name = play.names.claim(flow)
        if parent is None:
            raise DefinitionError(
                f"flow `{self.name}` is called while its file is being imported",
                'put the call under `if __name__ == "__main__":`',
            )
        play.check_not_paused(parent)
        self.play = play
        self.flow = flow
        self.kind: SpanKind = kind
        self.parent = parent
        self.arguments = canonical_arguments(flow, args, kwargs)
        self.key = self._key()
        path = _native.step_path(parent.path, self.name, self.key)
        self.frame = Frame(play, parent, self.key[:16], path, self.key, Occurrences())

    def _key(self) -> str:
        first = self._key_of(1)
        n = self.parent.occurrences.next("call", first)
        return first if n == 1 else self._key_of(n)

    def _key_of(self, occurrence: int) -> str:
        return _native.step_key(self.play.version, self.parent.path, self.name, self.arguments, occurrence)

    def begin(self) -> str | None:
        """Opens the span; returns the outcome if an earlier launch ended this call."""
        outcome = self.play.steps.take(self.key)
        event = _wire.span_start(
            self.frame.span_id,
            self.parent.span_id,
            self.name,
            self.kind,
            step_key=self.key,
            arguments=self.arguments,
            source=self.flow.source and self.flow.source.within(self.play.bundle_dir),
            replayed=outcome is not None,
        )
        self.play.journal.send(event)
        return outcome

    def output_event(self, outcome: str) -> str:
        """What makes the outcome durable."""
        return _wire.step_output(
            key=self.key,
            parent_path=self.parent.path,
            name=self.name,
            arguments_hash=_native.sha1_hex(self.arguments),
            source_hash=self.flow.source_hash,
            span_id=self.frame.span_id,
            outcome=outcome,
        )

    def opened(self, outcome: str, original: BaseException | None = None) -> Any:
        """Returns or raises what is remembered."""
        try:
            return _outcome.open_outcome(outcome, self.flow.returns, original)
        except Misfit as misfit:
            place = misfit.seen_from("return")
            raise EncodeError(f"what step `{self.name}` returned cannot be read back: {place}") from None


class Body:
    """Runs the body of a step in its frame, and holds how it ended.

    Attributes:
        outcome: What to remember, once the body has ended.
        error: The exception that the outcome was made of.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self.outcome = ""
        self.error: BaseException | None = None

    def __enter__(self) -> Body:
        self._token = _play.current_frame.set(self._step.frame)
        return self

    def returned(self, value: object) -> None:
        """The body returned."""
        self.outcome = _outcome.returned(encoded_result(self._step.flow, self._step.name, value))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        _play.current_frame.reset(self._token)
        if isinstance(error, Paused):
            return False
        if self._step.frame.paused_in:
            # The body goes on from its pause once that is answered; what it made without is worth nothing.
            raise Paused()
        if isinstance(error, Exception):
            self.outcome, self.error = _outcome.raised(error), error
        elif error is not None:
            self._report_abandoned(error)
        return isinstance(error, Exception)

    def _report_abandoned(self, error: BaseException) -> None:
        """KeyboardInterrupt, SystemExit, a cancelled task: it did not end, it was ended. Not remembered."""
        step = self._step
        step.play.journal.send(
            _wire.span_end(step.frame.span_id, "cancelled", _outcome.exception_json(error))
        )


def canonical_arguments(flow: Flow[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The arguments of a call as canonical JSON. Raises `ArgumentError`."""
    try:
        return _native.canonical_json(flow.parameters.encode(args, kwargs))
    except ValueError as error:
        raise ArgumentError(f"flow `{flow.name}` cannot be recognised by its arguments: {error}") from None


def encoded_result(flow: Flow[Any, Any], name: str, value: object) -> Any:
    """The result of a flow as JSON. Raises `EncodeError`."""
    try:
        encoded = flow.returns.encode(value)
        _native.canonical_json(dumps(encoded))
    except Misfit as misfit:
        reason = misfit.seen_from("return")
    except RecursionError:
        reason = f"return: {type(value).__name__} holds itself"
    except ValueError as error:
        reason = f"return: {error}"
    else:
        return encoded
    raise EncodeError(f"what flow `{name}` returned cannot be stored: {reason}")
