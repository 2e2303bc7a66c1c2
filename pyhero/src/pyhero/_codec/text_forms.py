"""Types of the standard library that have one exact form as text."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from .base import Codec, Json, Misfit, type_name, wanted
from .plain import checked_text

if TYPE_CHECKING:
    from .schemas import Schemas


class TextForm(NamedTuple):
    """How the values of a type are written and read."""

    type: type
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    schema: dict[str, Any]


def _iso_time(text: str) -> str:
    # Python 3.10 does not know the `Z` that other languages write.
    return f"{text[:-1]}+00:00" if text.endswith(("Z", "z")) else text


def _write_duration(value: timedelta) -> str:
    """ISO 8601, in days and seconds: `P1DT3.5S`, negative as `-P…`."""
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"


_DURATION = r"^(-?)P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?$"


def _read_duration(text: str) -> timedelta:
    found = re.match(_DURATION, text)
    if not found:
        raise ValueError(text)
    sign, *numbers, micros = found.groups()
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in numbers)
    days += 7 * weeks
    seconds += 60 * (minutes + 60 * hours)
    value = timedelta(days, seconds, int((micros or "").ljust(6, "0")))
    return -value if sign else value


def _read_bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2}(:\d{2}(\.\d{6})?)?)?"


def _text(format: str, pattern: str) -> dict[str, Any]:
    return {"type": "string", "format": format, "pattern": pattern}


# `datetime` stands before `date`, which it is a subclass of.
FORMS: tuple[TextForm, ...] = (
    TextForm(
        datetime,
        datetime.isoformat,
        lambda text: datetime.fromisoformat(_iso_time(text)),
        _text("date-time", f"^{_DATE}([T ]{_TIME})?$"),
    ),
    TextForm(date, date.isoformat, date.fromisoformat, _text("date", f"^{_DATE}$")),
    TextForm(
        time, time.isoformat, lambda text: time.fromisoformat(_iso_time(text)), _text("time", f"^{_TIME}$")
    ),
    TextForm(timedelta, _write_duration, _read_duration, _text("duration", _DURATION)),
    TextForm(UUID, str, UUID, _text("uuid", r"^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$")),
    TextForm(
        bytes,
        lambda value: b64encode(value).decode(),
        _read_bytes,
        {"type": "string", "contentEncoding": "base64"},
    ),
)


class AsText(Codec):
    """A type of `FORMS`."""

    def __init__(self, form: TextForm) -> None:
        self.form = form

    def encode(self, value: object) -> Json:
        if not isinstance(value, self.form.type) or (self.form.type is date and isinstance(value, datetime)):
            raise wanted(value, self.form.type.__name__)
        return self.form.write(value)

    def decode(self, encoded: Json) -> Any:
        try:
            if isinstance(encoded, str):
                return self.form.read(encoded)
        except (ValueError, OverflowError):
            raise Misfit(f'"{encoded}" is no {self.form.type.__name__}') from None
        raise wanted(encoded, self.form.type.__name__)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return dict(self.form.schema)


class DecimalCodec(Codec):
    """`Decimal`, as text so that no digit is lost. Answers from outside may be JSON numbers."""

    def encode(self, value: object) -> Json:
        if not isinstance(value, Decimal):
            raise wanted(value, "Decimal")
        return str(value)

    def decode(self, encoded: Json) -> Any:
        if isinstance(encoded, bool) or not isinstance(encoded, (str, int, float)):
            raise wanted(encoded, "Decimal")
        try:
            return Decimal(str(encoded))
        except ArithmeticError:
            raise Misfit(f'"{encoded}" is no Decimal') from None

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {
            "type": ["string", "number"],
            "pattern": r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^[+-]?(Infinity|s?NaN\d*)$",
        }


class PathCodec(Codec):
    """`Path` and the other classes of `pathlib`."""

    def __init__(self, path_type: type[PurePath]) -> None:
        self.path_type = path_type

    def encode(self, value: object) -> Json:
        if not isinstance(value, self.path_type):
            raise wanted(value, self.path_type.__name__)
        return checked_text(str(value))

    def decode(self, encoded: Json) -> Any:
        if not isinstance(encoded, str):
            raise Misfit(f"{type_name(encoded)} where a path is expected")
        return self.path_type(encoded)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        return {"type": "string", "format": "path"}


def text_codec(annotation: type) -> Codec | None:
    """The codec of a class that has a form here, or None."""
    if annotation is Decimal:
        return DecimalCodec()
    if issubclass(annotation, PurePath):
        return PathCodec(annotation)
    return next((AsText(form) for form in FORMS if form.type is annotation), None)
