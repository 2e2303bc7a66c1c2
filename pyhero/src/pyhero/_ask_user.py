"""Questions to people: each is one `flow.pause` with a form to draw and a schema that the answer must fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from ._errors import ArgumentError
from ._options import NOT_GIVEN
from ._pause import Question, ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._durations import Duration


class AskUser:
    """The questions. What `flow.pause` says of pauses holds for each of them.

    Each takes a *name*, which prefill patterns and answers refer to, and a *prompt*, which people read.
    *default* is what the form holds at first, and nobody's answer yet. With a *timeout* (seconds, or a
    `timedelta`, from the first time it is asked) it is also what is taken when nobody has answered by then;
    without a default `PauseTimeout` is raised.
    """

    def text(
        self,
        name: str,
        prompt: str = "",
        *,
        default: str | None = None,
        multiline: bool = False,
        timeout: Duration | None = None,
    ) -> str:
        """Asks for text.

        Args:
            name: What the answer is called.
            prompt: The question.
            default: What the form holds at first. None leaves it empty.
            multiline: Whether to draw more than one line.
            timeout: How long to wait for an answer. None waits for ever.
        Returns:
            The text as it was given; it may be empty.
        """
        ui = {"kind": "text", "prompt": prompt, "default": default, "multiline": multiline or None}
        answer: str = _ask(name, {"type": "string"}, ui, timeout)
        return answer

    @overload
    def number(
        self,
        name: str,
        prompt: str = "",
        *,
        min: float | None = None,
        max: float | None = None,
        integer: Literal[False] = False,
        default: float | None = None,
        timeout: Duration | None = None,
    ) -> float: ...

    @overload
    def number(
        self,
        name: str,
        prompt: str = "",
        *,
        min: float | None = None,
        max: float | None = None,
        integer: Literal[True],
        default: int | None = None,
        timeout: Duration | None = None,
    ) -> int: ...

    def number(
        self,
        name: str,
        prompt: str = "",
        *,
        min: float | None = None,
        max: float | None = None,
        integer: bool = False,
        default: float | None = None,
        timeout: Duration | None = None,
    ) -> float:
        """Asks for a number.

        Args:
            name: What the answer is called.
            prompt: The question.
            min: The smallest number that is taken. None sets no bound.
            max: The largest number that is taken. None sets no bound.
            integer: Whether only whole numbers are taken.
            default: What the form holds at first. None leaves it empty.
            timeout: How long to wait for an answer. None waits for ever.
        Returns:
            An `int` where a whole number was given, else a `float`.
        """
        schema = {"type": "integer" if integer else "number", "minimum": min, "maximum": max}
        ui = {
            "kind": "number",
            "prompt": prompt,
            "min": min,
            "max": max,
            "integer": integer or None,
            "default": default,
        }
        answer: float = _ask(name, _given(schema), ui, timeout)
        return int(answer) if integer else answer

    def choice(
        self,
        name: str,
        prompt: str = "",
        *,
        options: Sequence[str],
        default: str | None = None,
        timeout: Duration | None = None,
    ) -> str:
        """Asks for one of several.

        Args:
            name: What the answer is called.
            prompt: The question.
            options: What can be chosen. Make them of inputs and of what steps returned: they are the
                same on every replay then, and an answer still fits.
            default: The option that is chosen at first. None chooses none.
            timeout: How long to wait for an answer. None waits for ever.
        Returns:
            The option.
        """
        schema = {"type": "string", "enum": _checked(name, options)}
        ui = {"kind": "choice", "prompt": prompt, "options": list(options), "default": default}
        answer: str = _ask(name, schema, ui, timeout)
        return answer

    def multi_choice(
        self,
        name: str,
        prompt: str = "",
        *,
        options: Sequence[str],
        min: int = 0,
        max: int | None = None,
        default: Sequence[str] | None = None,
        timeout: Duration | None = None,
    ) -> list[str]:
        """Asks for any of several.

        Args:
            name: What the answer is called.
            prompt: The question.
            options: What can be chosen; see `choice`.
            min: How many must be chosen at least.
            max: How many may be chosen. None sets no bound.
            default: The options that are chosen at first. None chooses none.
            timeout: How long to wait for an answer. None waits for ever.
        Returns:
            The options that were chosen, in the order of the answer.
        """
        items = {"type": "string", "enum": _checked(name, options)}
        schema = {
            "type": "array",
            "items": items,
            "uniqueItems": True,
            "minItems": min or None,
            "maxItems": max,
        }
        chosen = None if default is None else list(default)
        ui = {
            "kind": "multi_choice",
            "prompt": prompt,
            "options": list(options),
            "min": min or None,
            "max": max,
            "default": chosen,
        }
        answer: list[str] = _ask(name, _given(schema), ui, timeout)
        return answer

    def confirm(
        self, name: str, prompt: str = "", *, default: bool | None = None, timeout: Duration | None = None
    ) -> bool:
        """Asks for yes or no.

        Args:
            name: What the answer is called.
            prompt: The question.
            default: What the form holds at first. None holds neither.
            timeout: How long to wait for an answer. None waits for ever.
        Returns:
            True for yes.
        """
        ui = {"kind": "confirm", "prompt": prompt, "default": default}
        answer: bool = _ask(name, {"type": "boolean"}, ui, timeout)
        return answer


def _ask(name: str, schema: dict[str, Any], ui: dict[str, Any], timeout: Duration | None) -> Any:
    default = NOT_GIVEN if timeout is None or ui["default"] is None else ui["default"]
    return ask(Question(name, schema, _given(ui), timeout=timeout, default=default))


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _checked(name: str, options: Sequence[str]) -> list[str]:
    if isinstance(options, str) or not options:
        raise ArgumentError(f"question `{name}` has no options to choose from", 'options=["this", "that"]')
    return list(options)


ask_user = AskUser()
"""Questions to people; see `AskUser`."""
