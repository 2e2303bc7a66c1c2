"""The JSON types themselves."""

from __future__ import annotations

import sys
from math import isfinite
from typing import TYPE_CHECKING, Any

from .base import Codec, Json, Misfit, dumps, type_name, wanted

if TYPE_CHECKING:
    from .schemas import Schemas

# Python refuses to print longer integers (`sys.set_int_max_str_digits`).
INT_BITS_MAX = 14_000


class Plain(Codec):
    """Any JSON value: for `Any`, `object` and where there is no annotation. A tuple becomes a list."""

    plain_form = "any"

    def encode(self, value: object) -> Json:
        if value is None or value is True or value is False:
            return value
        if isinstance(value, dict):
            return {self._key(key): _within(_part(key), self, item) for key, item in value.items()}
        if isinstance(value, list) or (isinstance(value, tuple) and type(value) is tuple):
            return [_within(f"[{index}]", self, item) for index, item in enumerate(value)]
        if isinstance(value, (str, int, float)) and not _is_enum_member(value):
            return encode_scalar(value)
        raise Misfit(f"{type_name(value)} has no JSON form by itself; annotate it, or return JSON types")

    def _key(self, key: object) -> str:
        if isinstance(key, str) and not _is_enum_member(key):
            return checked_text(key)
        example = type(key).__name__
        raise Misfit(
            f"{example} as a key has no JSON form by itself; annotate it, such as dict[{example}, …]"
        )

    def decode(self, encoded: Json) -> Any:
        return encoded

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {}


def _within(part: str, codec: Codec, value: object) -> Json:
    try:
        return codec.encode(value)
    except Misfit as misfit:
        raise misfit.within(part) from None


def _part(key: object) -> str:
    return f"[{dumps(key)}]" if isinstance(key, str) else f"[{type_name(key)}]"


def _is_enum_member(value: object) -> bool:
    # Who has not imported `enum` has no members.
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(value, enum.Enum)


def encode_scalar(value: str | float) -> Json:
    """Text or a number as its JSON type, whatever subclass it is of."""
    if isinstance(value, str):
        return checked_text(value)
    return checked_int(value) if isinstance(value, int) else checked_float(value)


def checked_text(value: str) -> str:
    """The text, unless it holds half of a surrogate pair, which no UTF-8 can carry."""
    text = str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Misfit("str with half of a surrogate pair has no JSON form") from None
    return text


def checked_int(value: int) -> int:
    """The integer, unless it is too long to be printed."""
    if value.bit_length() > INT_BITS_MAX:
        raise Misfit(f"int of {value.bit_length()} bits is too long; return it as bytes or text")
    return int(value)


def checked_float(value: float) -> float:
    """The float, unless JSON has no word for it."""
    if not isfinite(value):
        raise Misfit(f"{value} has no JSON form")
    return float(value)


class NoneCodec(Codec):
    """`None`."""

    plain_form = "null"

    def encode(self, value: object) -> Json:
        if value is not None:
            raise wanted(value, "None")
        return None

    def decode(self, encoded: Json) -> Any:
        return self.encode(encoded)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"type": "null"}


class Bool(Codec):
    """`bool`."""

    plain_form = "bool"

    def encode(self, value: object) -> Json:
        if not isinstance(value, bool):
            raise wanted(value, "bool")
        return value

    def decode(self, encoded: Json) -> Any:
        return self.encode(encoded)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"type": "boolean"}


class Int(Codec):
    """`int`. A subclass such as `bool` becomes a plain integer; JSON's `1.0` is the integer 1."""

    plain_form = "int"

    def encode(self, value: object) -> Json:
        if not isinstance(value, int):
            raise wanted(value, "int")
        return checked_int(value)

    def decode(self, encoded: Json) -> Any:
        if isinstance(encoded, bool) or not isinstance(encoded, (int, float)) or encoded != encoded // 1:
            raise wanted(encoded, "int")
        return int(encoded)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"type": "integer"}


class Float(Codec):
    """`float`. As in the type system an integer will do; it becomes a float where that loses nothing."""

    plain_form = "float"

    def encode(self, value: object) -> Json:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wanted(value, "float")
        return checked_float(_exact_float(value))

    def decode(self, encoded: Json) -> Any:
        return self.encode(encoded)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"type": "number"}


def _exact_float(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if isinstance(value, int) and number != value:
        raise Misfit("int is not exact as a float; annotate int")
    return number


class Text(Codec):
    """`str`. A subclass becomes a plain string."""

    plain_form = "str"

    def encode(self, value: object) -> Json:
        if not isinstance(value, str):
            raise wanted(value, "str")
        return checked_text(value)

    def decode(self, encoded: Json) -> Any:
        if not isinstance(encoded, str):
            raise wanted(encoded, "str")
        return encoded

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"type": "string"}


class Unsupported(Codec):
    """A type that no codec knows: every value is a misfit."""

    def __init__(self, annotation: object) -> None:
        self.annotation = annotation

    def encode(self, value: object) -> Json:
        raise Misfit(f"{type_name(value)} has no JSON form")

    def decode(self, encoded: Json) -> Any:
        raise Misfit(f"nothing can be read as {self.annotation}")

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {}
