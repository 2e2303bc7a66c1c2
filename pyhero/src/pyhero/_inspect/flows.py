"""The flows of a file, and who refers to them."""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bundle import Module

    Function = ast.FunctionDef | ast.AsyncFunctionDef


class FlowDefinition:
    """A function that `@flow` decorates."""

    def __init__(self, module: Module, function: Function, options: dict[str, ast.expr]) -> None:
        self.module = module
        self.function = function
        self.options = options

    @property
    def name(self) -> str:
        """What the flow is called."""
        return _text(self.options.get("name")) or self.function.name


def flows_of(module: Module) -> list[FlowDefinition]:
    """The flows at the top level of a file, in order; of those defined twice under one name, the later."""
    decorators = flow_spellings(module.tree)
    found: dict[str, FlowDefinition] = {}
    for function in _top_level_functions(module.tree.body):
        for decorator in function.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if dotted(called) in decorators:
                options = (
                    {k.arg: k.value for k in decorator.keywords if k.arg}
                    if isinstance(decorator, ast.Call)
                    else {}
                )
                found[function.name] = FlowDefinition(module, function, options)
    return list(found.values())


def given_name(function: Function) -> str | None:
    """What a decorator with a literal `name=` calls a function; None where none does."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call):
            for keyword in decorator.keywords:
                if keyword.arg == "name" and _text(keyword.value):
                    return _text(keyword.value)
    return None


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def flow_spellings(tree: ast.Module) -> set[str]:
    """How this file writes `pyhero.flow`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {f"{alias.asname or alias.name}.flow" for alias in node.names if alias.name == "pyhero"}
        elif isinstance(node, ast.ImportFrom) and node.module == "pyhero" and not node.level:
            names |= {alias.asname or "flow" for alias in node.names if alias.name in ("flow", "*")}
    return names


def _top_level_functions(body: list[ast.stmt]) -> Iterator[Function]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
        elif isinstance(node, (ast.If, ast.Try, ast.With)) and not is_main_guard(node):
            yield from _top_level_functions(node.body)
            yield from _top_level_functions(getattr(node, "orelse", []))


def dotted(node: ast.expr) -> str:
    """`a.b.c` as text; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def is_main_guard(node: ast.stmt) -> bool:
    """Whether it is `if __name__ == "__main__":`, which a launch does not enter."""
    if not (
        isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and len(node.test.comparators) == 1
    ):
        return False
    sides = [node.test.left, node.test.comparators[0]]
    is_name = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
    is_main = any(isinstance(side, ast.Constant) and side.value == "__main__" for side in sides)
    return is_name and is_main and isinstance(node.test.ops[0], ast.Eq)


def is_referred_to(flow: FlowDefinition, modules: list[Module]) -> bool:
    """Whether anything in the bundle but the flow itself uses it."""
    return any(_References(flow, module).found for module in modules)


class _References(ast.NodeVisitor):
    """Looks for uses of a flow in one file."""

    def __init__(self, flow: FlowDefinition, module: Module) -> None:
        self.flow = flow
        self.module = module
        self.spellings = {flow.function.name} if module is flow.module else self._imported_spellings()
        self.found = False
        self.visit(module.tree)

    def _imported_spellings(self) -> set[str]:
        home, name = self.flow.module.name, self.flow.function.name
        spellings = set()
        for node in ast.walk(self.module.tree):
            if isinstance(node, ast.Import):
                spellings |= {
                    f"{alias.asname or alias.name}.{name}" for alias in node.names if alias.name == home
                }
            elif isinstance(node, ast.ImportFrom) and self.module.absolute(node) == home:
                spellings |= {alias.asname or name for alias in node.names if alias.name == name}
        return spellings

    def visit_If(self, node: ast.If) -> None:
        if not is_main_guard(node):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def _visit_function(self, node: Function) -> None:
        if node is self.flow.function:
            return
        outside = self.spellings
        self.spellings = outside - _local_names(node)
        self.generic_visit(node)
        self.spellings = outside

    def visit_Name(self, node: ast.Name) -> None:
        self.found |= isinstance(node.ctx, ast.Load) and node.id in self.spellings

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.found |= dotted(node) in self.spellings
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        is_invoke = isinstance(node.func, ast.Attribute) and node.func.attr == "invoke" and bool(node.args)
        target = node.args[0] if is_invoke else None
        self.found |= isinstance(target, ast.Constant) and target.value == self.flow.name
        self.generic_visit(node)


def _local_names(function: Function) -> set[str]:
    """The parameters and variables of a function: they hide what the file calls the same."""
    arguments = function.args
    names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    names |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            names -= set(node.names)
    return names
