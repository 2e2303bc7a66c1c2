"""A launch of nothing, which a fork server runs before those of others: what every launch loads is loaded
then, and what every launch writes to is in memory of its own. It reports to nobody and remembers nothing.

This very file is the one that it imports as the bundle of a play.
"""

from __future__ import annotations

import contextvars
import os
import sys
from typing import Any

from pyhero import _child, _native, _outcome, _play, _wire
from pyhero._flow_api import flow
from pyhero._names import Names
from pyhero._runner import run_root


@flow
def step(index: int, note: str = "") -> dict[str, Any]:
    return {"index": index, "note": note}


@flow
def rehearsal(note: str, n_steps: int) -> list[Any]:
    return [step(index, note) for index in range(n_steps)]


class Nobody:
    """Hears everything and keeps nothing."""

    def send(self, event_json: str, /) -> int:
        return 0

    def post(self, event_json: str, more: bool, /) -> int:
        return 0

    def post_replayed(self, parent_id: str, launch: int, seq: int, more: bool, /) -> None:
        pass

    def flush(self) -> None:
        pass

    def wait(self, seq: int, /) -> str | None:
        return None

    def request(self, event_json: str, /) -> str | None:
        return None


def rehearse(n_steps: int) -> Any:
    """Runs the flow above as a launch does, and returns its output. Nothing of it stays."""
    return contextvars.copy_context().run(_rehearse, n_steps)


def _rehearse(n_steps: int) -> Any:
    play = _play.Play(
        sid="",
        version="",
        workflow="rehearsal",
        launch=0,
        bundle_dir=os.path.dirname(__file__),
        journal=Nobody(),
        steps=_native.ReplayCache(None),
        answers=_native.ReplayCache(None),
        names=Names(__file__),
    )
    name = f"{__name__}.entry"
    _play.running = play
    try:
        module = _child.import_entry(__file__, name)
        output = run_root(play, play.names.find("rehearsal"), {"note": "é", "n_steps": n_steps})
        play.journal.send(
            _wire.result(_outcome.returned(output), is_definition_error=False, left_over=play.left_over())
        )
    finally:
        _play.running = None
        del sys.modules[name]
    # Its functions keep it and each other alive.
    module.__dict__.clear()
    return output
