"""The one way in which an inspection fails."""

from __future__ import annotations


class Problem(Exception):
    """A file that cannot be run as a flow, in words for its author."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
