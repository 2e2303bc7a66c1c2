"""What must hold, whatever was broken: judged by the ledger's history and by what the server shows then."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support import processes
from support.hero import Hero, Json
from support.waiting import eventually

from .history import Event

IN_FLIGHT_SHARE_MIN = 0.9
"""Faults that hit nothing prove nothing: with fewer than this in flight, a run is void."""

ORPHAN_SECONDS_MAX = 5.0
"""How long after the end of a supervisor its processes may still be seen."""


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Tally:
    """Counts the faults of a run."""

    n_planned: int
    n_faults: int = 0
    n_in_flight: int = 0

    def landed(self, *, in_flight: bool) -> None:
        """A fault was brought about; *in_flight* where it could interrupt something."""
        self.n_faults += 1
        self.n_in_flight += in_flight

    def __str__(self) -> str:
        return f"{self.n_faults} times ({self.n_in_flight} with work in flight)"

    def check(self) -> None:
        """Raises `Violation` where the run is void."""
        _require(self.n_faults == self.n_planned, f"{self.n_faults} of {self.n_planned} faults came about")
        _require(
            self.n_in_flight >= IN_FLIGHT_SHARE_MIN * self.n_planned,
            f"the run is void: only {self.n_in_flight} of {self.n_planned} faults had work in flight",
        )


def check(history: list[Event], plays: list[Json]) -> None:
    """Holds history and plays (as `play_get` shows them) to the promises.

    Raises:
        Violation: one of them was broken.
    """
    check_nothing_acked_ran_again(history)
    check_one_outcome_of_each_step(history)
    check_one_answer_of_each_pause(history, plays)
    check_every_start_has_settled(history, plays)
    check_outputs(history, plays)


def check_nothing_acked_ran_again(history: Iterable[Event]) -> None:
    """Once a call went on, its step has no effect any more."""
    acked: set[tuple[str, str]] = set()
    for event in history:
        if event["what"] == "acked":
            acked.add(_step(event))
        elif event["what"] == "effect":
            _require(_step(event) not in acked, f"a step ran again after its acknowledgement: {event}")


def check_one_outcome_of_each_step(history: Iterable[Event]) -> None:
    """Every launch sees the same outcome of a step, and one that really ran."""
    effects: dict[tuple[str, str], set[str]] = {}
    outcomes: dict[tuple[str, str], str] = {}
    for event in history:
        if event["what"] == "effect":
            effects.setdefault(_step(event), set()).add(event["nonce"])
        elif event["what"] == "acked":
            step, nonce = _step(event), event["nonce"]
            _require(nonce in effects.get(step, ()), f"an outcome that no effect made: {event}")
            _require(outcomes.setdefault(step, nonce) == nonce, f"another outcome than before: {event}")


def check_one_answer_of_each_pause(history: Iterable[Event], plays: Iterable[Json]) -> None:
    """An accepted answer is stored as it was given, and every launch hears it."""
    stored = {
        (play["sid"], request["name"]): request["payload"]
        for play in plays
        for request in play["received_resumes"]
    }
    for event in history:
        if event["what"] in {"resumed", "answered"}:
            pause = (event["play"], event["pause"])
            _require(pause in stored, f"an answer was lost: {event}")
            _require(stored[pause] == event["answer"], f"an answer was altered to {stored[pause]!r}: {event}")


def check_every_start_has_settled(history: Iterable[Event], plays: Iterable[Json]) -> None:
    """No accepted play is lost, and none stands still."""
    status = {play["sid"]: play["status"] for play in plays}
    for event in history:
        if event["what"] == "started":
            _require(event["play"] in status, f"an accepted play was lost: {event}")
    for sid, now in status.items():
        _require(now not in {"pending", "running"}, f"play {sid} is still {now}")


def check_outputs(history: Iterable[Event], plays: Iterable[Json]) -> None:
    """Every play that was started with an expected output has it."""
    expected = {event["play"]: event["expected"] for event in history if event["what"] == "started"}
    for play in plays:
        if play["sid"] in expected:
            output = (play["status"], play.get("output_data"))
            _require(
                output == ("success", expected[play["sid"]]),
                f"play {play['sid']} is {output}, not {expected[play['sid']]!r}: {play.get('error')}",
            )


def check_nothing_is_left(home: Path) -> None:
    """No process of the data directory outlives the supervisor."""
    eventually(
        lambda: not processes.belonging_to(home),
        f"the processes of {home} to be gone",
        deadline_seconds=ORPHAN_SECONDS_MAX,
    )


def check_no_panic(hero: Hero) -> None:
    """No fault makes a program panic."""
    for log in hero.home.glob("*.log"):
        _require("panicked" not in log.read_text(), f"a program panicked:\n{log.read_text()}")


def _step(event: Event) -> tuple[str, str]:
    return event["play"], event["step"]


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
