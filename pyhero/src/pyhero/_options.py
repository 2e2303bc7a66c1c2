"""What `@flow(…)` says of a flow beside its name, checked where it is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ._durations import seconds_of
from ._errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Literal

    from ._durations import Duration
    from ._retry import Retry

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIZE = re.compile(r"(\d+)\s*([KMGT]?)B")


class NotGiven:
    """The type of `NOT_GIVEN`."""

    def __repr__(self) -> str:
        return "…"


NOT_GIVEN: Any = NotGiven()
"""Stands for an argument that was not given, where None would be one."""


class Options:
    """The options of a flow; see `flow`.

    Attributes:
        retry: When a step is tried again; `"never"` runs its body at most once.
        timeout_seconds: How long it may take. None leaves it all the time.
        compensate: What undoes a completed step.
        memory_bytes: The address space of the process where the flow is the root of a play.
        is_plan: Whether its outputs are frozen into a version that is saved from a play.
    """

    def __init__(
        self,
        *,
        outputs: Mapping[str, Any] | None = None,
        retry: Retry | Literal["never"] | None = None,
        timeout: Duration | None = None,
        compensate: Callable[..., Any] | None = None,
        memory: int | str | None = None,
        env: Iterable[str] = (),
        plan: bool = False,
    ) -> None:
        self.outputs = outputs
        self.retry = _checked_retry(retry)
        self.timeout_seconds = None if timeout is None else _positive(timeout)
        self.compensate = _checked_undo(compensate)
        self.memory_bytes = None if memory is None else _bytes(memory)
        self.env = _checked_names(env)
        self.is_plan = plan

    @property
    def is_plain(self) -> bool:
        """Whether the body is simply run."""
        return self.retry is None and self.timeout_seconds is None


def _checked_retry(retry: Any) -> Any:
    if retry is not None and retry != "never":
        from ._retry import Retry

        if not isinstance(retry, Retry):
            raise DefinitionError(f"`retry` cannot be `{retry!r}`", 'retry=Retry(on=…), or retry="never"')
    return retry


def _positive(timeout: object) -> float:
    seconds = seconds_of(timeout, "`timeout`", DefinitionError)
    if seconds == 0:
        raise DefinitionError("`timeout` cannot be 0", "None sets no limit")
    return seconds


def _checked_undo(undo: Any) -> Any:
    if undo is not None and not callable(undo):
        raise DefinitionError(f"`compensate` cannot be `{undo!r}`", "a function that takes the step's output")
    return undo


def _bytes(memory: object) -> int:
    if isinstance(memory, int) and not isinstance(memory, bool) and memory > 0:
        return memory
    found = _SIZE.fullmatch(memory.strip()) if isinstance(memory, str) else None
    if found is None or int(found[1]) == 0:
        raise DefinitionError(f"`memory` cannot be `{memory!r}`", 'bytes, or text such as "512MB" or "2GB"')
    return int(found[1]) << 10 * (" KMGT".index(found[2] or " "))


def _checked_names(env: Any) -> tuple[str, ...]:
    hint = 'the names of variables, without values: env=["API_KEY"]'
    if isinstance(env, str):
        raise DefinitionError(f"`env` cannot be `{env}`", hint)
    for name in (names := tuple(env)):
        if not (isinstance(name, str) and _VARIABLE.fullmatch(name)):
            raise DefinitionError(f"`env` cannot name `{name}`", hint)
    return names


PLAIN = Options()
"""No option at all."""
