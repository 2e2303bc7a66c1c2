"""Pydantic models. Pydantic is never imported here before the class of a user has done so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Codec, Json, Misfit, dumps, wanted

if TYPE_CHECKING:
    from .schemas import Schemas


class Model(Codec):
    """A pydantic model or pydantic dataclass."""

    def __init__(self, cls: type) -> None:
        from pydantic import TypeAdapter

        self.cls = cls
        self.adapter = TypeAdapter[Any](cls)

    def encode(self, value: object) -> Json:
        if type(value) is not self.cls:
            raise wanted(value, self.cls.__qualname__)
        try:
            encoded: Json = self.adapter.dump_python(value, mode="json", by_alias=True)
        except ValueError as error:
            raise Misfit(f"{self.cls.__qualname__} has no JSON form: {error}") from None
        return encoded

    def decode(self, encoded: Json) -> Any:
        try:
            return self.adapter.validate_json(dumps(encoded))
        except ValueError as error:
            raise Misfit(f"no {self.cls.__qualname__}: {error}") from None

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        schema = self.adapter.json_schema(ref_template="#/$defs/{model}")
        schemas.definitions.update(schema.pop("$defs", {}))
        return schema


def is_model(cls: type) -> bool:
    """Whether pydantic validates the class."""
    return hasattr(cls, "__pydantic_validator__")
