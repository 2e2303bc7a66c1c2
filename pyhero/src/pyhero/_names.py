"""What flows are called, and that no two of a play are called the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from . import _native
from ._errors import DefinitionError, FlowNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._flow import Flow

_all_flows: WeakSet[Flow[Any, Any]] = WeakSet()


class Names:
    """The flows by name, as seen from one entry file.

    Outside a play there is no entry file, and a flow without a name of its own is called `module.qualname`.
    """

    def __init__(self, entry_file: str | None = None, *, is_launch: bool = False) -> None:
        self.entry_file = entry_file and os.path.realpath(entry_file)
        self.is_launch = is_launch
        self._flows: WeakValueDictionary[str, Flow[Any, Any]] = WeakValueDictionary()
        self._claimed: WeakKeyDictionary[Flow[Any, Any], str] = WeakKeyDictionary()

    def name_of(self, flow: Flow[Any, Any]) -> str:
        """The name given at the decoration, else that of the function."""
        return flow.given_name or self._default_name(flow.function)

    def _default_name(self, function: Callable[..., Any]) -> str:
        name = getattr(function, "__qualname__", "").replace("<locals>.", "")
        module = getattr(function, "__module__", None)
        code = getattr(function, "__code__", None)
        is_in_entry = code is not None and self.entry_file == os.path.realpath(code.co_filename)
        return name if is_in_entry or module in (None, "__main__") else f"{module}.{name}"

    def claim(self, flow: Flow[Any, Any]) -> str:
        """Takes the name for this flow and returns it. Raises `DefinitionError` where another has it."""
        return self._claimed.get(flow) or self._claim(flow, self.name_of(flow))

    def _claim(self, flow: Flow[Any, Any], name: str) -> str:
        if not _native.is_name(name):
            raise DefinitionError(
                f"a flow cannot be called `{name}`",
                "name it with @flow(name=…): a letter or _, then letters, digits, `_`, `.` and `-`, 128 at most",
            )
        holder = self._flows.get(name)
        if holder is not None and holder is not flow and not self._is_same(holder.function, flow.function):
            raise DefinitionError(
                f"two flows are called `{name}`: {_place(holder.function)} and {_place(flow.function)}",
                "name one of them with @flow(name=…)",
            )
        self._flows[name] = flow
        self._claimed[flow] = name
        _all_flows.add(flow)
        return name

    def _is_same(self, one: Any, other: Any) -> bool:
        """Whether a flow is the other one defined again: in a loop, by a reload, in a notebook."""
        if one is other or getattr(one, "__code__", one) == getattr(other, "__code__", other):
            return True
        # Within a launch nothing is reloaded, so two definitions are two flows.
        return not self.is_launch and _identity(one) == _identity(other)

    def find(self, name: str) -> Flow[Any, Any]:
        """The flow of this name. Raises `FlowNotFound`."""
        found = self._flows.get(name) or next((f for f in list(_all_flows) if self.name_of(f) == name), None)
        if found is None:
            known = ", ".join(f"`{known}`" for known in sorted(self._flows)) or "none"
            raise FlowNotFound(f"there is no flow `{name}`", f"flows that are loaded: {known}")
        return found


def _identity(function: Any) -> tuple[object, object]:
    return getattr(function, "__module__", None), getattr(function, "__qualname__", None)


def _place(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else f"{function!r}"


plain = Names()
"""The names outside plays."""
