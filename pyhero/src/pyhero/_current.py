"""What a flow may know of the play that it is part of."""

from __future__ import annotations

from dataclasses import dataclass

from . import _play


@dataclass(frozen=True)
class CurrentPlay:
    """The running play, as `flow.current()` tells it.

    Attributes:
        sid: The play.
        workflow: The name of its root flow.
        version: The version it is pinned to: the content hash of its code.
        launch: The number of this process within the play, counted from 1.
        replaying: Whether something is remembered that this launch has not asked for yet.
        attempt: Which attempt at its step this code is, counted from 1; None in a step without `Retry`.
    """

    sid: str
    workflow: str
    version: str
    launch: int
    replaying: bool
    attempt: int | None


def current_play(play: _play.Play) -> CurrentPlay:
    """A picture of the play as it is now."""
    frame = _play.frame_in(play)
    attempt = frame.attempt if frame else None
    return CurrentPlay(play.sid, play.workflow, play.code_version, play.launch, play.is_replaying, attempt)
