"""Lists, tuples, sets and dicts of something."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .base import Codec, Json, Misfit, dumps, type_name, wanted
from .plain import Text

if TYPE_CHECKING:
    from .schemas import Schemas


def encode_items(items: Iterable[tuple[object, Codec]]) -> list[Json]:
    """Encodes each value with its codec; a misfit tells the index."""
    encoded: list[Json] = []
    for index, (item, codec) in enumerate(items):
        try:
            encoded.append(codec.encode(item))
        except Misfit as misfit:
            raise misfit.within(f"[{index}]") from None
    return encoded


def decode_items(items: Iterable[tuple[Json, Codec]]) -> list[Any]:
    """Decodes each value with its codec; a misfit tells the index."""
    decoded: list[Any] = []
    for index, (item, codec) in enumerate(items):
        try:
            decoded.append(codec.decode(item))
        except Misfit as misfit:
            raise misfit.within(f"[{index}]") from None
    return decoded


class Many(Codec):
    """`list[X]`, `Sequence[X]`, `tuple[X, ...]`, `set[X]`, `frozenset[X]`: a JSON list.

    The items of a set are sorted by their JSON text, so that equal sets make equal step keys.
    """

    def __init__(
        self,
        item: Codec,
        accepts: tuple[type, ...],
        build: Callable[[list[Any]], object],
        *,
        is_set: bool = False,
    ) -> None:
        self.item = item
        self.accepts = accepts
        self.build = build
        self.is_set = is_set
        self.plain_form = (
            item.plain_form and f"[{item.plain_form}" if build is list and accepts == (list,) else ""
        )

    def encode(self, value: object) -> Json:
        if not isinstance(value, self.accepts) or not isinstance(value, Iterable):
            raise wanted(value, self.accepts[0].__name__)
        encoded = encode_items((item, self.item) for item in value)
        return sorted(encoded, key=dumps) if self.is_set else encoded

    def decode(self, encoded: Json) -> Any:
        if not isinstance(encoded, list):
            raise wanted(encoded, self.accepts[0].__name__)
        return self.build(decode_items((item, self.item) for item in encoded))

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.item.schema(schemas)}
        return {**schema, "uniqueItems": True} if self.is_set else schema


class FixedTuple(Codec):
    """`tuple[X, Y]`: a JSON list of that length."""

    def __init__(self, items: list[Codec]) -> None:
        self.items = items

    def encode(self, value: object) -> Json:
        if not isinstance(value, tuple):
            raise wanted(value, "tuple")
        self._check_length(len(value))
        return encode_items(zip(value, self.items, strict=True))

    def decode(self, encoded: Json) -> Any:
        if not isinstance(encoded, list):
            raise wanted(encoded, "tuple")
        self._check_length(len(encoded))
        return tuple(decode_items(zip(encoded, self.items, strict=True)))

    def _check_length(self, n_items: int) -> None:
        if n_items != len(self.items):
            raise Misfit(f"tuple of {n_items} where one of {len(self.items)} is expected")

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        n_items = len(self.items)
        items = [item.schema(schemas) for item in self.items]
        return {"type": "array", "prefixItems": items, "minItems": n_items, "maxItems": n_items}


class Dict(Codec):
    """`dict[K, V]`, `Mapping[K, V]`: a JSON object.

    Keys that are always text stand as they are; all others as their JSON text, so that no two keys of
    different types meet.
    """

    def __init__(self, key: Codec, item: Codec) -> None:
        self.key = key
        self.item = item
        self.has_text_keys = key.schema(_no_schemas()).get("type") == "string"
        self.plain_form = item.plain_form and f"{{{item.plain_form}" if isinstance(key, Text) else ""

    def encode(self, value: object) -> Json:
        if not isinstance(value, Mapping):
            raise wanted(value, "dict")
        encoded: dict[str, Json] = {}
        for key, item in value.items():
            try:
                encoded[self._write_key(key)] = self.item.encode(item)
            except Misfit as misfit:
                raise misfit.within(f"[{_shown(key)}]") from None
        return encoded

    def _write_key(self, key: object) -> str:
        encoded = self.key.encode(key)
        if self.has_text_keys and isinstance(encoded, str):
            return encoded
        return dumps(encoded)

    def decode(self, encoded: Json) -> Any:
        if not isinstance(encoded, dict):
            raise wanted(encoded, "dict")
        decoded = {}
        for key, item in encoded.items():
            try:
                decoded[self._read_key(key)] = self.item.decode(item)
            except Misfit as misfit:
                raise misfit.within(f"[{_shown(key)}]") from None
        return decoded

    def _read_key(self, key: str) -> object:
        if self.has_text_keys:
            return self.key.decode(key)
        try:
            return self.key.decode(json.loads(key))
        except ValueError:
            raise Misfit(f'key "{key}" is no JSON') from None

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        schema = {"type": "object", "additionalProperties": self.item.schema(schemas)}
        names = self.key.schema(schemas) if self.has_text_keys and not isinstance(self.key, Text) else None
        return {**schema, "propertyNames": names} if names else schema


def _shown(key: object) -> str:
    return (
        dumps(key)
        if isinstance(key, str)
        else f"{key!r}"
        if isinstance(key, (int, float))
        else type_name(key)
    )


def _no_schemas() -> Schemas:
    from .schemas import Schemas

    return Schemas()
