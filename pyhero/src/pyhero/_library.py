"""Saved workflows that run in this process: `flow.invoke("name", …)`.

Which version a name stands for is asked once a play and remembered with the code, so every launch runs the
same, whatever is saved or removed meanwhile. The modules of a workflow are its own: they neither see nor hide
those of the flow that invokes it.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from . import _native, _step
from ._codec import dumps
from ._errors import ArgumentError, DefinitionError, FlowNotFound, NotInFlowError, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import CodeType, ModuleType

    from ._flow import Flow
    from ._play import Play

_chain: ContextVar[tuple[str, ...]] = ContextVar("invoked_workflows", default=())
"""The workflows that this code runs in, the outermost first."""

_lock = threading.RLock()
_loaded: dict[str, Flow[..., Any]] = {}
"""What was loaded in this process, by reference. A process has one play."""


def invoke(play: Play, reference: str, inputs: dict[str, Any]) -> Any:
    """Runs a saved workflow as a sub-flow; see `flow.invoke`."""
    name = workflow_name(reference)
    if name in _chain.get():
        path = " → ".join([*_chain.get(), name])
        raise DefinitionError(
            f"workflows invoke each other in a circle: {path}",
            "let one of them call a flow of its own instead",
        )
    flow = _load(play, reference, name)
    arguments = _step.canonical_arguments(flow, (), inputs)
    step = _step.step_of(play, flow, arguments, "subflow")
    return _step.run(step, _within_chain(flow, name), (), inputs, is_async=flow.is_async)


def workflow_name(reference: str) -> str:
    """The name in `NAME` or `NAME@VERSION`. Raises `ArgumentError`."""
    name, at, version = reference.partition("@")
    if not _native.is_name(name) or (at and not version.isalnum()):
        raise ArgumentError(
            f"no workflow can be called `{reference}`", "target: a flow, or the name of one, or NAME@VERSION"
        )
    return name


def _within_chain(flow: Flow[..., Any], name: str) -> Callable[..., Any]:
    """The function of the flow; how it fails is told as where it runs as a play of its own."""
    from ._spawn import failures

    @contextmanager
    def chained() -> Iterator[None]:
        token = _chain.set((*_chain.get(), name))
        try:
            with failures(flow):
                yield
        finally:
            _chain.reset(token)

    if flow.is_async:

        async def run_async(**inputs: Any) -> Any:
            with chained():
                return await flow.function(**inputs)

        return run_async

    def run(**inputs: Any) -> Any:
        with chained():
            return flow.function(**inputs)

    return run


def _load(play: Play, reference: str, name: str) -> Flow[..., Any]:
    with _lock:
        if reference not in _loaded:
            code = _resolved(play, reference)
            label = name if name == reference else f"{name}.v{reference.partition('@')[2]}"
            _loaded[reference] = _Code(label, code).root(play)
        return _loaded[reference]


def _resolved(play: Play, reference: str) -> Mapping[str, Any]:
    """The version and its code, as they were when this play asked first."""
    if play.root is None:
        raise NotInFlowError(f"workflow `{reference}` is invoked while a file is imported")
    arguments = _native.canonical_json(dumps({"workflow": reference}))
    step = _step.Step(play, "pyhero.workflow", arguments, "step", parent=play.root)
    resolved: Mapping[str, Any] = _step.run(step, lambda: _ask(reference))
    return resolved


def _ask(reference: str) -> dict[str, Any]:
    from ._rpc import Endpoint

    socket = os.environ.get("HERO_RPC_SOCKET")
    if not socket:
        raise FlowNotFound(
            f"there is no flow `{reference}`",
            "saved workflows are known where the play is carried by a server",
        )
    params = dumps({"workflow": reference})
    try:
        detail = Endpoint(socket).call("LogicService.workflow_get", params, "resolve")
    except RpcError as error:
        if error.kind in ("workflow_not_found", "version_not_found"):
            raise FlowNotFound(f"there is no flow `{reference}`, and {error}") from None
        raise
    if detail["version"].get("saved"):
        raise DefinitionError(
            f"`{reference}` was saved from a play: its inputs and its frozen plans need a play of their own",
            f'flow.invoke("{reference}", spawn=True, …)',
        )
    bundle = detail["version"]["bundle"]
    return {"version": detail["number"], "version_sid": detail["version"]["sid"], **bundle}


class _Code:
    """The modules of a workflow, as a package of their own."""

    def __init__(self, label: str, code: Mapping[str, Any]) -> None:
        self.label = label
        self.package = f"_workflow_{_native.sha1_hex(label)[:8]}_{code['version_sid'][:8]}"
        self.entry = code["entry"].removesuffix(".py").replace("/", ".")
        self.flow_name = code["flow"]
        self.sources: dict[str, tuple[str, str]] = {}
        self.packages = {""}
        for path, source in code["files"].items():
            name = path.removesuffix(".py").replace("/", ".")
            if name.endswith("__init__"):
                name = name.removesuffix("__init__").rstrip(".")
                self.packages.add(name)
            self.sources[name] = (path, source)
            while "." in name:
                name = name.rpartition(".")[0]
                self.packages.add(name)
        self.tops = {name.partition(".")[0] for name in self.sources}

    def root(self, play: Play) -> Flow[..., Any]:
        """Imports the entry and finds the flow."""
        from . import _names

        _names.scopes[self.package] = (self.label, self.entry)
        sys.meta_path.insert(0, _Finder(self))
        importlib.import_module(f"{self.package}.{self.entry}")
        return play.names.find(f"{self.label}.{self.flow_name}")

    def import_(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] = (), level: int = 0
    ) -> ModuleType:
        """What `import` does in these modules: their own come before all others."""
        if level or name.partition(".")[0] not in self.tops:
            return builtins.__import__(name, globals, locals, fromlist, level)
        module = importlib.import_module(f"{self.package}.{name}")
        if not fromlist:
            return sys.modules[f"{self.package}.{name.partition('.')[0]}"]
        for member in fromlist:
            if f"{name}.{member}" in self.sources and not hasattr(module, member):
                importlib.import_module(f"{self.package}.{name}.{member}")
        return module


class _Finder(MetaPathFinder):
    """Finds the modules of one workflow."""

    def __init__(self, code: _Code) -> None:
        self.code = code

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of the workflow; None for any other."""
        package, _, name = fullname.partition(".")
        if package != self.code.package or (name not in self.code.sources and name not in self.code.packages):
            return None
        return ModuleSpec(fullname, _Loader(self.code, name), is_package=name in self.code.packages)


class _Loader(InspectLoader):
    """Runs a module whose source was handed over."""

    def __init__(self, code: _Code, name: str) -> None:
        self.code = code
        self.name = name

    def is_package(self, fullname: str) -> bool:
        """Whether modules can lie in it."""
        return self.name in self.code.packages

    def get_source(self, fullname: str) -> str:
        """Its source; `inspect.getsource` and tracebacks ask for it."""
        return self.code.sources.get(self.name, ("", ""))[1]

    def get_code(self, fullname: str) -> CodeType:
        """What it is compiled to."""
        path = self.code.sources.get(self.name, ("", ""))[0]
        return compile(
            self.get_source(fullname), f"<workflow {self.code.label}>/{path}", "exec", dont_inherit=True
        )

    def exec_module(self, module: ModuleType) -> None:
        """Runs it with an `import` of its own."""
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self.code.import_}
        exec(self.get_code(module.__name__), module.__dict__)
