"""JSON Schemas of codecs (draft 2020-12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Codec


class Schemas:
    """Writes classes where they are used, and under `$defs` only those that contain themselves."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._open: list[str] = []
        self._recursive: set[str] = set()

    def named(self, name: str, build: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The schema of a class."""
        reference = {"$ref": f"#/$defs/{name}"}
        if name in self._open:
            self._recursive.add(name)
            return reference
        self._open.append(name)
        body = build()
        self._open.pop()
        if name not in self._recursive:
            return body
        self.definitions[name] = body
        return reference


def schema_of(codec: Codec) -> dict[str, Any]:
    """The JSON Schema of what a codec decodes."""
    schemas = Schemas()
    schema = codec.schema(schemas)
    return {**schema, "$defs": schemas.definitions} if schemas.definitions else schema
