"""A journal that lasts as long as the process: what `pyhero.testing` has instead of a supervisor."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _native
from ._codec import dumps
from ._errors import AnswerMismatch, PauseTimeout
from ._outcome import raised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._codec import Json


CALLBACK_URL = "https://callbacks.invalid/"
"""What the URLs of callbacks begin with; their name follows."""


class Abandoned(BaseException):
    """The run ends here on purpose, as if its process had been killed."""


class Moment(NamedTuple):
    """Something that was remembered: the outcome of a step, or an answer.

    Attributes:
        is_shown: Whether it is a step that people call so, and not an attempt at one or the like.
    """

    is_step: bool
    name: str
    key: str
    outcome: str
    is_shown: bool = True


class MemoryOf:
    """Remembered outcomes by key."""

    def __init__(self, moments: list[Moment]) -> None:
        self._outcomes = {moment.key: moment.outcome for moment in moments}
        self._asked_for: set[str] = set()

    def take(self, key: str, /) -> str | None:
        """The outcome, or None."""
        if key in self._outcomes:
            self._asked_for.add(key)
        return self._outcomes.get(key)

    def ran_as(self, key: str, /) -> tuple[int, int] | None:
        """Nothing is shown here, so nobody needs to know."""
        return None

    def left_over(self) -> list[str]:
        """The keys that nobody asked for."""
        return sorted(self._outcomes.keys() - self._asked_for)

    def n_left(self) -> int:
        """How many those are."""
        return len(self._outcomes) - len(self._asked_for)


class MemoryJournal:
    """Answers as a supervisor would, and keeps what it was told.

    Attributes:
        moments: What was remembered in this run, in order.
        pauses: The pauses that were answered or expired, as arguments of `AskedPause`.
        unanswered: The names of those that were not.
        used_prefill: The entries of the prefill that answered something.
    """

    def __init__(self, memory: list[Moment], prefill: Mapping[str, Json], *, is_abandoned: bool) -> None:
        self.steps = MemoryOf([moment for moment in memory if moment.is_step])
        self.answers = MemoryOf([moment for moment in memory if not moment.is_step])
        self.is_fresh = not memory
        self.moments: list[Moment] = []
        self.pauses: list[dict[str, Any]] = []
        self.unanswered: list[str] = []
        self.used_prefill: set[str] = set()
        self._prefill = dumps(dict(prefill))
        self._is_abandoned = is_abandoned
        self._answers: dict[int, str | None] = {}
        self._n_events = 0
        self._inner_spans: set[str] = set()
        self._lock = threading.Lock()

    def send(self, event_json: str, /) -> int:
        """Takes an event and returns its place."""
        (word, event), *_ = json.loads(event_json).items()
        with self._lock:
            if self._is_abandoned and self.moments:
                raise Abandoned
            seq = self._n_events
            self._n_events += 1
            if word == "span_start" and event["kind"] == "other":
                self._inner_spans.add(event["span_id"])
            elif word == "step_output":
                is_shown = event["span_id"] not in self._inner_spans
                outcome = dumps(event["outcome"])
                self.moments.append(Moment(True, event["name"], event["key"], outcome, is_shown))
                self._answers[seq] = None
            elif word == "play_deadline":
                self._answers[seq] = None
            elif word == "callback":
                self._answers[seq] = f'{{"returned":{dumps(CALLBACK_URL + event["name"])}}}'
            elif word == "pause":
                self._answers[seq] = self._answer(event)
        return seq

    def post(self, event_json: str, more: bool, /) -> int:
        """The same."""
        return self.send(event_json)

    def post_replayed(self, parent_id: str, launch: int, seq: int, more: bool, /) -> None:
        """Nothing is shown here."""

    def flush(self) -> None:
        """Nothing is held back here."""

    def wait(self, seq: int, /) -> str | None:
        """The answer to the event of this place."""
        if self._is_abandoned and self.moments:
            raise Abandoned
        return self._answers.pop(seq)

    def request(self, event_json: str, /) -> str | None:
        """`send` and `wait` in one."""
        return self.wait(self.send(event_json))

    def _answer(self, pause: dict[str, Any]) -> str | None:
        outcome = self._prefilled(pause) if pause["kind"] in ("pause", "callback", "child") else None
        if outcome is None and "timeout_micros" in pause:
            outcome = self._expired(pause)
        if outcome is None:
            self.unanswered.append(pause["name"])
        else:
            self.moments.append(Moment(False, pause["name"], pause["id"], outcome))
        return outcome

    def _expired(self, pause: dict[str, Any]) -> str:
        """Here time passes at once, and nobody else will answer."""
        if pause["kind"] in ("pause", "callback"):
            self._note(pause, pause.get("default"), is_expired=True)
        if "default" in pause:
            return f'{{"returned":{dumps(pause["default"])}}}'
        return raised(PauseTimeout(f"nobody answered pause `{pause['name']}` in time"))

    def _note(self, pause: dict[str, Any], payload: Json, *, is_expired: bool = False) -> None:
        told = {name: pause.get(name) for name in ("name", "schema", "ui")}
        self.pauses.append({**told, "payload": payload, "is_expired": is_expired})

    def _prefilled(self, pause: dict[str, Any]) -> str | None:
        found = _native.match_prefill(self._prefill, pause["name"])
        if found is None:
            return None
        pattern, payload = found
        schema = dumps(pause["schema"]) if "schema" in pause else None
        misfit = _native.check_answer(schema, payload)
        if misfit is not None:
            raise AnswerMismatch(
                f"the prefill entry `{pattern}` does not fit pause `{pause['name']}`: {misfit}"
            )
        self.used_prefill.add(pattern)
        self._note(pause, json.loads(payload))
        return f'{{"returned":{payload}}}'
