"""Pauses outside a play: asked on the terminal, if there is one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from . import _native
from ._codec import dumps

if TYPE_CHECKING:
    from ._pause import Question

_YES, _NO = {"y", "yes", "true"}, {"n", "no", "false"}


def ask_on_terminal(question: Question) -> str | None:
    """The answer as an outcome; None where standard input is no terminal. Asks again until it fits."""
    if not (sys.stdin and sys.stdin.isatty()):
        return None
    ui = json.loads(question.ui) if question.ui else {}
    _show(question.name, ui)
    while True:
        payload = dumps(_parse(input("> "), ui, _types(question)))
        misfit = _native.check_answer(question.schema, payload)
        if misfit is None:
            return f'{{"returned":{payload}}}'
        print(f"that does not fit: {misfit}", file=sys.stderr)


def _show(name: str, ui: dict[str, Any]) -> None:
    print(ui.get("prompt") or name)
    for number, option in enumerate(ui.get("options") or (), start=1):
        print(f"  {number}. {option}")
    hints = {"confirm": "y or n", "choice": "a number", "multi_choice": "numbers, separated by commas"}
    if ui.get("kind") in hints:
        print(f"({hints[ui['kind']]})")


def _types(question: Question) -> set[str]:
    schema = json.loads(question.schema) if question.schema else {}
    types = schema.get("type") if isinstance(schema, dict) else None
    return {types} if isinstance(types, str) else set(types or ())


def _parse(line: str, ui: dict[str, Any], types: set[str]) -> Any:
    """What a line says to this question: a yes, the number of an option, text as it is, else JSON."""
    options = ui.get("options") or []
    kind = ui.get("kind")
    if kind == "confirm" and line.strip().lower() in _YES | _NO:
        return line.strip().lower() in _YES
    if kind == "choice":
        return _option(line, options)
    if kind == "multi_choice":
        return [_option(part, options) for part in line.split(",") if part.strip()]
    if types == {"string"}:
        return line
    try:
        return json.loads(line)
    except ValueError:
        return line


def _option(text: str, options: list[Any]) -> Any:
    text = text.strip()
    is_number = text.isdecimal() and 1 <= int(text) <= len(options) and text not in options
    return options[int(text) - 1] if is_number else text
