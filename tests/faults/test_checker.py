"""The checker sees each kind of broken promise; else the fault tests would prove nothing."""

from typing import Any

import pytest

from .checker import Tally, Violation, check
from .history import Event, Ledger

PLAY = {
    "sid": "p",
    "status": "success",
    "output_data": 3,
    "received_resumes": [{"name": "q", "payload": 1}],
}


def event(what: str, **details: Any) -> Event:
    return {"what": what, "play": "p", "launch": 1, "pid": 1, **details}


GOOD = [
    event("effect", step="a", nonce="first"),
    event("started", expected=3),
    event("effect", step="a", nonce="second"),
    event("acked", step="a", nonce="second"),
    event("resumed", pause="q", answer=1),
    event("acked", step="a", nonce="second"),
    event("answered", pause="q", answer=1),
]


def test_a_good_history_passes() -> None:
    check(GOOD, [PLAY])


@pytest.mark.parametrize(
    ("history", "play", "why"),
    [
        ([*GOOD, event("effect", step="a", nonce="third")], PLAY, "ran again"),
        ([*GOOD, event("acked", step="a", nonce="first")], PLAY, "another outcome"),
        ([*GOOD, event("acked", step="b", nonce="first")], PLAY, "no effect made"),
        ([*GOOD, event("answered", pause="q", answer=2)], PLAY, "altered"),
        ([*GOOD, event("resumed", pause="other", answer=1)], PLAY, "an answer was lost"),
        ([*GOOD, event("started", play="gone", expected=1)], PLAY, "an accepted play was lost"),
        (GOOD, PLAY | {"output_data": 4}, "not 3"),
        (GOOD, PLAY | {"status": "failed"}, "not 3"),
        (GOOD, PLAY | {"status": "running"}, "still running"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_promise_is_seen(history: list[Event], play: dict[str, Any], why: str) -> None:
    with pytest.raises(Violation, match=why):
        check(history, [play])


@pytest.mark.parametrize(
    ("n_faults", "n_in_flight", "why"), [(9, 9, "9 of 10 faults"), (10, 8, "the run is void")]
)
def test_a_run_without_work_in_flight_is_void(n_faults: int, n_in_flight: int, why: str) -> None:
    tally = Tally(n_planned=10, n_faults=n_faults, n_in_flight=n_in_flight)
    with pytest.raises(Violation, match=why):
        tally.check()


def test_the_ledger_keeps_what_it_is_told_in_order(ledger: Ledger) -> None:
    for number in range(100):
        ledger.report("fault", number=number)
    assert ledger.history() == [{"what": "fault", "number": number} for number in range(100)]
