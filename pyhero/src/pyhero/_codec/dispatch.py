"""From an annotation to its codec."""

from __future__ import annotations

import sys
import types
import typing
from collections import abc
from collections.abc import Callable
from typing import Any

from . import choices, containers, models, plain, records
from .base import Codec

_SCALARS: dict[object, type[Codec]] = {
    Any: plain.Plain,
    object: plain.Plain,
    None: plain.NoneCodec,
    type(None): plain.NoneCodec,
    bool: plain.Bool,
    int: plain.Int,
    float: plain.Float,
    str: plain.Text,
    typing.NoReturn: plain.Plain,
}

_MANY: dict[object, tuple[tuple[type, ...], Callable[[list[Any]], object], bool]] = {
    list: ((list,), list, False),
    abc.Sequence: ((list, tuple), list, False),
    abc.MutableSequence: ((list,), list, False),
    abc.Iterable: ((list, tuple, set, frozenset), list, False),
    abc.Collection: ((list, tuple, set, frozenset), list, False),
    set: ((set,), set, True),
    abc.Set: ((set, frozenset), set, True),
    abc.MutableSet: ((set,), set, True),
    frozenset: ((frozenset,), frozenset, True),
}

_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_TRANSPARENT = ("Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar")

_cache: dict[object, Codec] = {}


def codec_for(annotation: object) -> Codec:
    """The codec of an annotation; of one that no codec knows, a codec that refuses every value."""
    try:
        # `Literal[1]` equals `Literal[True]`, and so would their codecs.
        key = (annotation, repr(annotation))
        if key not in _cache:
            _cache[key] = _build(annotation)
        return _cache[key]
    except TypeError:  # not hashable, such as Annotated[int, {}]
        return _build(annotation)


def _build(annotation: Any) -> Codec:
    scalar = _SCALARS.get(annotation) if isinstance(annotation, abc.Hashable) else None
    if scalar:
        return scalar()
    origin = typing.get_origin(annotation)
    args = typing.get_args(annotation)
    if origin is not None:
        return _build_generic(origin, args) if args else codec_for(origin)
    if isinstance(annotation, type):
        return _build_class(annotation, {})
    return _build_alias(annotation)


def _build_generic(origin: Any, args: tuple[Any, ...]) -> Codec:
    if origin is typing.Union or origin is types.UnionType:
        return choices.union([codec_for(arg) for arg in args])
    if origin is typing.Literal:
        return choices.Literal(args, [codec_for(type(arg)) for arg in args])
    if getattr(origin, "__name__", getattr(origin, "_name", None)) in _TRANSPARENT:
        return codec_for(args[0])
    if origin is tuple:
        return _build_tuple(args)
    if origin in _MANY:
        accepts, build, is_set = _MANY[origin]
        return containers.Many(codec_for(args[0]), accepts, build, is_set=is_set)
    if origin in _MAPPINGS:
        return containers.Dict(codec_for(args[0]), codec_for(args[1]))
    if isinstance(origin, type):
        return _build_class(origin, dict(zip(getattr(origin, "__parameters__", ()), args, strict=False)))
    return plain.Unsupported(origin)


def _build_tuple(args: tuple[Any, ...]) -> Codec:
    if len(args) == 2 and args[1] is Ellipsis:
        return containers.Many(codec_for(args[0]), (tuple,), tuple)
    return containers.FixedTuple([codec_for(arg) for arg in args if arg != ()])


def _build_alias(annotation: Any) -> Codec:
    """What is neither a class nor generic: NewType, `type X = …`, type variables."""
    for attribute in ("__supertype__", "__value__", "__bound__"):
        target = getattr(annotation, attribute, None)
        if target is not None:
            return codec_for(target)
    return plain.Plain() if isinstance(annotation, typing.TypeVar) else plain.Unsupported(annotation)


def _build_class(cls: Any, variables: dict[Any, Any]) -> Codec:
    if cls is tuple:
        return codec_for(tuple[Any, ...])
    if cls in _MANY:
        return codec_for(cls[Any])
    if cls in _MAPPINGS:
        return codec_for(dict[str, Any])
    if models.is_model(cls):
        return models.Model(cls)
    enum = sys.modules.get("enum")
    if enum is not None and issubclass(cls, enum.Enum):
        return choices.EnumCodec(cls)
    if typing.is_typeddict(cls):
        return records.dict_record(cls.__name__, lambda: _fields(cls, variables, set(cls.__required_keys__)))
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _build_named_tuple(cls, variables)
    if hasattr(cls, "__dataclass_fields__"):
        return _build_dataclass(cls, variables)
    from .text_forms import text_codec

    return text_codec(cls) or plain.Unsupported(cls)


def _build_named_tuple(cls: Any, variables: dict[Any, Any]) -> Codec:
    required = set(cls._fields) - set(cls._field_defaults)
    return records.named_tuple_record(cls, lambda: _fields(cls, variables, required, cls._fields))


def _build_dataclass(cls: Any, variables: dict[Any, Any]) -> Codec:
    dataclasses = sys.modules["dataclasses"]
    missing = dataclasses.MISSING
    fields = dataclasses.fields(cls)
    required = {
        field.name for field in fields if field.init and field.default is missing is field.default_factory
    }
    names = tuple(field.name for field in fields)
    return records.dataclass_record(cls, lambda: _fields(cls, variables, required, names))


def _fields(
    cls: Any, variables: dict[Any, Any], required: set[str], names: tuple[str, ...] | None = None
) -> list[records.Field]:
    hints = typing.get_type_hints(cls, include_extras=True)
    chosen = hints if names is None else names
    return [
        records.Field(name, codec_for(_filled_in(hints.get(name, Any), variables)), name in required)
        for name in chosen
    ]


def _filled_in(hint: Any, variables: dict[Any, Any]) -> Any:
    """The hint with the type variables of a generic class replaced."""
    if hint in variables:
        return variables[hint]
    parameters = getattr(hint, "__parameters__", ())
    return (
        hint[tuple(variables.get(parameter, parameter) for parameter in parameters)] if parameters else hint
    )
