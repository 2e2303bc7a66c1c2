"""The supervisor is killed at any moment; nothing that was acknowledged is lost or done twice."""

import random
import time
from collections import Counter
from collections.abc import Callable

from support import processes
from support.hero import Hero, Server
from support.waiting import eventually

from . import counts
from .checker import Tally, check, check_no_panic, check_nothing_is_left
from .crowd import OUTPUTS, PROGRAMS, all_items, crowd
from .history import Ledger

PLAYS_IN_FLIGHT = 6

STARTUP_SHARE = 0.1
"""How many of the kills hit a server that may not have answered yet."""

STARTUP_SECONDS_MAX = 0.1
LIFE_SECONDS_MAX = 0.6
"""How long a server lives, from its start or from its first launch."""


def test_a_server_killed_at_any_moment_loses_and_repeats_nothing(
    hero: Hero, ledger: Ledger, summary: Callable[[str], None]
) -> None:
    chances = counts.chances("server kills")
    tally = Tally(counts.SUPERVISOR_KILLS)
    server = hero.start_server()
    with crowd(hero, ledger, counts.chances("plays"), PLAYS_IN_FLIGHT) as plays:
        for _ in range(tally.n_planned):
            tally.landed(in_flight=_live_until_some_moment(server, chances))
            server.kill()
            ledger.report("fault", fault="server killed")
            server = _start_again(hero, chances)
        eventually(server.answers_or_died, "the last server to answer")
        ended = plays.settle()
    server.stop()
    check_nothing_is_left(hero.home)
    check(ledger.history(), ended)
    check_no_panic(hero)
    summary(f"server killed: {tally}, {len(ended)} plays, {_effects(ledger)}")
    tally.check()


def test_a_server_and_its_processes_killed_at_once_lose_and_repeat_nothing(
    hero: Hero, ledger: Ledger, summary: Callable[[str], None]
) -> None:
    chances = counts.chances("kills of both")
    tally = Tally(counts.KILLS_OF_BOTH)
    server = hero.start_server()
    with crowd(hero, ledger, counts.chances("plays of both"), PLAYS_IN_FLIGHT) as plays:
        for _ in range(tally.n_planned):
            tally.landed(in_flight=_live_until_some_moment(server, chances))
            doomed = processes.belonging_to(hero.home)
            chances.shuffle(doomed)
            processes.kill(doomed)
            server.process.wait()
            ledger.report("fault", fault="server and processes killed")
            server = _start_again(hero, chances)
        eventually(server.answers_or_died, "the last server to answer")
        ended = plays.settle()
    server.stop()
    check_nothing_is_left(hero.home)
    check(ledger.history(), ended)
    check_no_panic(hero)
    summary(f"server and processes killed: {tally}, {len(ended)} plays, {_effects(ledger)}")
    tally.check()


def _start_again(hero: Hero, chances: random.Random) -> Server:
    """A new server, sometimes only after the processes of the old one have gone, sometimes not waited for."""
    if chances.random() < 0.2:
        check_nothing_is_left(hero.home)
    if chances.random() < STARTUP_SHARE:
        return Server(hero, hero.spawn("hero_logic_server"))
    return hero.start_server(HERO_LAUNCHES=chances.choice(["fork", "spawn"]))


def _live_until_some_moment(server: Server, chances: random.Random) -> bool:
    """Lets it be for a while; returns whether it then has something to lose."""
    if not server.answers_or_died():
        time.sleep(chances.uniform(0, STARTUP_SECONDS_MAX))
        return server.process.poll() is None
    for seconds in (0.0, chances.uniform(0, LIFE_SECONDS_MAX)):
        time.sleep(seconds)
        eventually(lambda: processes.launches_in(server.hero.home), "a launch under way")
    return bool(processes.launches_in(server.hero.home))


def test_a_killed_run_loses_and_repeats_nothing(
    hero: Hero, ledger: Ledger, summary: Callable[[str], None]
) -> None:
    chances = counts.chances("run kills")
    tally = Tally(counts.EMBEDDED_KILLS)
    flows = [name for name in OUTPUTS if name != "questions"]
    for number in range(tally.n_planned):
        _kill_a_run(hero, ledger, flows[number % len(flows)], chances, tally)
    with hero.server() as server:
        plays = list(all_items(server.socket, "play_list"))
        ended = [server.ended(play["sid"]) for play in plays]
    check_nothing_is_left(hero.home)
    check(ledger.history(), ended)
    check_no_panic(hero)
    summary(f"run killed: {tally}, {len(ended)} plays, {_effects(ledger)}")
    tally.check()


def _kill_a_run(hero: Hero, ledger: Ledger, flow: str, chances: random.Random, tally: Tally) -> None:
    n, n_reports = chances.randint(8, 16), chances.randint(1, 12)
    known = set(_reports_of_each_play(ledger))
    inputs = ["--input", f"ledger={ledger.socket}", "--input", f"n={n}"]
    run = hero.spawn("hero_logic", "run", f"{PROGRAMS}:{flow}", *inputs)
    play = eventually(lambda: set(_reports_of_each_play(ledger)) - known, "the play to begin").pop()
    ledger.report("started", play=play, flow=flow, expected=OUTPUTS[flow](n))
    eventually(lambda: _reports_of_each_play(ledger)[play] >= n_reports, "the play to be under way")
    tally.landed(in_flight=run.poll() is None)
    run.kill()
    run.wait()


def _reports_of_each_play(ledger: Ledger) -> Counter[str]:
    return Counter(event["play"] for event in ledger.history() if event["what"] in {"effect", "acked"})


def _effects(ledger: Ledger) -> str:
    """How many effects there were, and how many of them again."""
    effects = [(event["play"], event["step"]) for event in ledger.history() if event["what"] == "effect"]
    n_repeated = len(effects) - len(set(effects))
    return f"{len(effects)} effects, {n_repeated} of them repeats of what was not acknowledged"
