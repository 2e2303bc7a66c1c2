"""The bundle of a flow file: itself and the local modules that it imports, transitively.

Local is what lies in the directory of the file, because a launch has that directory, and no other one of
the author's, on its path.
"""

from __future__ import annotations

import ast
import os

from .problem import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Module:
    """A file of the bundle."""

    def __init__(self, name: str, path: str, source: str, tree: ast.Module) -> None:
        self.name = name
        self.path = path
        self.source = source
        self.tree = tree

    @property
    def package(self) -> str:
        """What its relative imports start from."""
        return self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module that a `from … import` names."""
        if not node.level:
            return node.module or ""
        parts = self.package.split(".") if self.package else []
        base = parts[: len(parts) - (node.level - 1)]
        return ".".join([*base, *([node.module] if node.module else [])])


class Bundle:
    """The files that make up a flow; the entry is the first."""

    def __init__(self, entry: Module) -> None:
        self.entry = entry
        self.by_name = {entry.name: entry}

    @property
    def modules(self) -> list[Module]:
        """All files, the entry first."""
        return list(self.by_name.values())


def read_bundle(path: str) -> Bundle:
    """Reads a flow file and what it imports. Raises `Problem`."""
    directory, file = os.path.split(os.path.abspath(path))
    entry = _read_module(file.removesuffix(".py"), directory, file, shown=path)
    for node in ast.walk(entry.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise Problem(
                f"`{path}` line {node.lineno} imports relatively, and a flow file is no part of a package",
                "import the module by its name: it is looked for beside the flow file",
            )
    bundle = Bundle(entry)
    waiting = [entry]
    while waiting:
        for name, found in _local_imports(waiting.pop(), directory):
            if name not in bundle.by_name:
                bundle.by_name[name] = _read_module(name, directory, found)
                waiting.append(bundle.by_name[name])
    return bundle


def _read_module(name: str, directory: str, path: str, shown: str | None = None) -> Module:
    full_path = os.path.join(directory, path)
    shown = shown or full_path
    try:
        with open(full_path, encoding="utf-8") as file:
            source = file.read()
        return Module(name, path.replace(os.sep, "/"), source, ast.parse(source, shown))
    except OSError as error:
        raise Problem(f"failed to read `{shown}`: {error.strerror}", _path_hint(full_path)) from None
    except UnicodeDecodeError as error:
        raise Problem(f"`{shown}` is not UTF-8: {error.reason} at byte {error.start}") from None
    except SyntaxError as error:
        place = f" line {error.lineno}" if error.lineno else ""
        raise Problem(f"`{shown}`{place}: {error.msg}", "correct the syntax error") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Problem(f"`{shown}` cannot be parsed: {error}") from None


def _path_hint(path: str) -> str | None:
    if os.path.isdir(path):
        return "name the file with the flow, not its directory"
    return None if os.path.exists(path) else "check the path; flows are Python files"


def _local_imports(module: Module, directory: str) -> Iterator[tuple[str, str]]:
    """The imported modules that lie in the directory, as (name, path), packages before what is in them."""
    for name in _imported_names(module):
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            prefix = parts[:length]
            if not all(part.isidentifier() for part in prefix):
                break  # what a call names may be anything, and must not lead out of the directory
            path = _find(directory, prefix)
            if path:
                yield ".".join(prefix), path


def _imported_names(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.absolute(node)
            if base:
                yield base
            # What follows `import` may be a module of a package.
            yield from (
                f"{base}.{alias.name}" if base else alias.name for alias in node.names if alias.name != "*"
            )
        elif isinstance(node, ast.Call):
            yield from _named_in(node)


def _named_in(call: ast.Call) -> Iterator[str]:
    """The module that `importlib.import_module("…")` or `__import__("…")` names."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    argument = call.args[0] if call.args else None
    if name in ("import_module", "__import__") and isinstance(argument, ast.Constant):
        # A relative one says from where in another argument, which is rarely plain text.
        yield from [argument.value] if isinstance(argument.value, str) else []


def _find(directory: str, parts: list[str]) -> str | None:
    """The file of a module, relative to the directory; a package stands before a module of the same name."""
    stem = os.path.join(*parts)
    for path in (os.path.join(stem, "__init__.py"), f"{stem}.py"):
        if os.path.isfile(os.path.join(directory, path)):
            return path
    return None
