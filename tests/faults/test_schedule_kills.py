"""The server is killed at each point between the firing of a schedule and the first step of its play."""

import http.client
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from support.hero import Hero, Json, Server, items
from support.waiting import eventually

from . import counts
from .checker import Tally, check, check_no_panic, check_nothing_is_left
from .crowd import PROGRAMS, answer_to
from .history import Ledger
from .traced import NEVER, Death, Traced, another_home, spread

FLOW = "three_steps_and_a_question"
OUTPUT = 1 + 2 + 3 + answer_to("approve")
SCHEDULE = "once"

SECOND_DEATH_SHARE = 0.5
"""How many of the killed servers are followed by one that is killed as well, while it recovers."""

RECOVERY_CALLS = 60


def test_a_crash_between_firing_and_first_step_gives_one_play(
    hero: Hero, ledger: Ledger, summary: Callable[[str], None]
) -> None:
    _make_due(hero, ledger)
    n_calls = _count(hero, ledger)
    assert n_calls > 20, "the scenario hardly does anything"
    chances = counts.chances("schedule points")
    points = spread(n_calls, counts.SCHEDULE_POINTS, chances) * counts.SCHEDULE_POINT_ROUNDS
    tally = Tally(len(points))
    hit: Counter[str] = Counter()
    broken: list[str] = []
    for point in points:
        n_events = len(ledger.history())
        with another_home() as home:
            shutil.copytree(hero.data_dir, home.data_dir)
            deaths = [_kill(home, ledger, point)]
            if chances.random() < SECOND_DEATH_SHARE:
                deaths.append(_kill(home, ledger, chances.randint(1, RECOVERY_CALLS)))
            tally.landed(in_flight=deaths[0].call is not None)
            hit[deaths[0].call or "missed"] += 1
            try:
                _check(home, ledger, n_events)
            except AssertionError as violation:
                broken.append(f"killed at {' and at '.join(map(str, deaths))}: {violation}")
    told = f"of {n_calls} points, {dict(hit.most_common())}"
    summary(f"server killed between firing and first step: {tally}, {told}")
    tally.check()
    assert not broken, f"{len(broken)} of {len(points)}\n" + "\n\n".join(broken)


def _make_due(hero: Hero, ledger: Ledger) -> None:
    """Leaves a schedule in the data directory that is due and has not fired."""
    with hero.server() as server:
        server.call("workflow_save", name="report", file=str(PROGRAMS), flow=FLOW)
        due = time.time_ns() // 1000 + 3_000_000
        inputs = {"ledger": str(ledger.socket)}
        server.call("schedule_add", workflow="report", name=SCHEDULE, at=due, input_data=inputs)
    assert time.time_ns() // 1000 < due, "the server was too slow to stop before the schedule is due"
    eventually(lambda: time.time_ns() // 1000 > due, "the schedule to be due")


def _count(hero: Hero, ledger: Ledger) -> int:
    """How many points an undisturbed run has up to the first step."""
    with another_home() as home:
        shutil.copytree(hero.data_dir, home.data_dir)
        traced = Traced(home, NEVER)
        _first_step(ledger, 0)
        n_calls = len(traced.calls())
        traced.server.stop()
    return n_calls


def _first_step(ledger: Ledger, n_events: int) -> None:
    def has_acked() -> bool:
        return any(event["what"] == "acked" for event in ledger.history()[n_events:])

    eventually(has_acked, "the first step")


def _kill(home: Hero, ledger: Ledger, point: int) -> Death:
    """Runs a server that dies at this point."""
    traced = Traced(home, point)
    with suppress(OSError, http.client.HTTPException):
        if traced.server.process.poll() is None:
            _settle(traced.server)
            traced.server.stop()
    return traced.death()


def _settle(server: Server) -> Json:
    """Waits until the one due time has its play, and sees that to its end; returns the play."""

    def started() -> Json | None:
        (item, *_) = items(server.call("schedule_history", schedule=SCHEDULE)) or [None]
        return item and isinstance(item["firing"]["outcome"], dict) and item["firing"]["outcome"]

    outcome: Json = eventually(started, "the firing to start its play")
    play = server.settled(outcome["started"]["play_sid"])
    if play["status"] != "awaiting_resume":
        return play
    server.resume(play, "approve", answer_to("approve"))
    return server.ended(play["sid"])


def _check(home: Hero, ledger: Ledger, n_events: int) -> None:
    """Starts the server once more, undisturbed: there is one play, it is whole, and the history says so."""
    with home.server() as server:
        play = _settle(server)
        plays = items(server.call("play_list"))
        history = items(server.call("schedule_history", schedule=SCHEDULE))
        schedule = server.call("schedule_get", schedule=SCHEDULE)["schedule"]
    assert [listed["sid"] for listed in plays] == [play["sid"]], plays
    ((firing, status),) = ((item["firing"], item["play_status"]) for item in history)
    assert (status, firing["id"]) == ("success", play["idempotency_key"])
    assert schedule["state"] == "retired"
    ledger.report("started", play=play["sid"], expected=OUTPUT)
    ledger.report("resumed", play=play["sid"], pause="approve", answer=answer_to("approve"))
    check(ledger.history()[n_events:], [play])
    check_nothing_is_left(home.home)
    check_no_panic(home)
