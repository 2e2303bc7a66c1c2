"""The parameters of a flow: arguments in canonical form, and inputs made of JSON."""

from __future__ import annotations

import functools
import inspect
import typing
from typing import TYPE_CHECKING, Any

from . import _native
from ._codec import Misfit, codec_for, dumps
from ._errors import ArgumentError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._codec import Codec, Json

_plain = codec_for(Any)


class Parameters:
    """What a flow takes and gives, read from its function once."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = name
        try:
            self.signature = inspect.signature(function)
        except (ValueError, TypeError) as error:
            raise DefinitionError(
                f"the parameters of flow `{name}` cannot be read: {error}",
                "wrap it in a function of your own",
            ) from error
        hints = type_hints(function)
        self.codecs = {name: codec_for(hints.get(name, Any)) for name in self.signature.parameters}
        self.returns = codec_for(hints.get("return", Any))

    @functools.cached_property
    def native(self) -> _native.Signature | None:
        """What recognises a call where nothing about it is unusual; None where a parameter is."""
        described = []
        for name, parameter in self.signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                return None
            can_be_positional = parameter.kind is not parameter.KEYWORD_ONLY
            can_be_named = parameter.kind is not parameter.POSITIONAL_ONLY
            default = () if parameter.default is parameter.empty else (parameter.default,)
            described.append((name, self.codecs[name].plain_form, can_be_positional, can_be_named, default))
        return _native.Signature(described)

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The arguments as a JSON object by name, defaults applied: `f(1)` and `f(x=1)` are one call."""
        encoded: dict[str, Json] = {}
        for name, value in self._bind(args, kwargs).arguments.items():
            kind = self.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                encoded[name] = [self._encode(name, item, f"[{index}]") for index, item in enumerate(value)]
            elif kind is inspect.Parameter.VAR_KEYWORD:
                encoded |= {key: self._encode(name, item, f"[{dumps(key)}]") for key, item in value.items()}
            else:
                encoded[name] = self._encode(name, value)
        return dumps(encoded)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"flow `{self.name}`: {error}") from None
        bound.apply_defaults()
        return bound

    def _encode(self, name: str, value: object, part: str = "") -> Json:
        """By the annotation, else as plain JSON: an argument only has to be recognised again."""
        try:
            return self.codecs[name].encode(value)
        except (Misfit, RecursionError) as misfit:
            try:
                return _plain.encode(value)
            except (Misfit, RecursionError):
                raise self._no_form(name, part, misfit) from None

    def _no_form(self, name: str, part: str, misfit: Misfit | RecursionError) -> ArgumentError:
        reason = (
            misfit.seen_from(name + part) if isinstance(misfit, Misfit) else f"{name}{part}: holds itself"
        )
        return ArgumentError(
            f"flow `{self.name}` cannot be recognised by its argument `{name}`: {reason}",
            f"pass what `{name}` is made from (a path, an id, a URL), or annotate it with a data type",
        )

    def decode(self, inputs: Mapping[str, Json]) -> inspect.BoundArguments:
        """Arguments made of a JSON object, by annotation. Raises `ArgumentError`."""
        bound = self.signature.bind_partial()
        rest = dict(inputs)
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = {key: self._decode(name, value) for key, value in rest.items()}
                rest = {}
            elif name in rest:
                bound.arguments[name] = self._decode_parameter(parameter, rest.pop(name))
            elif (
                parameter.default is parameter.empty
                and parameter.kind is not inspect.Parameter.VAR_POSITIONAL
            ):
                raise ArgumentError(f"flow `{self.name}` needs the input `{name}`")
        if rest:
            takes = ", ".join(f"`{name}`" for name in self.signature.parameters) or "none"
            raise ArgumentError(
                f"flow `{self.name}` takes no input `{next(iter(rest))}`", f"it takes: {takes}"
            )
        bound.apply_defaults()
        return bound

    def _decode_parameter(self, parameter: inspect.Parameter, encoded: Json) -> Any:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and isinstance(encoded, list):
            return tuple(self._decode(parameter.name, item) for item in encoded)
        return self._decode(parameter.name, encoded)

    def _decode(self, name: str, encoded: Json) -> Any:
        try:
            return self.codecs[name].decode(encoded)
        except Misfit as misfit:
            raise ArgumentError(
                f"the inputs do not fit flow `{self.name}`: {misfit.seen_from(name)}"
            ) from None


def type_hints(function: Any) -> dict[str, Any]:
    """The annotations of a function as types. One that cannot be looked up at run time, such as a name that
    is imported for type checkers only, counts as missing."""
    function = inspect.unwrap(function)
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        annotations = getattr(function, "__annotations__", {})
        namespace = getattr(function, "__globals__", {})
        return {name: _evaluated(annotation, namespace) for name, annotation in annotations.items()}


def _evaluated(annotation: object, namespace: dict[str, Any]) -> object:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, namespace)
    except Exception:
        return Any


def outputs_codec(name: str, outputs: Mapping[str, Any]) -> Codec:
    """The codec of a flow with `outputs=`: a dict of exactly those keys."""
    from ._codec.records import Field, dict_record

    return dict_record(
        f"outputs of `{name}`", lambda: [Field(key, codec_for(kind), True) for key, kind in outputs.items()]
    )
