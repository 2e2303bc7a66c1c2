"""Runs the root flow of a play: the same for a launch and for `pyhero.testing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _native, _play, _wire
from ._durations import micros
from ._play import Frame, Paused, Play
from ._step import canonical_arguments, encoded

if TYPE_CHECKING:
    import inspect
    from collections.abc import Coroutine, Mapping

    from ._codec import Json
    from ._flow import Flow


def run_root(play: Play, flow: Flow[Any, Any], inputs: Mapping[str, Json]) -> Json:
    """Runs the flow on inputs made of JSON and returns its encoded output.

    Raises:
        Paused: the play stands at a pause, whatever the flow made of that.
    """
    name = play.names.claim(flow)
    bound = flow.parameters.decode(inputs)
    arguments = canonical_arguments(flow, bound.args, bound.kwargs)
    key = _native.step_key(play.version, "", name, arguments, 1)
    play.root = Frame(play, None, key[:16], name, key, _native.Occurrences())
    play.root.place = name
    source = flow.source and flow.source.within(play.bundle_dir)
    play.journal.send(_wire.span_start(key[:16], None, name, "flow_root", arguments=arguments, source=source))
    if flow.options.timeout_seconds is not None:
        play.journal.request(_wire.play_deadline(micros(flow.options.timeout_seconds)))
    try:
        output = _run_body(play, flow, bound)
        form: Json = encoded(flow.returns, name, output)
    except Exception as error:
        if play.completed:
            from ._undo import undo_all

            undo_all(play, error, lambda coroutine: _run_async(play, coroutine))
        raise
    return form


def _run_body(play: Play, flow: Flow[Any, Any], bound: inspect.BoundArguments) -> Any:
    if play.completed:
        from ._undo import earlier_failure

        failure = earlier_failure(play)
        if failure is not None:
            raise failure
    play.was_entered = True
    try:
        output = flow.function(*bound.args, **bound.kwargs)
        if flow.is_async:
            output = _run_async(play, output)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        if play.has_paused:  # perhaps inside of an exception group, perhaps made into another exception
            raise Paused() from None
        raise
    if play.has_paused:
        raise Paused()
    return output


def _run_async(play: Play, coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    async def main() -> Any:
        _play.current_branch(play)  # the tasks that this one starts are to know where they come from
        try:
            return await coroutine
        finally:
            if play.has_paused:
                await _open_steps_ended(play)

    return asyncio.run(main())


async def _open_steps_ended(play: Play) -> None:
    """Lets steps in other tasks run on to their own end or pause, so that all questions are asked at once.
    What waits outside of a step, such as a worker for its queue, is cancelled by `asyncio.run` as ever."""
    import asyncio

    while play.open_steps:
        await asyncio.wait(set(play.open_steps), return_when=asyncio.FIRST_COMPLETED)
