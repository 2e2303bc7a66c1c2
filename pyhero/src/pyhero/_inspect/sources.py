"""The functions of a bundle and the hashes of their sources, as a launch would name and hash them.

They tell which steps of a play are unchanged in another version: every function counts, because `flow(fn)`
makes a step of any.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io

from .bundle import read_bundle
from .flows import given_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bundle import Bundle, Module
    from .flows import Function


def sources_of(entry: str) -> dict[str, list[str]]:
    """Name of a step → the hashes of the functions that are called so. Raises `Problem`."""
    bundle = read_bundle(entry)
    found: dict[str, list[str]] = {}
    for module in bundle.modules:
        lines = io.StringIO(module.source).readlines()
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        for qualname, function in _functions(module.tree.body, ""):
            name = given_name(function) or _default_name(bundle, module, qualname)
            hashes = found.setdefault(name, [])
            digest = _hash(lines, function)
            if digest not in hashes:
                hashes.append(digest)
    return found


def _default_name(bundle: Bundle, module: Module, qualname: str) -> str:
    return qualname if module is bundle.entry else f"{module.name}.{qualname}"


def _functions(body: list[ast.stmt], scope: str) -> Iterator[tuple[str, Function]]:
    """All functions, however deep, with their names as `__qualname__` has them without `<locals>.`."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{scope}{node.name}", node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _functions(node.body, f"{scope}{node.name}.")
        else:
            yield from _functions([n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)], scope)
            for handler in getattr(node, "handlers", ()):
                yield from _functions(handler.body, scope)
            for case in getattr(node, "cases", ()):
                yield from _functions(case.body, scope)


def _hash(lines: list[str], function: Function) -> str:
    """SHA-1 of what `inspect.getsource` gives: the decorators and the function, with its indentation."""
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    source = "".join(inspect.getblock(lines[first - 1 :]))
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
