"""Annotations as JSON Schemas, as far as the text tells. What it does not tell accepts anything: the launch
checks again, with the real types."""

from __future__ import annotations

import ast

from .flows import dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .bundle import Bundle, Module

    Schema = dict[str, Any]

_STRING = {"type": "string"}

_NAMED: dict[str, Schema] = {
    "str": _STRING,
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "bytes": {**_STRING, "contentEncoding": "base64"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "set": {"type": "array"},
    "frozenset": {"type": "array"},
    "dict": {"type": "object"},
    "datetime.datetime": {**_STRING, "format": "date-time"},
    "datetime.date": {**_STRING, "format": "date"},
    "datetime.time": {**_STRING, "format": "time"},
    "datetime.timedelta": {**_STRING, "format": "duration"},
    "decimal.Decimal": {"type": ["string", "number"]},
    "pathlib.Path": {**_STRING, "format": "path"},
    "pathlib.PurePath": {**_STRING, "format": "path"},
    "uuid.UUID": {**_STRING, "format": "uuid"},
}

_ARRAYS = {
    "list",
    "set",
    "frozenset",
    "List",
    "Set",
    "FrozenSet",
    "Sequence",
    "Iterable",
    "Collection",
    "AbstractSet",
}
_OBJECTS = {"dict", "Dict", "Mapping", "MutableMapping"}
_TRANSPARENT = {"Annotated", "Required", "NotRequired", "Final"}
_TYPING = ("typing.", "typing_extensions.", "collections.abc.")
_ENUMS = {"enum.Enum", "enum.StrEnum", "enum.IntEnum"}


class Annotations:
    """Reads the annotations of one file of a bundle."""

    def __init__(self, bundle: Bundle, module: Module, open_classes: tuple[str, ...] = ()) -> None:
        self.bundle = bundle
        self.module = module
        self.open_classes = open_classes
        self.imports = _imports(module)
        self.definitions = _definitions(module.tree)

    def schema(self, annotation: ast.expr | None) -> Schema:
        """The JSON Schema of an annotation; `{}` where the text does not tell."""
        if annotation is None:
            return {}
        if isinstance(annotation, ast.Constant):
            return self._of_constant(annotation.value)
        if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
            return self._any_of([annotation.left, annotation.right])
        if isinstance(annotation, ast.Subscript):
            return self._of_generic(self._full_name(annotation.value), _items(annotation.slice))
        return self._of_name(annotation)

    def _of_constant(self, value: object) -> Schema:
        if value is None:
            return {"type": "null"}
        try:
            return self.schema(ast.parse(value, mode="eval").body) if isinstance(value, str) else {}
        except SyntaxError:
            return {}

    def _any_of(self, choices: list[ast.expr]) -> Schema:
        schemas: list[Schema] = []
        for choice in choices:
            schema = self.schema(choice)
            schemas += schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
        return {} if {} in schemas else {"anyOf": schemas}

    def _of_generic(self, name: str, items: list[ast.expr]) -> Schema:
        short = name.rpartition(".")[2]
        if name not in _NAMED and not name.startswith(_TYPING):
            return {}
        if short == "Optional":
            return self._any_of([*items, ast.Constant(None)])
        if short == "Union":
            return self._any_of(items)
        if short == "Literal":
            return _literal(items)
        if short in _TRANSPARENT:
            return self.schema(items[0])
        if short in _ARRAYS:
            return {"type": "array", "items": self.schema(items[0])}
        if short in _OBJECTS and len(items) == 2:
            return {"type": "object", "additionalProperties": self.schema(items[1])}
        return self._tuple(items) if short.lower() == "tuple" else {}

    def _tuple(self, items: list[ast.expr]) -> Schema:
        if len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is ...:
            return {"type": "array", "items": self.schema(items[0])}
        prefix = [self.schema(item) for item in items]
        return {"type": "array", "prefixItems": prefix, "minItems": len(prefix), "maxItems": len(prefix)}

    def _full_name(self, node: ast.expr) -> str:
        """A name as the module that defines it would be imported: `Path` → `pathlib.Path`."""
        first, dot, rest = dotted(node).partition(".")
        return f"{self.imports.get(first, first)}{dot}{rest}"

    def _of_name(self, annotation: ast.expr) -> Schema:
        written = dotted(annotation)
        if written in self.definitions:
            return self._of_definition(written)
        name = self._full_name(annotation)
        home, _, member = name.rpartition(".")
        if home in self.bundle.by_name:
            return Annotations(self.bundle, self.bundle.by_name[home], self.open_classes).schema(
                ast.Name(member)
            )
        if name in _NAMED:
            return dict(_NAMED[name])
        short = name.rpartition(".")[2] if name.startswith(_TYPING) else ""
        return {"type": "array"} if short in _ARRAYS else {"type": "object"} if short in _OBJECTS else {}

    def _of_definition(self, name: str) -> Schema:
        """A class or an alias of this file. One that contains itself accepts anything at that place."""
        key = f"{self.module.name}.{name}"
        if key in self.open_classes:
            return {}
        inside = Annotations(self.bundle, self.module, (*self.open_classes, key))
        definition = self.definitions[name]
        return (
            inside._of_class(definition)
            if isinstance(definition, ast.ClassDef)
            else inside.schema(definition)
        )

    def _of_class(self, cls: ast.ClassDef) -> Schema:
        bases = {self._full_name(base) for base in cls.bases}
        if bases & _ENUMS:
            return _enum(cls)
        if bases & {"typing.TypedDict", "typing_extensions.TypedDict"}:
            is_total = not any(k.arg == "total" and _is_false(k.value) for k in cls.keywords)
            return self._record(cls, is_total=is_total)
        if bases == {"typing.NamedTuple"} or (not bases and self._is_dataclass(cls)):
            return self._record(cls)
        # A subclass has fields that are not written here.
        return {"type": "object"} if self._is_dataclass(cls) else {}

    def _is_dataclass(self, cls: ast.ClassDef) -> bool:
        decorators = (d.func if isinstance(d, ast.Call) else d for d in cls.decorator_list)
        return any(self._full_name(decorator) == "dataclasses.dataclass" for decorator in decorators)

    def _record(self, cls: ast.ClassDef, *, is_total: bool = True) -> Schema:
        properties: Schema = {}
        required = []
        for node in cls.body:
            if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
                continue
            marks = self._marks(node.annotation)
            if "ClassVar" in marks or "KW_ONLY" in marks:
                continue
            properties[node.target.id] = self.schema(node.annotation)
            is_optional = _has_default(node.value) or "NotRequired" in marks
            if not is_optional and (is_total or "Required" in marks):
                required.append(node.target.id)
        return {
            "type": "object",
            "title": cls.name,
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    def _marks(self, annotation: ast.expr) -> set[str]:
        outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        return {self._full_name(outer).rpartition(".")[2]}


def _imports(module: Module) -> dict[str, str]:
    """What each imported name stands for."""
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


def _definitions(tree: ast.Module) -> dict[str, ast.ClassDef | ast.expr]:
    """The classes of a file, and its aliases: `Rollout = Literal[…]`, `type Rollout = …`."""
    found: dict[str, ast.ClassDef | ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = node
        elif (
            isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
        elif type(node).__name__ == "TypeAlias":  # Python 3.12
            found[node.name.id] = node.value  # type: ignore[attr-defined]
    return found


def _items(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _literal(items: list[ast.expr]) -> Schema:
    values = [item.value if isinstance(item, ast.Constant) else ... for item in items]
    return _enumeration(values)


def _enum(cls: ast.ClassDef) -> Schema:
    """The values of an enum, as its codec writes them."""
    assigned = [node.value for node in cls.body if isinstance(node, ast.Assign)]
    return _enumeration([value.value if isinstance(value, ast.Constant) else ... for value in assigned])


def _enumeration(values: list[Any]) -> Schema:
    if not values or not all(value is None or isinstance(value, (str, int, float)) for value in values):
        return {}
    return (
        {**_STRING, "enum": values} if all(isinstance(value, str) for value in values) else {"enum": values}
    )


def _has_default(value: ast.expr | None) -> bool:
    """Whether a field may be left out; of `field(…)`, what `default`, `default_factory` and `init` say."""
    if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] == "field":
        options = {keyword.arg: keyword.value for keyword in value.keywords}
        return bool({"default", "default_factory"} & options.keys()) or _is_false(options.get("init"))
    return value is not None


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
