"""What every codec has, and the error that names a place."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Union

from .. import _native

if TYPE_CHECKING:
    from .schemas import Schemas

Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]
"""A value as `json.loads` gives it."""

dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
"""Compact JSON text."""


class Misfit(Exception):
    """A value that has no JSON form under its annotation, or JSON that is no value of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place: list[str] = []

    def within(self, part: str) -> Misfit:
        """The same misfit as seen from one level further out; *part* is written like code: `.name`, `[3]`."""
        self.place.insert(0, part)
        return self

    def seen_from(self, root: str) -> str:
        """The misfit in words, such as `return["items"][3]: socket has no JSON form`."""
        return f"{root}{''.join(self.place)}: {self.reason}"


class Codec:
    """Encodes the values of one annotation.

    Attributes:
        plain_form: What it takes and gives, where that is JSON and nothing more (`pyhero/rust/form.rs`);
            else empty.
    """

    plain_form = ""

    @functools.cached_property
    def plain(self) -> _native.PlainForm:
        """Does what this codec does, sooner, with values that are nothing unusual."""
        return _native.PlainForm(self.plain_form)

    def encode(self, value: object) -> Json:
        """The JSON form of a value, made of new containers. Raises `Misfit`."""
        raise NotImplementedError

    def decode(self, encoded: Json) -> Any:
        """The value of a JSON form. Raises `Misfit`."""
        raise NotImplementedError

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """A JSON Schema of the JSON forms."""
        raise NotImplementedError


def type_name(value: object) -> str:
    """The type of a value in words, for messages."""
    return "None" if value is None else type(value).__qualname__


def wanted(value: object, expected: str) -> Misfit:
    """*value* stands where *expected* should."""
    return Misfit(f"{type_name(value)} where {expected} is expected")
