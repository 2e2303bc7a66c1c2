"""How a step ended, as JSON text: `{"returned": value}` or `{"raised": exception}`."""

from __future__ import annotations

import importlib
import json
import os
import types
from typing import TYPE_CHECKING, Any

from ._codec import Misfit, codec_for, dumps
from ._errors import StepFailed

if TYPE_CHECKING:
    import traceback

    from ._codec import Codec, Json

_plain = codec_for(Any)
_own_files = os.path.dirname(__file__) + os.sep


def returned(encoded: Json) -> str:
    """The outcome of a call that returned."""
    return f'{{"returned":{dumps(encoded)}}}'


def raised(error: BaseException) -> str:
    """The outcome of a call that raised."""
    return f'{{"raised":{exception_json(error)}}}'


def open_outcome(text: str, codec: Codec, original: BaseException | None = None) -> Any:
    """Returns or raises what the outcome says. The first run opens what it stored, as every replay does.

    Args:
        original: The exception that the outcome was made of; None on replay.
    """
    value = codec.plain.open(text)
    if value is not NotImplemented:
        return value
    outcome = json.loads(text)
    if "raised" not in outcome:
        return codec.decode(outcome["returned"])
    if original is None:
        raise remembered(outcome["raised"])
    error = rebuilt(outcome["raised"])
    if type(error) is type(original):
        error.__cause__, error.__context__ = original.__cause__, original.__context__
        error.__suppress_context__ = original.__suppress_context__
        error.__traceback__ = original.__traceback__
    else:
        error.__cause__ = original
    raise error


def remembered(data: dict[str, Any]) -> BaseException:
    """The exception that an earlier launch raised."""
    error = rebuilt(data)
    if data["traceback"]:
        error.__cause__ = Remembered(data["traceback"])
    return error


class Remembered(Exception):
    """Shows, as the cause of an exception that is raised again, where an earlier launch raised it."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def exception_json(error: BaseException) -> str:
    """An exception as data (`hero_schema::Raised`), JSON text."""
    data: dict[str, Json] = {
        "class": f"{type(error).__module__}:{type(error).__qualname__}",
        "message": message_of(error),
        "traceback": formatted(error),
    }
    state = _state(error)
    if state is not None and _is_rebuildable(error, data | {"args": state}):
        data["args"] = state
    return dumps(data)


def message_of(error: BaseException) -> str:
    """`str(error)`, whatever that does."""
    try:
        return printable(str(error))
    except Exception:
        return "(its message cannot be printed)"


def _state(error: BaseException) -> Json:
    """What makes the exception again: its arguments, and its attributes if it has any. None where the
    arguments have no JSON form; attributes that have none are left out."""
    try:
        reduced: Any = error.__reduce__()  # more than `.args`: OSError keeps its file name elsewhere
        constructor, args = reduced[:2]
        encoded = _plain.encode(args)
    except Exception:
        return None
    attributes = {name: form for name, value in vars(error).items() for form in _plain_form(value)}
    if constructor is not type(error):
        return None
    return {"args": encoded, "attributes": attributes} if attributes else encoded


def _plain_form(value: object) -> list[Json]:
    """The value as plain JSON, or nothing."""
    try:
        return [_plain.encode(value)]
    except (Misfit, RecursionError):
        return []


def _is_rebuildable(error: BaseException, data: dict[str, Json]) -> bool:
    again = rebuilt(data)
    try:
        return type(again) is type(error) and str(again) == str(error)
    except Exception:  # its `__str__` wants an attribute that has no JSON form
        return False


def rebuilt(data: dict[str, Any]) -> BaseException:
    """The exception that the data describes, or `StepFailed` where it cannot be made."""
    if "args" in data:
        try:
            return _construct(_import_class(data["class"]), data["args"])
        except Exception:
            pass  # whatever a foreign class does here, the reader needs the message
    return StepFailed(data["class"], data["message"], data["traceback"])


def _import_class(path: str) -> type[BaseException]:
    module, _, qualname = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        raise TypeError(f"{path} is no exception")
    return found


def _construct(cls: type[BaseException], state: Any) -> BaseException:
    """Makes the exception without its own `__init__`, whose parameters nobody remembers, but with that of the
    built-in it derives from, which is what sets `errno` and the like."""
    args, attributes = (state["args"], state["attributes"]) if isinstance(state, dict) else (state, {})
    error = cls.__new__(cls, *args)
    inits = (vars(base).get("__init__") for base in cls.__mro__)
    built_in = next(init for init in inits if init is not None and not isinstance(init, types.FunctionType))
    built_in(error, *args)
    vars(error).update(attributes)
    return error


def formatted(error: BaseException) -> str:
    """The traceback without the frames of this package."""
    import traceback

    described = traceback.TracebackException.from_exception(error)
    _leave_out_own_frames(described, traceback.StackSummary)
    return printable("".join(described.format()))


def _leave_out_own_frames(
    described: traceback.TracebackException, summary: type[traceback.StackSummary]
) -> None:
    frames = [
        frame for frame in described.stack if not frame.filename.startswith((_own_files, "<frozen importlib"))
    ]
    described.stack = summary.from_list(frames)
    for linked in (
        described.__cause__,
        described.__context__,
        *(getattr(described, "exceptions", None) or ()),
    ):
        if linked is not None:
            _leave_out_own_frames(linked, summary)


def printable(text: str) -> str:
    """The text with halves of surrogate pairs replaced, which no UTF-8 can carry."""
    return text.encode("utf-8", "replace").decode()
