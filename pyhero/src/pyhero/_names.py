"""What flows are called, and that no two of a play are called the same."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from . import _native
from ._errors import DefinitionError, FlowNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._flow import Flow

_all_flows: WeakSet[Flow[Any, Any]] = WeakSet()


@functools.lru_cache(maxsize=1024)
def real_path(path: str) -> str:
    """Where a file is. Asked once a file and not once a function in it: each part of a path is looked up."""
    return os.path.realpath(path)


class Names:
    """The flows by name, as seen from one entry file.

    Outside a play there is no entry file, and a flow without a name of its own is called `module.qualname`.
    """

    def __init__(self, entry_file: str | None = None) -> None:
        self.entry_file = entry_file and real_path(entry_file)
        self._flows: WeakValueDictionary[str, Flow[Any, Any]] = WeakValueDictionary()
        self._claimed: WeakKeyDictionary[Flow[Any, Any], str] = WeakKeyDictionary()

    def name_of(self, flow: Flow[Any, Any]) -> str:
        """The name given at the decoration, else that of the function."""
        module = getattr(flow.function, "__module__", None) or ""
        if module.partition(".")[0] in scopes:
            return _name_in_scope(flow, module)
        return self._default_name(flow.function) if flow.given_name is None else flow.given_name

    def _default_name(self, function: Callable[..., Any]) -> str:
        name = getattr(function, "__qualname__", "").replace("<locals>.", "")
        module = getattr(function, "__module__", None)
        code = getattr(function, "__code__", None)
        is_in_entry = code is not None and self.entry_file == real_path(code.co_filename)
        # What has no name, such as a `partial`, gets none here: the check of names will say so.
        return name if is_in_entry or not name or module in (None, "__main__") else f"{module}.{name}"

    def claim(self, flow: Flow[Any, Any]) -> str:
        """Takes the name for this flow and returns it. Raises `DefinitionError` where another has it."""
        return self._claimed.get(flow) or self._claim(flow, self.name_of(flow))

    def _claim(self, flow: Flow[Any, Any], name: str) -> str:
        if not _native.is_name(name):
            raise DefinitionError(
                f"a flow cannot be called `{name}`",
                "name it with @flow(name=…): a letter or _, then letters, digits, `_`, `.`, `-`; 128 at most",
            )
        holder = self._flows.get(name)
        if holder is not None and self._is_taken_by(holder.function, flow.function):
            raise DefinitionError(
                f"two flows are called `{name}`: {_place(holder.function)} and {_place(flow.function)}",
                "name one of them with @flow(name=…)",
            )
        self._flows[name] = flow
        self._claimed[flow] = name
        _all_flows.add(flow)
        return name

    def _is_taken_by(self, holder: Any, function: Any) -> bool:
        code = getattr(function, "__code__", function)
        if getattr(holder, "__code__", holder) == code:
            return False  # one flow, defined once more in a loop
        # Outside a play, files that have nothing to do with each other may be loaded, reloaded, or be cells
        # of a notebook. Only what stands side by side is told already here.
        return self.entry_file is not None or _are_neighbours(holder, function)

    def find(self, name: str) -> Flow[Any, Any]:
        """The flow of this name. Raises `FlowNotFound`."""
        found = self._flows.get(name) or next((f for f in list(_all_flows) if self.name_of(f) == name), None)
        if found is None:
            known = ", ".join(f"`{known}`" for known in sorted(self._flows)) or "none"
            raise FlowNotFound(f"there is no flow `{name}`", f"flows that are loaded: {known}")
        return found


scopes: dict[str, tuple[str, str]] = {}
"""Packages that hold the modules of another workflow → what their flows are called after, and their entry."""


def _name_in_scope(flow: Flow[Any, Any], module: str) -> str:
    package, _, inner = module.partition(".")
    label, entry = scopes[package]
    function_name = getattr(flow.function, "__qualname__", "").replace("<locals>.", "")
    name = function_name if inner == entry else f"{inner}.{function_name}"
    return f"{label}.{flow.given_name or name}"


def _are_neighbours(one: Any, other: Any) -> bool:
    """Whether two functions of different names stand in the same scope of the same module."""
    scope, _, name = getattr(one, "__qualname__", "").rpartition(".")
    other_scope, _, other_name = getattr(other, "__qualname__", "").rpartition(".")
    return scope == other_scope and name != other_name and one.__module__ == other.__module__


def _place(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else f"{function!r}"


plain = Names()
"""The names outside plays."""
