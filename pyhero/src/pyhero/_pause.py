"""Pauses: a question is stored, the process ends, and the answer is there on replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import _native, _outcome, _play, _wire
from ._codec import Misfit, codec_for, dumps, schema_of
from ._durations import micros, seconds_of
from ._errors import AnswerMismatch, ArgumentError, DefinitionError, NotInFlowError
from ._options import NOT_GIVEN
from ._play import Play

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._codec import Codec
    from ._play import Frame
    from ._wire import RequestKind


class Question:
    """What a pause asks.

    Attributes:
        timeout_micros: How long to wait; None waits for ever.
        default: What is taken when that time is over, JSON text; None raises `PauseTimeout`.
    """

    def __init__(
        self,
        name: str,
        schema: object = None,
        ui: Mapping[str, Any] | None = None,
        *,
        timeout: object = None,
        default: object = NOT_GIVEN,
    ) -> None:
        if not _native.is_pause_name(name):
            raise ArgumentError(
                f"a pause cannot be called `{name}`",
                "a letter or _, then letters, digits, `_`, `.`, `-`, then perhaps `[…]`; 128 at most",
            )
        self.name = name
        is_json_schema = isinstance(schema, (dict, bool))
        if isinstance(schema, (int, float, str, bytes, list, tuple)) and not is_json_schema:
            raise ArgumentError(f"{self}: `schema` is {schema!r}", "a type, or a JSON schema as a dict")
        self.codec: Codec = codec_for(Any if schema is None or is_json_schema else schema)
        self.schema = _as_json("schema", schema if is_json_schema else schema_of(self.codec) or None)
        unfit = None if self.schema is None else _native.check_schema(self.schema)
        if unfit is not None:
            raise ArgumentError(f"{self} could not be answered by anything: {unfit}")
        self.ui = _as_json("ui", ui)
        self.timeout_micros = None if timeout is None else micros(seconds_of(timeout, f"{self}: `timeout`"))
        self.default = None if default is NOT_GIVEN else self._checked_default(default)

    def __str__(self) -> str:
        return f"pause `{self.name}`"

    def _checked_default(self, default: object) -> str:
        if self.timeout_micros is None:
            raise ArgumentError(f"{self} has a default and would never take it", "timeout=3600")
        if default is None:
            return "null"  # fits every question: nobody has answered
        try:
            text = dumps(self.codec.encode(default))
        except Misfit as misfit:
            raise ArgumentError(f"{self} cannot have this default: {misfit.seen_from('default')}") from None
        unfit = _native.check_answer(self.schema, text)
        if unfit is not None:
            raise ArgumentError(f"{self} has a default that does not fit its schema: {unfit}")
        return text

    def read(self, outcome: str) -> Any:
        """Returns or raises what the answer says; `AnswerMismatch` where it does not fit the question."""
        payload = json.loads(outcome)
        if self.default == "null" and payload == {"returned": None}:
            return None
        misfit = None
        if "returned" in payload:
            misfit = _native.check_answer(self.schema, dumps(payload["returned"]))
        if misfit is None:
            try:
                return _outcome.open_outcome(outcome, self.codec)
            except Misfit as error:
                misfit = error.seen_from(self.name)
        raise AnswerMismatch(
            f"{self} holds an answer that does not fit its schema: {misfit}",
            "the schema must be the same in every launch; build it from inputs and from what steps returned",
        )


def _as_json(what: str, value: object) -> str | None:
    try:
        return None if value is None else dumps(codec_for(Any).encode(value))
    except Misfit as misfit:
        raise ArgumentError(f"a pause cannot be shown: {misfit.seen_from(what)}") from None


def ask(question: Question) -> Any:
    """The answer, from memory or from whoever gave it ahead; unwinds the process where there is none."""
    play = _play.running
    if play is not None:
        return _ask_in_play(play, question)
    from ._terminal import ask_on_terminal

    outcome = ask_on_terminal(question)
    if outcome is None:
        raise NotInFlowError(
            f"{question} has nobody to ask: no play runs, and standard input is no terminal",
            "run the flow with `hero_logic run FILE`, or test it with pyhero.testing.run(…, prefill={…})",
        )
    return question.read(outcome)


def _ask_in_play(play: Play, question: Question) -> Any:
    request = Request(play, question.name, "pause")
    answer = request.answer()
    if answer is None:
        answer = request.ask(
            schema=question.schema,
            ui=question.ui,
            timeout_micros=question.timeout_micros,
            default=question.default,
        )
    return question.read(answer)


class Request:
    """A place in the play where an answer is waited for."""

    def __init__(
        self,
        play: Play,
        name: str,
        kind: RequestKind,
        frame: Frame | None = None,
        n: int | None = None,
        known_id: str | None = None,
    ) -> None:
        """Finds the place.

        Args:
            play: The play.
            name: What the answer is called.
            kind: What may answer.
            frame: The call in which it stands. None is the one that this code runs in.
            n: Which of its name there. None counts.
            known_id: Its id, where it was asked ahead in another place. None is the one of this place.
        """
        frame = frame or _play.frame_in(play)
        if frame is None:
            raise NotInFlowError(
                f"pause `{name}` is asked while its file is being imported", "ask it inside of a flow"
            )
        play.check_not_paused(frame)
        _check_may_pause(frame, name)
        self.play = play
        self.name = name
        self.kind: RequestKind = kind
        self.frame = frame
        if known_id is None:
            n = n or frame.occurrences.next("pause", name)
            known_id = _native.resume_id(play.version, frame.path, name, n)
        self.id = known_id

    def answer(self) -> str | None:
        """The answer that an earlier launch was given, as an outcome; shown as a replayed span."""
        answer = self.play.answers.take(self.id)
        if answer is not None:
            self._show(replayed=True)
        return answer

    @property
    def span_id(self) -> str:
        """The span in which the play stands at it."""
        return self.id[:16]

    def _show(self, *, replayed: bool) -> str:
        span_id = self.span_id
        event = _wire.span_start(span_id, self.frame.span_id, self.name, "pause", replayed=replayed)
        if replayed:
            self.play.journal.post(event, self.play.is_replaying)
        else:
            self.play.journal.send(event)
        return span_id

    def ask(
        self,
        *,
        schema: str | None = None,
        ui: str | None = None,
        timeout_micros: int | None = None,
        default: str | None = None,
        spawn: str | None = None,
        span_id: str | None = None,
    ) -> str:
        """The answer that is there already; else the play pauses here.

        Args:
            span_id: The span in which the request stands. None opens one of its own.
        """
        own_span_id = None if span_id else self._show(replayed=False)
        event = _wire.pause(
            self.id,
            self.name,
            self.kind,
            span_id or own_span_id or "",
            schema=schema,
            ui=ui,
            timeout_micros=timeout_micros,
            default=default,
            spawn=spawn,
        )
        answer = self.play.journal.request(event)
        if answer is None:
            raise self.play.mark_paused(self.frame)
        if own_span_id:
            self.play.journal.send(_wire.span_end(own_span_id, "ok"))
        return answer


def _check_may_pause(frame: Frame, name: str) -> None:
    if _play.is_in_deaf_pool():
        raise DefinitionError(
            f"pause `{name}` stands in a multiprocessing.pool.ThreadPool, which does not know of pauses",
            "use flow.map, or a concurrent.futures.ThreadPoolExecutor",
        )
    place: Frame | None = frame
    while place is not None:
        if not place.may_pause:
            raise DefinitionError(
                f'pause `{name}` stands in a step with retry="never", whose body must not be entered again',
                "pause before the step or after it",
            )
        place = place.parent
