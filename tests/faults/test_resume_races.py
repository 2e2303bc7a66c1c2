"""Answers that race with each other and with a cancel, or come too early or late: one wins and stays."""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from support.hero import Json, Server, request_named
from support.rpc import RpcFailure

from . import counts
from .checker import Tally, check_no_panic
from .crowd import all_items

CALLERS = 64

ASKS = """
@flow
def asks() -> object:
    return flow.pause("q")
"""

WON, ALREADY, CANCELLED = "won", "already", "cancelled"

Move = Callable[[Server, Json], str]
"""What a caller does to a play at a question. Returns what came of it: a word from above or an error kind."""


def answers(payload: Json) -> Move:
    """Answers the question."""

    def move(server: Server, play: Json) -> str:
        return ALREADY if server.resume(play, "q", payload).get("already") else WON

    return move


def cancels(server: Server, play: Json) -> str:
    """Cancels the play."""
    assert server.call("play_cancel", play_sid=play["sid"])["status"] == "cancelled"
    return CANCELLED


# --- Races ----------------------------------------------------------------------------------------


def equal_answers(server: Server, play: Json, results: list[str], ended: Json) -> None:
    assert Counter(results) == {WON: 1, ALREADY: CALLERS - 1}
    assert ended["status"] == "success", json.dumps(ended)
    assert (ended["output_data"], ended["launch"]) == ({"same": 1.0}, 2)


def different_answers(server: Server, play: Json, results: list[str], ended: Json) -> None:
    assert Counter(results) == {WON: 1, "resume_conflict": CALLERS - 1}
    assert ended["status"] == "success", json.dumps(ended)
    assert (ended["output_data"], ended["launch"]) == (results.index(WON), 2)


def answers_and_a_cancel(server: Server, play: Json, results: list[str], ended: Json) -> None:
    assert results.count(WON) <= 1
    assert set(results) <= {WON, CANCELLED, "resume_conflict", "play_ended"}, results
    if CANCELLED in results:
        assert ended["status"] == "cancelled"
    else:
        assert ended["status"] == "success", json.dumps(ended)
        assert ended["output_data"] == results.index(WON)


RACES: dict[Callable[[Server, Json, list[str], Json], None], list[Move]] = {
    equal_answers: [answers({"same": 1.0})] * CALLERS,
    different_answers: [answers(number) for number in range(CALLERS)],
    answers_and_a_cancel: [*[answers(number) for number in range(CALLERS - 2)], cancels, cancels],
}


@pytest.mark.parametrize("judge", RACES, ids=lambda judge: judge.__name__)
def test_one_of_many_moves_at_once_wins(
    server: Server,
    summary: Callable[[str], None],
    judge: Callable[[Server, Json, list[str], Json], None],
) -> None:
    chances = counts.chances(judge.__name__)
    tally = Tally(-(-counts.RESUME_RACES // len(RACES)))
    start = Barrier(CALLERS)
    with ThreadPoolExecutor(CALLERS) as callers:

        def race(play: Json) -> list[str]:
            moves = list(enumerate(RACES[judge]))
            chances.shuffle(moves)
            by_number = dict(callers.map(lambda move: (move[0], attempt(move[1], play)), moves))
            return [by_number[number] for number in range(CALLERS)]

        def attempt(move: Move, play: Json) -> str:
            start.wait()
            try:
                return move(server, play)
            except RpcFailure as failure:
                return failure.kind

        for play in _paused_plays(server, tally.n_planned):
            results = race(play)
            ended = server.ended(play["sid"])
            judge(server, play, results, ended)
            _check_the_answer_stays(server, ended, chances)
            tally.landed(in_flight=len(set(results)) > 1)
    check_no_panic(server.hero)
    summary(f"raced {CALLERS} times at once, {judge.__name__.replace('_', ' ')}: {tally}")
    tally.check()


def _paused_plays(server: Server, n_plays: int) -> Iterator[Json]:
    """Plays at a question, started some ahead so that nobody has to wait for a launch."""
    ahead: list[Json] = []
    for number in range(n_plays):
        while len(ahead) < min(8, n_plays - number):
            ahead.append(server.start(ASKS))
        yield server.settled(ahead.pop(0)["sid"])


def _check_the_answer_stays(server: Server, ended: Json, chances: random.Random) -> None:
    """Nothing that comes late changes an answer, or the end of a play."""
    if not ended["received_resumes"]:
        return
    (request,) = ended["received_resumes"]
    late = {"late": chances.random()}
    with pytest.raises(RpcFailure) as refused:
        _resume(server, ended["sid"], request["id"], late)
    assert refused.value.kind == "resume_conflict"
    assert _resume(server, ended["sid"], request["id"], request["payload"])["already"] is True
    assert server.call("play_get", play_sid=ended["sid"]) == ended


# --- Against the clock --------------------------------------------------------------------------------

WAIT_SECONDS = 2.0
ABOUT_SECONDS = 0.02
"""How far from the end of the wait the answers come."""

WAITS = f"""
@flow
def waits() -> object:
    return flow.pause("q", timeout={WAIT_SECONDS}, default="nobody")
"""

ANSWERS_PER_WAIT = 8
WAITS_AT_ONCE = 8


def test_an_answer_and_the_end_of_the_wait_leave_one_of_both(
    server: Server, summary: Callable[[str], None]
) -> None:
    chances = counts.chances("waits")
    tally = Tally(counts.WAIT_RACES)
    winners: Counter[str] = Counter()
    with ThreadPoolExecutor(WAITS_AT_ONCE * ANSWERS_PER_WAIT) as callers:
        for _ in range(tally.n_planned // WAITS_AT_ONCE):
            sids = [server.start(WAITS)["sid"] for _ in range(WAITS_AT_ONCE)]
            plays = [server.settled(sid) for sid in sids]
            moves = [_answers_about_the_end(server, play, chances) for play in plays]
            results = [[callers.submit(move) for move in of_play] for of_play in moves]
            for play, outcomes in zip(plays, results, strict=True):
                tally.landed(in_flight=play["status"] == "awaiting_resume")
                said = [outcome.result() for outcome in outcomes]
                winners[_judge_wait(server.ended(play["sid"]), said)] += 1
    summary(f"raced with the end of a wait: {tally}, {dict(winners)}")
    tally.check()


def _answers_about_the_end(server: Server, play: Json, chances: random.Random) -> list[Callable[[], str]]:
    """Callers that answer just before, at and just after the end of the wait, each otherwise."""
    (request,) = play["pending_resumes"] or play["received_resumes"]
    first = request["asked_at"] / 1e6 + WAIT_SECONDS + chances.uniform(-ABOUT_SECONDS, ABOUT_SECONDS)

    def caller(number: int, moment: float) -> Callable[[], str]:
        def answer() -> str:
            time.sleep(max(0.0, moment - time.time()))
            try:
                _resume(server, play["sid"], request["id"], number)
            except RpcFailure as failure:
                return failure.kind
            return WON

        return answer

    return [
        caller(number, first + chances.uniform(0, ABOUT_SECONDS / 2)) for number in range(ANSWERS_PER_WAIT)
    ]


def _judge_wait(ended: Json, results: list[str]) -> str:
    """Who won."""
    assert ended["status"] == "success" and ended["launch"] == 2, ended
    (request,) = ended["received_resumes"]
    assert request["payload"] == ended["output_data"]
    if ended["output_data"] == "nobody":
        assert set(results) == {"resume_conflict"}
        return "the clock"
    assert Counter(results) == {WON: 1, "resume_conflict": ANSWERS_PER_WAIT - 1}
    assert results[ended["output_data"]] == WON
    return "an answer"


# --- At the wrong moment and in the wrong place -----------------------------------------------------


def resume_id(play: Json, name: str = "q", n: int = 1, path: str = "asks") -> str:
    """The id of a question, whether it was asked or not (`schema/PROTOCOL.md`, section 4)."""
    text = f"{play['workflow_version_sid']}|{path}|{name}|{n}"
    return hashlib.sha1(text.encode()).hexdigest()


def _resume(server: Server, play: str, request: str, payload: Json) -> Json:
    return server.call("play_resume", play_sid=play, resume_id=request, payload_json=json.dumps(payload))


def early(server: Server) -> tuple[str, str]:
    """Before the question was asked."""
    play = server.start("""
    @flow
    def asks() -> object:
        wait_for("go")
        return flow.pause("q")
    """)
    return play["sid"], resume_id(play)


def after_the_end(server: Server) -> tuple[str, str]:
    """After the play ended without an answer."""
    play = server.settled(server.start(ASKS)["sid"])
    server.call("play_cancel", play_sid=play["sid"])
    return play["sid"], resume_id(play)


def answered_otherwise(server: Server) -> tuple[str, str]:
    """After another answer."""
    play = server.settled(server.start(ASKS)["sid"])
    server.resume(play, "q", "first")
    server.ended(play["sid"])
    return play["sid"], resume_id(play)


def never_asked(server: Server) -> tuple[str, str]:
    """To a question that this play will never ask."""
    play = server.settled(server.start(ASKS)["sid"])
    return play["sid"], resume_id(play, n=2)


def of_another_play(server: Server) -> tuple[str, str]:
    """To a question of another play."""
    play = server.settled(server.start(ASKS)["sid"])
    other = server.settled(server.start(ASKS.replace("asks", "asks_too"))["sid"])
    return play["sid"], request_named(other, "q")["id"]


def no_id(server: Server) -> tuple[str, str]:
    """To what is no id at all."""
    return server.settled(server.start(ASKS)["sid"])["sid"], "q"


def no_play(server: Server) -> tuple[str, str]:
    """To a play that is not there."""
    return "0" * 26, resume_id(server.settled(server.start(ASKS)["sid"]))


WRONG: dict[Callable[[Server], tuple[str, str]], set[str]] = {
    early: {"request_not_found"},
    after_the_end: {"play_ended"},
    answered_otherwise: {"resume_conflict"},
    never_asked: {"request_not_found"},
    of_another_play: {"request_not_found"},
    no_id: {"invalid_params", "request_not_found"},
    no_play: {"play_not_found"},
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_an_answer_at_the_wrong_moment_or_place_is_told_so_and_changes_nothing(
    server: Server, wrong: Callable[[Server], tuple[str, str]]
) -> None:
    chances = counts.chances(wrong.__name__)
    for _ in range(-(-counts.ODD_RESUMES // len(WRONG))):
        play, request = wrong(server)
        before = _plays(server)
        with pytest.raises(RpcFailure) as refused:
            _resume(server, play, request, chances.random())
        assert refused.value.kind in WRONG[wrong]
        assert _plays(server) == before
    server.hero.touch("go")


def _plays(server: Server) -> list[Json]:
    sids = [play["sid"] for play in all_items(server.socket, "play_list")]
    return [server.call("play_get", play_sid=sid) for sid in sids]
