"""What in the files of a flow will not be the same in every launch, or will happen in every launch.

Code outside of steps runs again whenever a play goes on, so what it reads of the world differs, and what it
does to the world is done again. This finds what the text alone tells, and runs nothing: a warning may be
mistaken, and no warning is no proof.
"""

from __future__ import annotations

import ast

from .bundle import read_bundle
from .flows import dotted, flows_of, is_main_guard
from .roots import choose_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .bundle import Module
    from .flows import Function

_TIME = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.localtime",
    "time.gmtime", "time.ctime", "time.strftime", "datetime.datetime.now", "datetime.datetime.utcnow",
    "datetime.datetime.today", "datetime.date.today",
}  # fmt: skip

_SLEEP = {"time.sleep", "asyncio.sleep"}

_RANDOM = ("random.", "secrets.", "numpy.random.")
_RANDOM_CALLS = {"uuid.uuid1", "uuid.uuid4", "os.urandom", "os.getrandom"}

# What is only read may differ the next time as well, but costs nothing; what follows changes the world.
_EFFECTS = (
    "subprocess.", "requests.", "httpx.", "urllib.request.", "smtplib.", "shutil.copy", "shutil.move",
    "shutil.rmtree", "socket.create_connection", "boto3.", "ftplib.", "paramiko.",
)  # fmt: skip
_EFFECT_CALLS = {
    "os.system", "os.remove", "os.unlink", "os.rename", "os.replace", "os.mkdir", "os.makedirs", "os.rmdir",
    "os.removedirs", "os.popen", "os.kill", "os.symlink", "os.link", "os.truncate", "os.chmod",
}  # fmt: skip
_EFFECT_METHODS = {
    "write_text", "write_bytes", "unlink", "mkdir", "rmdir", "touch", "rename", "sendmail", "send_message",
    "executemany", "commit",
}  # fmt: skip

_HINTS = {
    "time": "flow.now() is recorded, and the same in every launch",
    "sleep": "flow.sleep() holds no process, and is not slept again",
    "random": "flow.random() and flow.uuid4() are recorded, and the same in every launch",
    "mutable_default": "take None and make it in the body: a default is part of what a call is recognised by",
    "side_effect": "put it into a function of its own with @flow, which runs once and is remembered",
}
"""What to do about each kind of finding."""


def check(path: str, wanted: str | None = None) -> list[dict[str, Any]]:
    """What is found in a flow file and the local modules that it imports, by line. Raises `Problem`."""
    bundle = read_bundle(path)
    root = choose_root(bundle, path, wanted)
    findings: list[dict[str, Any]] = []
    for module in bundle.modules:
        steps = {flow.function for flow in flows_of(module)}
        look = _Look(module, findings)
        for flow in flows_of(module):
            look.at_signature(flow.function)
        look.at_top(module.tree.body)
        if module is root.module:
            look.at_body(root.function, f"flow `{root.name}`")
            look.at_helpers(root.function, steps)
    return sorted(findings, key=lambda found: (found["file"], found["line"], found["kind"]))


class _Look:
    """Looks at one file."""

    def __init__(self, module: Module, findings: list[dict[str, Any]]) -> None:
        self.module = module
        self.findings = findings
        self.imports = _imported(module)
        self.seen: set[ast.AST] = set()

    def at_signature(self, function: Function) -> None:
        """Defaults that one call may change for the next, or that are another thing in each launch."""
        arguments = function.args
        for default in [
            *arguments.defaults,
            *(value for value in arguments.kw_defaults if value is not None),
        ]:
            if self._is_mutable(default):
                self._add(
                    default, "mutable_default", f"a default of `{function.name}` can be changed by a call"
                )
            self._calls(default, f"a default of `{function.name}`")

    def _is_mutable(self, default: ast.expr) -> bool:
        if isinstance(default, ast.Call):
            return self._name(default) in ("list", "dict", "set", "bytearray")
        return isinstance(default, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp))

    def at_top(self, body: list[ast.stmt]) -> None:
        """The statements that run when the file is imported, which is in each launch."""
        for node in body:
            if not is_main_guard(node):
                self._statement(node, "code at the top of the file")

    def at_body(self, function: Function, where: str) -> None:
        """A function that runs in each launch: what it calls, but not what functions in it do."""
        for node in function.body:
            self._statement(node, where)

    def at_helpers(self, function: Function, steps: set[Function]) -> None:
        """Plain functions of the file that such a function calls, and what these call."""
        plain = {
            node.name: node
            for node in self.module.tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node not in steps
        }
        waiting, known = [function], {function}
        while waiting:
            for node in _within(waiting.pop().body):
                helper = plain.get(dotted(node.func)) if isinstance(node, ast.Call) else None
                if helper is not None and helper not in known:
                    known.add(helper)
                    waiting.append(helper)
                    self.at_body(helper, f"`{helper.name}` (no step)")

    def _statement(self, node: ast.stmt, where: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return
        self._calls(node, where)

    def _calls(self, node: ast.AST, where: str) -> None:
        for inner in _within([node]):
            if isinstance(inner, ast.Call) and inner not in self.seen:
                self.seen.add(inner)
                self._call(inner, where)

    def _call(self, call: ast.Call, where: str) -> None:
        name = self._name(call)
        if name in _TIME:
            self._add(call, "time", f"`{name}` in {where} is another time in each launch")
        elif name in _SLEEP:
            self._add(call, "sleep", f"`{name}` in {where} is slept again in each launch")
        elif name in _RANDOM_CALLS or name.startswith(_RANDOM):
            self._add(call, "random", f"`{name}` in {where} is something else in each launch")
        elif name in _EFFECT_CALLS or name.startswith(_EFFECTS) or _opens_to_write(name, call):
            self._add(call, "side_effect", f"`{name}` in {where} happens again in each launch")
        elif isinstance(call.func, ast.Attribute) and call.func.attr in _EFFECT_METHODS:
            self._add(call, "side_effect", f"`.{call.func.attr}(…)` in {where} happens again in each launch")

    def _name(self, call: ast.Call) -> str:
        """What is called, as the module that defines it would be imported."""
        first, dot, rest = dotted(call.func).partition(".")
        if dot and first not in self.imports:
            return ""  # a method of something of the author's own
        return f"{self.imports.get(first, first)}{dot}{rest}"

    def _add(self, node: ast.expr, kind: str, message: str) -> None:
        self.findings.append(
            {
                "file": self.module.path,
                "line": node.lineno,
                "column": node.col_offset + 1,
                "kind": kind,
                "message": message,
                "hint": _HINTS[kind],
            }
        )


def _within(nodes: list[Any]) -> Iterator[ast.AST]:
    """All nodes below these, without the bodies of the functions and classes that are defined there: who
    calls those is looked at instead. A lambda may be called at once, or given to a step."""
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


def _opens_to_write(name: str, call: ast.Call) -> bool:
    if name not in ("open", "io.open"):
        return False
    given = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    mode = given[0].value if given and isinstance(given[0], ast.Constant) else "r"
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


def _imported(module: Module) -> dict[str, str]:
    imports: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.partition(".")[0]
                imports[alias.asname or package] = alias.name if alias.asname else package
        elif isinstance(node, ast.ImportFrom):
            home = module.absolute(node)
            imports |= {alias.asname or alias.name: f"{home}.{alias.name}" for alias in node.names}
    return imports
