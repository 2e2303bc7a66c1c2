"""The process of a play dies just before and just behind the moment from which a step counts as done."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.hero import Json, Server

from . import counts
from .checker import Tally, check, check_no_panic
from .history import Ledger

DEATHS = Path(__file__).parent / "flows" / "deaths.py"

BEFORE, ABOUT, BEHIND = (f"{where} the acknowledgement" for where in ("before", "about", "behind"))

ABOUT_SECONDS_MAX = 0.004
"""A step, from its effect to its acknowledgement, takes about half of that."""

DEATHS_PER_PLAY = 25


@dataclass(frozen=True)
class MortalPlay:
    """A play, and where its process dies."""

    sid: str
    plan: list[tuple[str, float]]
    deaths_dir: Path


def test_a_process_that_dies_about_an_acknowledgement_repeats_only_what_was_not_acknowledged(
    server: Server, ledger: Ledger, summary: Callable[[str], None]
) -> None:
    deaths = _deaths(counts.chances("deaths"))
    n_plays = -(-len(deaths) // DEATHS_PER_PLAY)
    plays = [_start(server, ledger, number, deaths[number::n_plays]) for number in range(n_plays)]
    ended = [server.ended(play.sid) for play in plays]
    check(ledger.history(), ended)
    check_no_panic(server.hero)
    tally = Tally(len(deaths))
    for play, end in zip(plays, ended, strict=True):
        _check_deaths(play, end, ledger, tally)
    kinds = Counter(dies for dies, _ in deaths)
    summary(f"process killed: {tally}, {', '.join(f'{n} {where}' for where, n in kinds.items())}")
    tally.check()


def _deaths(chances: random.Random) -> list[tuple[str, float]]:
    about = counts.KILLS_BEFORE_ACK // 2
    kinds = (
        [ABOUT] * about + [BEFORE] * (counts.KILLS_BEFORE_ACK - about) + [BEHIND] * counts.KILLS_BEHIND_ACK
    )
    chances.shuffle(kinds)
    return [(dies, chances.uniform(0, ABOUT_SECONDS_MAX)) for dies in kinds]


def _start(server: Server, ledger: Ledger, number: int, plan: list[tuple[str, float]]) -> MortalPlay:
    deaths_dir = server.hero.home / f"deaths {number}"
    deaths_dir.mkdir()
    inputs = {"ledger": str(ledger.socket), "deaths_dir": str(deaths_dir), "plan": plan}
    play = server.call("play_start", file=str(DEATHS), flow="mortal", input_data=inputs)
    ledger.report("started", play=play["sid"], expected=len(plan))
    return MortalPlay(play["sid"], plan, deaths_dir)


def _check_deaths(play: MortalPlay, end: Json, ledger: Ledger, tally: Tally) -> None:
    """Holds each step to how often it must have run."""
    died_at = {path.name for path in play.deaths_dir.iterdir()}
    events = [event for event in ledger.history() if event.get("play") == play.sid]
    n_effects = Counter(event["step"] for event in events if event["what"] == "effect")
    for index, (dies, _) in enumerate(play.plan):
        step = f"step {index}"
        tally.landed(in_flight=step in died_at)
        possible = {BEFORE: {2}, ABOUT: {1, 2}, BEHIND: {1}}[dies]
        assert n_effects[step] in possible, (
            f"{step} of {play.sid}, which died {dies}, ran {n_effects[step]} times"
        )
    assert end["launch"] == len(died_at) + 1
