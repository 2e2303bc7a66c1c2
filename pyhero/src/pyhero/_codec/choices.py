"""One of several: unions, literals, enums."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .base import Codec, Json, Misfit, dumps, type_name, wanted
from .plain import NoneCodec

if TYPE_CHECKING:
    from .schemas import Schemas


class Optional(Codec):
    """`X | None`."""

    def __init__(self, inner: Codec) -> None:
        self.inner = inner
        self.plain_form = inner.plain_form and f"?{inner.plain_form}"

    def encode(self, value: object) -> Json:
        return None if value is None else self.inner.encode(value)

    def decode(self, encoded: Json) -> Any:
        return None if encoded is None else self.inner.decode(encoded)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"anyOf": [self.inner.schema(schemas), {"type": "null"}]}


class Union(Codec):
    """`X | Y`: the first member that fits exactly, which is to say that nothing is converted.

    JSON forgets types: `"2026-01-01"` may be a `date` or a `str`. Where decoding would choose another member
    than encoding did, the value is stored as `{"$member": index, "value": …}`.
    """

    def __init__(self, members: list[Codec]) -> None:
        self.members = members

    def encode(self, value: object) -> Json:
        chosen, encoded = self._choose_writer(value)
        if not _is_marked(encoded) and self._choose_reader(encoded)[0] == chosen:
            return encoded
        return {"$member": chosen, "value": encoded}

    def _choose_writer(self, value: object) -> tuple[int, Json]:
        fitting: list[tuple[int, Json]] = []
        misfits: list[Misfit] = []
        for index, member in enumerate(self.members):
            try:
                encoded = member.encode(value)
                decoded = member.decode(encoded)
            except Misfit as misfit:
                misfits.append(misfit)
                continue
            if type(decoded) is type(value) and decoded == value:
                return index, encoded
            fitting.append((index, encoded))
        if fitting:
            return fitting[0]
        raise deepest(misfits, value)

    def _choose_reader(self, encoded: Json) -> tuple[int, Any]:
        fitting: list[tuple[int, Any]] = []
        misfits: list[Misfit] = []
        for index, member in enumerate(self.members):
            try:
                decoded = member.decode(encoded)
                if dumps(member.encode(decoded)) == dumps(encoded):
                    return index, decoded
            except Misfit as misfit:
                misfits.append(misfit)
                continue
            fitting.append((index, decoded))
        if fitting:
            return fitting[0]
        raise deepest(misfits, encoded)

    def decode(self, encoded: Json) -> Any:
        if isinstance(encoded, dict) and _is_marked(encoded):
            index = encoded["$member"]
            if isinstance(index, int) and 0 <= index < len(self.members):
                return self.members[index].decode(encoded["value"])
        return self._choose_reader(encoded)[1]

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"anyOf": [member.schema(schemas) for member in self.members]}


def _is_marked(encoded: Json) -> bool:
    return isinstance(encoded, dict) and encoded.keys() == {"$member", "value"}


def union(members: list[Codec]) -> Codec:
    """The codec of a union."""
    something = [member for member in members if not isinstance(member, NoneCodec)]
    inner = something[0] if len(something) == 1 else Union(something)
    return inner if len(something) == len(members) else Optional(inner)


def deepest(misfits: list[Misfit], value: object) -> Misfit:
    """The misfit to tell of: that of the member which got furthest, else that no member fits at all."""
    furthest = max(misfits, key=lambda misfit: len(misfit.place))
    return furthest if furthest.place else Misfit(f"{type_name(value)} fits no member of the union")


class Literal(Codec):
    """`Literal["a", 1, None]`: those values and no others; `1` is neither `True` nor `1.0`."""

    def __init__(self, values: tuple[object, ...], codecs: list[Codec]) -> None:
        self.table = [(value, codec.encode(value)) for value, codec in zip(values, codecs, strict=True)]

    def encode(self, value: object) -> Json:
        for literal, encoded in self.table:
            if type(value) is type(literal) and value == literal:
                return encoded
        raise Misfit(f"{value!r} is none of {[literal for literal, _ in self.table]}")

    def decode(self, encoded: Json) -> Any:
        for literal, form in self.table:
            if type(encoded) is type(form) and encoded == form:
                return literal
        raise Misfit(f"{encoded!r} is none of {[form for _, form in self.table]}")

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        forms = [form for _, form in self.table]
        return (
            {"type": "string", "enum": forms}
            if all(isinstance(form, str) for form in forms)
            else {"enum": forms}
        )


class EnumCodec(Codec):
    """An `Enum`: by value where all values are JSON scalars, else by name. Flags by their number."""

    def __init__(self, cls: Any) -> None:
        self.cls = cls
        enum = sys.modules["enum"]
        self.is_flag = issubclass(cls, enum.Flag)
        members = list(cls)
        is_by_value = all(type(member.value) in (str, int, float, bool) for member in members)
        self.forms: dict[str, Any] = {
            dumps(member.value if is_by_value else member.name): member for member in members
        }
        self.is_by_value = is_by_value

    def encode(self, value: object) -> Json:
        if not isinstance(value, self.cls):
            raise wanted(value, self.cls.__name__)
        member: Any = value
        form: Json = member.value if self.is_by_value or self.is_flag else member.name
        return form

    def decode(self, encoded: Json) -> Any:
        if self.is_flag and isinstance(encoded, int):
            return self.cls(encoded)
        member = self.forms.get(dumps(encoded))
        if member is None:
            raise Misfit(f"{encoded!r} is no {self.cls.__name__}")
        return member

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        if self.is_flag:
            return {"type": "integer"}
        forms = [member.value if self.is_by_value else member.name for member in self.cls]
        return (
            {"type": "string", "enum": forms}
            if all(isinstance(form, str) for form in forms)
            else {"enum": forms}
        )
