"""The steps of a bundle that are marked `plan=True`, by name."""

from __future__ import annotations

import ast

from .flows import dotted, flow_spellings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bundle import Bundle


def plans_of(bundle: Bundle) -> list[str]:
    """What they are called. One whose name cannot be told is there by how it is written, and no step is
    called so: a version with such a one is never fully frozen."""
    found: dict[str, None] = {}
    for module in bundle.modules:
        spellings = flow_spellings(module.tree)
        prefix = "" if module is bundle.entry else f"{module.name}."
        decorators = set()
        for qualname, function in _functions(module.tree, ""):
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and _makes_a_plan(decorator, spellings):
                    decorators.add(decorator)
                    found[_given_name(decorator) or prefix + qualname] = None
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and node not in decorators and _makes_a_plan(node, spellings):
                found[_given_name(node) or ast.unparse(node)] = None
    return list(found)


def _makes_a_plan(call: ast.Call, spellings: set[str]) -> bool:
    if dotted(call.func) not in spellings:
        return False
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    plan = options.get("plan")
    # What is no literal may be true, and so may what `**options` says.
    return None in options or not (plan is None or (isinstance(plan, ast.Constant) and not plan.value))


def _given_name(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with its qualified name, as a flow is called by default."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)
