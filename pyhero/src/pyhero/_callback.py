"""Answers from other systems: `flow.callback`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _play, _wire
from ._errors import NotInFlowError
from ._pause import Question, Request

if TYPE_CHECKING:
    from ._play import Play

T = TypeVar("T")

_NOT_YET = object()


class Callback(Generic[T]):
    """A question to another system, made by `flow.callback`; hand its `url` over, then `wait`.

    Attributes:
        name: What the answer is called.
        url: Where the other system posts it, once: JSON ``{"success": true, "data": …}``, or
            ``{"success": false, "error": …}``, either perhaps with a ``"task_id"``. Whoever has it can
            answer. The same on replay.
    """

    def __init__(self, play: Play, question: Question) -> None:
        self.name = question.name
        self._play = play
        self._question = question
        request = Request(play, question.name, "callback")
        self._id = request.id
        event = _wire.callback(
            request.id,
            question.name,
            request.span_id,
            schema=question.schema,
            timeout_micros=question.timeout_micros,
        )
        answer = play.journal.request(event)
        assert answer is not None, "a callback is acknowledged with its URL"
        self.url: str = json.loads(answer)["returned"]
        self._answer: object = _NOT_YET

    def __repr__(self) -> str:
        return f"<callback `{self.name}`>"

    def wait(self) -> T:
        """Wait for the answer, however long it takes, and hold no process meanwhile; as `flow.pause` does.

        An answer that came before is returned at once, also on replay, and by every further call.

        Returns:
            The ``data`` that was posted, decoded into *schema* where that is a type.
        Raises:
            CallbackFailed: the other system posted ``"success": false``. Remembered.
            PauseTimeout: nobody posted in time. Remembered.
            AnswerMismatch: the answer was given to another *schema* and does not fit this one.
        """
        if self._answer is _NOT_YET:
            self._answer = self._outcome()
        answer: T = self._question.read(str(self._answer))
        return answer

    def _outcome(self) -> str:
        question = self._question
        request = Request(self._play, self.name, "callback", known_id=self._id)
        answer = request.answer()
        if answer is not None:
            return answer
        return request.ask(schema=question.schema, timeout_micros=question.timeout_micros)


def callback(name: str, schema: object, timeout: object) -> Callback[Any]:
    """See `flow.callback`."""
    question = Question(name, schema, timeout=timeout)
    play = _play.running
    if play is None:
        raise NotInFlowError(
            f"callback `{name}` cannot be made outside of a play: nobody could post to it",
            "run the flow with `hero_logic run FILE`, or test it with pyhero.testing.run(…, prefill={…})",
        )
    return Callback(play, question)
