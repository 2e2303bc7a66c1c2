"""What a flow takes and gives (`schema/src/workflow.rs`), read off its definition."""

from __future__ import annotations

import ast
import re

from .annotations import Annotations
from .plans import plans_of
from .problem import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .bundle import Bundle
    from .flows import FlowDefinition


def signature_of(flow: FlowDefinition, bundle: Bundle) -> dict[str, Any]:
    """The `FlowSignature` of a flow."""
    types = Annotations(bundle, flow.module)
    docstring = ast.get_docstring(flow.function) or ""
    described = _described_arguments(docstring)
    schema = _input_schema(flow.function.args, types)
    defaults = _defaults(flow.function.args)
    inputs = [
        _field(name, property_schema, name in schema["required"], described.get(name, ""), defaults.get(name))
        for name, property_schema in schema["properties"].items()
    ]
    return {
        "description": " ".join(docstring.split("\n\n")[0].split()),
        "inputs": inputs,
        "outputs": _outputs(flow, types),
        "input_schema": schema,
        "output_schema": _output_schema(flow, types) or None,
        "env": _env(flow),
        "plans": plans_of(bundle),
    }


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _env(flow: FlowDefinition) -> list[str]:
    """The names that `env=[…]` lists. They decide what a launch is given before any code of it runs."""
    option = flow.options.get("env")
    if option is None:
        return []
    names = option.elts if isinstance(option, (ast.List, ast.Tuple)) else [option]
    found = [name.value for name in names if isinstance(name, ast.Constant) and isinstance(name.value, str)]
    is_literal = isinstance(option, (ast.List, ast.Tuple)) and len(found) == len(names)
    if not (is_literal and all(_VARIABLE.fullmatch(name) for name in found)):
        raise Problem(
            f"`env` of flow `{flow.name}` is no list of the names of variables",
            'write them out, without values: env=["API_KEY"]',
        )
    return list(dict.fromkeys(found))


def _input_schema(arguments: ast.arguments, types: Annotations) -> dict[str, Any]:
    """A JSON Schema for the object of the arguments."""
    defaults = _defaults(arguments)
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    properties = {argument.arg: types.schema(argument.annotation) for argument in named}
    required = [argument.arg for argument in named if argument.arg not in defaults]
    if arguments.vararg:
        properties[arguments.vararg.arg] = {
            "type": "array",
            "items": types.schema(arguments.vararg.annotation),
        }
    others = types.schema(arguments.kwarg.annotation) if arguments.kwarg else False
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": True if others == {} else others,
    }


def _defaults(arguments: ast.arguments) -> dict[str, ast.expr]:
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    defaults = {argument.arg: value for argument, value in zip(with_default, arguments.defaults)}  # noqa: B905
    keyword_only = zip(arguments.kwonlyargs, arguments.kw_defaults)  # noqa: B905
    return defaults | {argument.arg: value for argument, value in keyword_only if value is not None}


def _field(
    name: str,
    schema: dict[str, Any],
    is_required: bool,
    description: str = "",
    default: ast.expr | None = None,
) -> dict[str, Any]:
    """A `FlowField`."""
    field = {
        "name": name,
        "field_type": _field_type(schema),
        "description": description,
        "required": is_required,
    }
    return field | _plain_default(default)


def _field_type(schema: dict[str, Any]) -> str | None:
    """The JSON type of a schema; of `X | None` that of X; None where there is no single one."""
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    kind = choices[0].get("type") if len(choices) == 1 else None
    return kind if isinstance(kind, str) and kind != "null" else None


def _plain_default(default: ast.expr | None) -> dict[str, Any]:
    """The default, if it is plain data."""
    try:
        value = ast.literal_eval(default) if default is not None else ...
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
    return {"default": value} if _is_json(value) else {}


def _is_json(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return value is None or isinstance(value, (str, int))


def _outputs(flow: FlowDefinition, types: Annotations) -> list[dict[str, Any]]:
    """What `outputs=` declares, else the fields of the class that is returned."""
    declared = flow.options.get("outputs")
    if isinstance(declared, ast.Dict):
        pairs = zip(declared.keys, declared.values)  # noqa: B905
        return [
            _field(str(key.value), types.schema(value), True)
            for key, value in pairs
            if isinstance(key, ast.Constant)
        ]
    schema = types.schema(flow.function.returns)
    required = schema.get("required", ())
    return [_field(name, field, name in required) for name, field in schema.get("properties", {}).items()]


def _output_schema(flow: FlowDefinition, types: Annotations) -> dict[str, Any]:
    """The JSON Schema of what is returned: of an object of what `outputs=` names, else of the annotation."""
    declared = flow.options.get("outputs")
    if not isinstance(declared, ast.Dict):
        return types.schema(flow.function.returns)
    pairs = zip(declared.keys, declared.values)  # noqa: B905
    properties = {str(key.value): types.schema(v) for key, v in pairs if isinstance(key, ast.Constant)}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        # A name that is not written out may be any.
        "additionalProperties": len(properties) < len(declared.keys),
    }


_ARGUMENT = re.compile(r"^(\s+)\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s+(.+)$")


def _described_arguments(docstring: str) -> dict[str, str]:
    """The `Args:` section of a Google docstring."""
    _, _, section = docstring.partition("Args:\n")
    described: dict[str, str] = {}
    name = indent = ""
    for line in section.splitlines():
        found = _ARGUMENT.match(line)
        if found and (not indent or found[1] == indent):
            indent, name = found[1], found[2]
            described[name] = found[3].strip()
        elif line.startswith(f"{indent} ") and name:
            described[name] += f" {line.strip()}"
        else:
            break
    return described
