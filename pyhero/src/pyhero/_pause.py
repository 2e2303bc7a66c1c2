"""Pauses: a question is stored, the process ends, and the answer is there on replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import _native, _outcome, _play, _wire
from ._codec import Misfit, codec_for, dumps, schema_of
from ._errors import AnswerMismatch, ArgumentError, NotInFlowError
from ._play import Play

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._codec import Codec


class Question:
    """What a pause asks."""

    def __init__(self, name: str, schema: object, ui: Mapping[str, Any] | None) -> None:
        if not _native.is_pause_name(name):
            raise ArgumentError(
                f"a pause cannot be called `{name}`",
                "a letter or _, then letters, digits, `_`, `.`, `-`, then perhaps `[…]`; 128 at most",
            )
        self.name = name
        self.codec: Codec = codec_for(Any if schema is None or isinstance(schema, dict) else schema)
        self.schema = _as_json(
            "schema", schema if isinstance(schema, dict) else schema_of(self.codec) or None
        )
        self.ui = _as_json("ui", ui)

    def read(self, outcome: str) -> Any:
        """Returns or raises what the answer says; `AnswerMismatch` where it does not fit the question."""
        payload = json.loads(outcome)
        misfit = None
        if "returned" in payload:
            misfit = _native.check_answer(self.schema, dumps(payload["returned"]))
        if misfit is None:
            try:
                return _outcome.open_outcome(outcome, self.codec)
            except Misfit as error:
                misfit = error.seen_from(self.name)
        raise AnswerMismatch(
            f"pause `{self.name}` holds an answer that does not fit its schema: {misfit}",
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
            f"pause `{question.name}` has nobody to ask: no play runs, and standard input is no terminal",
            "run the flow with `hero_logic run FILE`, or test it with pyhero.testing.run(…, prefill={…})",
        )
    return question.read(outcome)


def _ask_in_play(play: Play, question: Question) -> Any:
    frame = _play.frame_in(play)
    if frame is None:
        raise NotInFlowError(
            f"pause `{question.name}` is asked while its file is being imported", "ask it inside of a flow"
        )
    play.check_not_paused(frame)
    n = frame.occurrences.next("pause", question.name)
    resume_id = _native.resume_id(play.version, frame.path, question.name, n)
    answer = play.answers.take(resume_id)
    span_id = resume_id[:16]
    is_known = answer is not None
    play.journal.send(_wire.span_start(span_id, frame.span_id, question.name, "pause", replayed=is_known))
    if answer is None:
        answer = play.journal.request(
            _wire.pause(resume_id, question.name, question.schema, question.ui, span_id)
        )
        if answer is None:
            raise play.mark_paused(frame)
        play.journal.send(_wire.span_end(span_id, "ok"))
    return question.read(answer)
