"""The server is killed at each point where it changes something: a write, a sync, a rename, an answer."""

import http.client
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from support.hero import Hero, Json, Server, request_named

from . import counts
from .checker import Tally, check, check_no_panic, check_nothing_is_left
from .crowd import PROGRAMS, all_items, answer_to
from .history import Ledger
from .traced import NEVER, Death, Traced, another_home, spread

FLOW = "three_steps_and_a_question"
OUTPUT = 1 + 2 + 3 + answer_to("approve")

SECOND_DEATH_SHARE = 0.5
"""How many of the killed servers are followed by one that is killed as well, while it recovers."""

RECOVERY_CALLS = 100
"""About as many points as a recovery has."""


def test_a_server_killed_at_any_point_goes_on_where_it_stood(
    hero: Hero, ledger: Ledger, summary: Callable[[str], None]
) -> None:
    n_calls = _count(hero, ledger)
    assert n_calls > 100, "the scenario hardly does anything"
    chances = counts.chances("points")
    points = spread(n_calls, counts.POINTS, chances) * counts.POINT_ROUNDS
    tally = Tally(len(points))
    hit: Counter[str] = Counter()
    broken: list[str] = []
    for point in points:
        n_events = len(ledger.history())
        with another_home() as home:
            deaths = [_kill_in_scenario(home, ledger, point)]
            if chances.random() < SECOND_DEATH_SHARE:
                deaths.append(_kill_in_recovery(home, ledger, chances.randint(1, RECOVERY_CALLS)))
            tally.landed(in_flight=deaths[0].call is not None)
            hit[deaths[0].call or "missed"] += 1
            try:
                check(ledger.history()[n_events:], _finish(home, ledger))
            except AssertionError as violation:
                broken.append(f"killed at {' and at '.join(map(str, deaths))}: {violation}")
    summary(f"server killed at a point: {tally}, of {n_calls} points, {dict(hit.most_common())}")
    tally.check()
    assert not broken, f"{len(broken)} of {len(points)}\n" + "\n\n".join(broken)


# --- The scenario ---------------------------------------------------------------------------------


def _count(hero: Hero, ledger: Ledger) -> int:
    """How many points an undisturbed run of the scenario has."""
    traced = Traced(hero, NEVER)
    _play_scenario(traced.server, ledger)
    assert traced.server.stop() == 0
    return len(traced.calls())


def _kill_in_scenario(hero: Hero, ledger: Ledger, point: int) -> Death:
    """Runs the scenario with a server that dies at this point."""
    traced = Traced(hero, point)
    with suppress(OSError, http.client.HTTPException):
        _play_scenario(traced.server, ledger)
        traced.server.stop()
    return traced.death()


def _kill_in_recovery(hero: Hero, ledger: Ledger, point: int) -> Death:
    """Starts the server again, to see to the end what is left, and lets it die at this point of that."""
    traced = Traced(hero, point)
    with suppress(OSError, http.client.HTTPException):
        if traced.server.process.poll() is None:
            _settle_all(traced.server, ledger)
            traced.server.stop()
    return traced.death()


def _finish(hero: Hero, ledger: Ledger) -> list[Json]:
    """Starts the server once more, undisturbed, and returns what has become of its plays."""
    with hero.server() as server:
        plays = _settle_all(server, ledger)
    check_nothing_is_left(hero.home)
    check_no_panic(hero)
    return plays


def _play_scenario(server: Server, ledger: Ledger) -> None:
    """A play with three steps and a question, started, answered and seen to its end."""
    if server.process.poll() is not None:
        return
    inputs = {"ledger": str(ledger.socket)}
    play = server.call("play_start", file=str(PROGRAMS), flow=FLOW, input_data=inputs)
    ledger.report("started", play=play["sid"], expected=OUTPUT)
    _settle(server, ledger, play)


def _settle_all(server: Server, ledger: Ledger) -> list[Json]:
    """Sees to the end what the server has, and returns it."""
    return [_settle(server, ledger, play) for play in list(all_items(server.socket, "play_list"))]


def _settle(server: Server, ledger: Ledger, play: Json) -> Json:
    play = server.settled(play["sid"])
    if play["status"] != "awaiting_resume":
        return play
    answer = answer_to("approve")
    assert request_named(play, "approve")
    server.resume(play, "approve", answer)
    ledger.report("resumed", play=play["sid"], pause="approve", answer=answer)
    return server.ended(play["sid"])
