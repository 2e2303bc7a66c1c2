"""Classes with named fields: dataclasses, TypedDicts, NamedTuples, and `outputs=`. Each a JSON object."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .base import Codec, Json, Misfit, type_name, wanted

if TYPE_CHECKING:
    from .schemas import Schemas


class Field(NamedTuple):
    """One field of a record."""

    name: str
    codec: Codec
    is_required: bool


class Record(Codec):
    """An object of exactly these fields.

    How the fields are taken from a value and put back is what tells the classes apart: `take` gives the
    mapping of a value or raises `Misfit`, `build` makes the value. The fields are looked up when they are
    first needed, because a class may contain itself.
    """

    def __init__(
        self,
        name: str,
        find_fields: Callable[[], list[Field]],
        take: Callable[[object], Mapping[str, object]],
        build: Callable[[dict[str, Any]], object],
        part: str = ".{}",
    ) -> None:
        self.name = name
        self._find_fields = find_fields
        self._fields: dict[str, Field] | None = None
        self._take = take
        self._build = build
        self._part = part

    @property
    def fields(self) -> dict[str, Field]:
        """The fields by name, in order."""
        if self._fields is None:
            self._fields = {field.name: field for field in self._find_fields()}
        return self._fields

    def encode(self, value: object) -> Json:
        members = self._take(value)
        self._check_names(members)
        return {
            name: self._at(name, field.codec.encode, members[name]) for name, field in self._present(members)
        }

    def decode(self, encoded: Json) -> Any:
        if not isinstance(encoded, dict):
            raise wanted(encoded, self.name)
        self._check_names(encoded)
        members = {
            name: self._at(name, field.codec.decode, encoded[name]) for name, field in self._present(encoded)
        }
        try:
            return self._build(members)
        except Exception as error:
            raise Misfit(f"{self.name} refuses the fields: {error}") from error

    def _present(self, members: Mapping[str, object]) -> list[tuple[str, Field]]:
        return [(name, field) for name, field in self.fields.items() if name in members]

    def _check_names(self, members: Mapping[str, object]) -> None:
        for name, field in self.fields.items():
            if field.is_required and name not in members:
                raise Misfit("is missing").within(self._part.format(name))
        for name in members:
            if name not in self.fields:
                raise Misfit(f"{type_name(members[name])} is not declared in {self.name}").within(
                    self._part.format(name)
                )

    def _at(self, name: str, convert: Callable[[Any], Any], value: object) -> Any:
        try:
            return convert(value)
        except Misfit as misfit:
            raise misfit.within(self._part.format(name)) from None

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return schemas.named(self.name, lambda: self._object_schema(schemas))

    def _object_schema(self, schemas: Schemas) -> dict[str, Any]:
        return {
            "type": "object",
            "title": self.name,
            "properties": {name: field.codec.schema(schemas) for name, field in self.fields.items()},
            "required": [name for name, field in self.fields.items() if field.is_required],
            "additionalProperties": False,
        }


def dict_record(name: str, find_fields: Callable[[], list[Field]]) -> Record:
    """A TypedDict, or the `outputs=` of a flow: values are dicts."""

    def take(value: object) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise wanted(value, f"a dict ({name})")
        return value

    return Record(name, find_fields, take, lambda members: members, '["{}"]')


def named_tuple_record(cls: type, find_fields: Callable[[], list[Field]]) -> Record:
    """A NamedTuple."""

    def take(value: object) -> Mapping[str, object]:
        if type(value) is not cls:
            raise wanted(value, cls.__name__)
        return value._asdict()  # type: ignore[attr-defined, no-any-return]

    return Record(cls.__name__, find_fields, take, lambda members: cls(**members))


def dataclass_record(cls: type, find_fields: Callable[[], list[Field]]) -> Record:
    """A dataclass. Decoding runs `__post_init__` again, and sets the fields outside `__init__` after it."""
    dataclass_fields = sys.modules["dataclasses"].fields(cls)
    set_after = [field.name for field in dataclass_fields if not field.init]

    def take(value: object) -> Mapping[str, object]:
        if type(value) is not cls:
            raise Misfit(
                f"{type_name(value)} where {cls.__qualname__} is expected; annotate what is returned"
            )
        return {
            field.name: getattr(value, field.name) for field in dataclass_fields if hasattr(value, field.name)
        }

    def build(members: dict[str, Any]) -> object:
        later = {name: members.pop(name) for name in set_after if name in members}
        value = cls(**members)
        for name, member in later.items():
            object.__setattr__(value, name, member)
        return value

    return Record(cls.__name__, find_fields, take, build)
