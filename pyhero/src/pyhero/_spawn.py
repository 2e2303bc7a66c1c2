"""Flows that run as plays of their own: `flow.invoke(…, spawn=True)`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import _native, _outcome, _play, _step, _wire
from ._codec import Misfit, codec_for, dumps
from ._errors import ArgumentError, FlowFailed, FlowNotFound, NotInFlowError
from ._library import workflow_name
from ._pause import Request
from ._step import Ended, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._flow import Flow
    from ._play import Play
    from ._step import Life


def spawn(target: Flow[..., Any] | str, inputs: dict[str, Any]) -> Any:
    """Runs a flow of the bundle, else a saved workflow, as a play of its own; see `flow.invoke`."""
    play = _play.running
    flow = _flow_of(play, target)
    if play is None:
        if flow is None:
            raise NotInFlowError(
                f"workflow `{target}` cannot be spawned outside of a play",
                "run the flow with `hero_logic run FILE`",
            )
        return flow(**inputs)
    if flow is None:
        return _step.run(_workflow_step(play, str(target), inputs), _never)
    arguments = _step.canonical_arguments(flow, (), inputs)
    if play.is_hurried:  # `pyhero.testing` has no other play
        step = _step.step_of(play, flow, arguments, "subflow")
        return _step.run(step, _failing_as_a_play(flow), (), inputs, is_async=flow.is_async)
    step = _step.step_of(play, flow, arguments, "subflow", SpawnedStep)
    return _step.run(step, _never, is_async=flow.is_async)


def _flow_of(play: Play | None, target: Flow[..., Any] | str) -> Flow[..., Any] | None:
    """The flow, if this program has it."""
    if not isinstance(target, str):
        return target
    from ._names import plain

    try:
        return (play.names if play else plain).find(target)
    except FlowNotFound:
        return None


class SpawnedStep(Step):
    """A call whose outcome is that of another play.

    Attributes:
        target: The saved workflow that it is of; None for a flow of the bundle.
    """

    target: str | None = None

    def ended(self) -> Life:
        yield from ()
        request = Request(self.play, self.name, "child", self.frame)
        known = self.play.answers.take(request.id)
        return Ended(
            known if known is not None else request.ask(spawn=self._order(), span_id=self.frame.span_id)
        )

    def _order(self) -> str:
        is_in_bundle = self.flow is not None
        target = self.target or self.name
        return _wire.spawn(target, is_in_bundle=is_in_bundle, inputs=self.arguments, step_key=self.key)


def _workflow_step(play: Play, reference: str, inputs: dict[str, Any]) -> Step:
    name = workflow_name(reference)
    _, at, version = reference.partition("@")
    step = SpawnedStep(
        play, f"{name}.v{version}" if at else name, _plain_arguments(reference, inputs), "subflow"
    )
    step.target = reference
    return step


def _never() -> None:
    raise AssertionError("what another play runs is not run here")


def _plain_arguments(target: str, inputs: dict[str, Any]) -> str:
    try:
        return _native.canonical_json(dumps(codec_for(Any).encode(inputs)))
    except (Misfit, ValueError) as error:
        reason = error.seen_from("inputs") if isinstance(error, Misfit) else str(error)
        raise ArgumentError(
            f"workflow `{target}` cannot be spawned with this: {reason}", "its inputs must be JSON"
        ) from None


def _failing_as_a_play(flow: Flow[..., Any]) -> Callable[..., Any]:
    """The function of the flow, with its exceptions told as those of another play are."""
    if flow.is_async:

        async def run_async(**inputs: Any) -> Any:
            with failures(flow):
                return await flow.function(**inputs)

        return run_async

    def run(**inputs: Any) -> Any:
        with failures(flow):
            return flow.function(**inputs)

    return run


@contextmanager
def failures(flow: Flow[..., Any]) -> Iterator[None]:
    """Tells exceptions of a flow as those of another play are told."""
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {_outcome.message_of(error)}"
        raise FlowFailed(f"flow `{flow.name}` failed: {said}") from error
