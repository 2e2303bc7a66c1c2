"""Runs flows in the test process, without a supervisor: `run(target, prefill={"approve": True}).output`.

Steps, pauses, prefill and replay work as in a real play, on a memory that lasts as long as the run. Time
passes at once: sleeps and the waits between attempts take none (`flow.now()` runs along), and a pause with a
timeout that the prefill does not answer has expired. A flow that is spawned runs in the same process; the
output of a saved workflow is prefilled under its name, and so is what another system posts to a callback.

What a real launch has and this does not: a fresh interpreter. Module-level state of the flow's files lives on
between the replays of one run and between runs, so a flow that changes a global may pass here and fail in
production, or the other way round. And nothing ends a step that hangs: `timeout=` works for async ones only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from . import _names, _play
from ._codec import Misfit, codec_for, dumps
from ._errors import ArgumentError, ReplayMismatch, UnansweredPause
from ._flow import Flow
from ._memory_journal import MemoryJournal, Moment
from ._play import Paused, Play
from ._runner import run_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._codec import Json

__all__ = ["AskedPause", "RunResult", "run"]


@dataclass(frozen=True)
class AskedPause:
    """A pause that a run came to.

    Attributes:
        name: What the answer is called.
        schema: The JSON Schema of the answer; None accepts any JSON.
        ui: How to draw the question; None where no form is to be shown.
        payload: The answer, as JSON: that of the prefill, else the default of the pause.
        is_expired: Whether the prefill had none and its time passed.
    """

    name: str
    schema: dict[str, Any] | None
    ui: dict[str, Any] | None
    payload: Any
    is_expired: bool = False


@dataclass(frozen=True)
class RunResult:
    """What came of a run.

    Attributes:
        output: What the flow returned, as a caller would get it.
        pauses: The pauses it came to, in order.
        steps: The steps whose bodies ran to their end, by name, in the order in which they ended.
        unused_prefill: The entries of the prefill that answered nothing.
    """

    output: Any
    pauses: list[AskedPause] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    unused_prefill: list[str] = field(default_factory=list)


def run(
    target: Flow[..., Any],
    inputs: Mapping[str, Any] | None = None,
    prefill: Mapping[str, Any] | None = None,
    replay: Literal["after_every_step"] | None = None,
) -> RunResult:
    """Run a flow to its end in this process.

    Args:
        target: The flow to run as the root.
        inputs: Its arguments by name, as JSON or as values of the annotated types. None gives none.
        prefill: The answers, pause name or glob → payload. None answers nothing.
        replay: `"after_every_step"` runs the flow once in full; then, for every outcome and answer that the
            run remembered, starts it with the memory so far and abandons it after the next one; and at last
            replays it on the whole memory, where no body may run and the output must be the same. Each body
            runs twice. None runs it once.
    Returns:
        The output and what led to it.
    Raises:
        UnansweredPause: the prefill does not cover the pauses that the flow stands at.
        AnswerMismatch: a prefilled answer does not fit its pause.
        ReplayMismatch: a replay took another path or gave another output.
        Exception: whatever the flow raises.
    """
    if _play.running is not None:
        raise ArgumentError("a flow cannot be tested from inside of a play", "call it, or use flow.invoke")
    test = _Test(target, inputs or {}, prefill or {})
    journal, output = test.launch([])
    if replay == "after_every_step":
        test.replay(journal.moments, output)
    return RunResult(
        output=target.returns.decode(output),
        pauses=[AskedPause(**pause) for pause in journal.pauses],
        steps=[moment.name for moment in journal.moments if moment.is_step and moment.is_shown],
        unused_prefill=sorted(set(test.prefill) - journal.used_prefill),
    )


class _Test:
    """One flow with its inputs, launched as often as it takes."""

    def __init__(self, target: Flow[..., Any], inputs: Mapping[str, Any], prefill: Mapping[str, Any]) -> None:
        self.target = target
        self.inputs = {name: _input_json(target, name, value) for name, value in inputs.items()}
        self.prefill = {
            name: _plain_json(f"prefill[{dumps(name)}]", value) for name, value in prefill.items()
        }

    def launch(self, memory: list[Moment]) -> tuple[MemoryJournal, Json]:
        """Runs the flow on what is remembered."""
        journal = MemoryJournal(memory, self.prefill, is_abandoned=False)
        return journal, self._run(journal)

    def comes_further(self, memory: list[Moment]) -> bool:
        """Runs the flow until it has something more to remember, and tells whether it had."""
        journal = MemoryJournal(memory, self.prefill, is_abandoned=True)
        try:
            self._run(journal)
        except BaseException:
            # `Abandoned`, or what the flow made of it: a group of exceptions, or another branch's failure.
            if not journal.moments:
                raise
        return bool(journal.moments)

    def _run(self, journal: MemoryJournal) -> Json:
        play = self._play(journal)
        _play.running = play
        try:
            return run_root(play, self.target, self.inputs)
        except Paused:
            raise _unanswered(journal) from None
        finally:
            _play.running = None

    def _play(self, journal: MemoryJournal) -> Play:
        source = self.target.source
        directory = source.file.rpartition("/")[0] if source else ""
        return Play(
            sid="test",
            version="test",
            workflow=self.target.name,
            launch=1 if journal.is_fresh else 2,
            bundle_dir=directory,
            journal=journal,
            steps=journal.steps,
            answers=journal.answers,
            names=_names.Names(source.file if source else None),
            is_hurried=True,
        )

    def replay(self, moments: list[Moment], output: Json) -> None:
        """Stops and goes on after each moment, then checks the replay of all."""
        for n_remembered in range(len(moments)):
            try:
                if self.comes_further(moments[:n_remembered]):
                    continue
            except UnansweredPause as error:
                raise _mismatch(moments[:n_remembered], f"stood at other pauses: {error.message}") from None
            raise _mismatch(moments[:n_remembered], f"did not come to `{moments[n_remembered].name}`")
        journal, again = self.launch(moments)
        if journal.moments:
            raise _mismatch(
                moments, f"ran `{journal.moments[0].name}` again: it was called with other arguments"
            )
        if dumps(again) != dumps(output):
            raise _mismatch(moments, f"returned {dumps(again)} and not {dumps(output)}")


def _input_json(target: Flow[..., Any], name: str, value: Any) -> Json:
    codec = target.parameters.codecs.get(name)
    if codec is not None:
        try:
            return codec.encode(value)
        except Misfit:
            pass  # then it is JSON, or a misfit that the flow will tell of
    return _plain_json(name, value)


def _plain_json(place: str, value: Any) -> Json:
    try:
        return codec_for(Any).encode(value)
    except Misfit as misfit:
        raise ArgumentError(f"this is no JSON: {misfit.seen_from(place)}") from None


def _unanswered(journal: MemoryJournal) -> UnansweredPause:
    names = ", ".join(f"`{name}`" for name in journal.unanswered)
    return UnansweredPause(
        f"the flow stands at {names}, and the prefill does not answer",
        f'prefill={{"{journal.unanswered[0]}": …}}',
    )


def _mismatch(remembered: list[Moment], what: str) -> ReplayMismatch:
    after = f"after `{remembered[-1].name}`" if remembered else "from the start"
    return ReplayMismatch(
        f"the flow was replayed {after} and {what}",
        "what differs between runs (time, chance, files, globals) belongs inside of a step",
    )
