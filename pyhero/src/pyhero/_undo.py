"""Undoing completed steps once the root flow has failed: `@flow(compensate=…)`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import _native, _outcome, _play, _step, _wire
from ._errors import FlowNotFound
from ._flow import Flow
from ._play import Completed, Frame, Play
from ._step import Step

if TYPE_CHECKING:
    from collections.abc import Callable


def earlier_failure(play: Play) -> BaseException | None:
    """What the root flow raised in an earlier launch, which had begun to undo it.

    It is not run again then: it might go another way, and use what is undone already. But it is where it
    alone brings a flow into being that knows an undo.
    """
    if not play.completed:
        return None
    outcome = play.steps.take(_failure(play).key)
    if outcome is None or not all(_is_known(play, completed) for completed in play.completed):
        return None
    return _outcome.remembered(json.loads(outcome)["raised"])


def _failure(play: Play) -> Step:
    """What remembers that the root flow has failed and with what."""
    return Step(play, "failure", "{}", "other", parent=_root(play).aside())


def _root(play: Play) -> Frame:
    assert play.root is not None, "what fails has begun"
    return play.root


def _is_known(play: Play, completed: Completed) -> bool:
    try:
        play.names.find(completed.name)
    except FlowNotFound:
        return False
    return True


def undo_all(play: Play, error: BaseException, run_async: Callable[[Any], Any]) -> None:
    """Undoes all completed steps, the last one first. Each undo is remembered and may pause; one that
    raises is recorded, and the others still run.

    Args:
        play: The play.
        error: What the root flow raised.
        run_async: Runs the coroutine of an async undo.
    """
    if not play.completed:
        return
    play.is_undoing = True
    failure = _failure(play)
    if failure.begin() is None:
        play.journal.request(failure.output_event(_outcome.raised(error)))
    seen: set[str] = set()
    for completed in reversed(play.completed.copy()):
        if completed.key not in seen:
            seen.add(completed.key)
            _undo(play, completed, run_async)


def _undo(play: Play, completed: Completed, run_async: Callable[[Any], Any]) -> None:
    token = _play.current_frame.set(_root(play).aside(completed.key))
    try:
        _call_undo(play, completed, run_async)
    except Exception as error:
        text = f"undoing `{completed.name}` failed: {type(error).__name__}: {_outcome.message_of(error)}"
        for line in text.splitlines():
            play.journal.send(_wire.span_log(_root(play).span_id, "error", line))
    finally:
        _play.current_frame.reset(token)


def _call_undo(play: Play, completed: Completed, run_async: Callable[[Any], Any]) -> None:
    flow = play.names.find(completed.name)
    undo = flow.options.compensate
    arguments = f'{{"output":{_native.canonical_json(completed.output)}}}'
    output = flow.returns.decode(json.loads(completed.output))
    if isinstance(undo, Flow):
        step = _step.step_of(play, undo, arguments, "step")
        done = _step.run(step, undo.function, (output,), is_async=undo.is_async)
        if undo.is_async:
            run_async(done)
        return

    def call() -> None:
        done = undo(output)
        if hasattr(done, "__await__"):
            run_async(_awaited(done))

    _step.run(Step(play, f"{completed.name}.undo", arguments, "step"), call)


async def _awaited(done: Any) -> None:
    await done
