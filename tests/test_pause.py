"""Pausing: the play is stored, the process is gone, and the answer comes back into the flow."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import processes
from support.hero import Hero, Json, Server, items, launches, request_named
from support.rpc import RpcFailure

APPROVAL = """
@flow
def prepare():
    mark("prepare")
    return {"n": 7}

@flow
def act(prepared):
    mark("act")
    return prepared["n"]

@flow
def approval():
    prepared = prepare()
    answer = flow.pause("approve", ui={"kind": "confirm"})
    return {"answer": answer, "n": act(prepared)}
"""


def test_a_pause_ends_the_process_with_75_and_lists_the_request(hero: Hero) -> None:
    paused = hero.run(APPROVAL)
    assert paused.code == 75, paused
    play = paused.json()
    assert play["status"] == "awaiting_resume"
    request = request_named(play, "approve")
    assert (request["ui"], request["kind"]) == ({"kind": "confirm"}, "pause")
    assert "payload" not in request and "resumed_at" not in request
    assert processes.belonging_to(hero.home) == [], "nothing runs while the play waits"


def test_the_answer_ends_the_play_and_steps_before_the_pause_ran_once(hero: Hero) -> None:
    sid = hero.run(APPROVAL).json()["sid"]
    resumed = hero("resume", sid, "approve", "true")
    assert resumed.code == 0, resumed
    play = hero.wait(sid)
    assert (play["status"], play["output_data"]) == ("success", {"answer": True, "n": 7})
    assert hero.marks() == ["prepare", "act"]
    spans = hero.spans(sid)
    assert launches(spans, "prepare") == [(1, "ok"), (2, "replayed")]
    assert launches(spans, "act") == [(2, "ok")]
    assert launches(spans, "approval") == [(1, "paused"), (2, "ok")]


def test_the_answer_is_kept_with_who_gave_it(hero: Hero) -> None:
    sid = hero.run(APPROVAL).json()["sid"]
    hero("resume", sid, "approve", '{"by": "Ada"}')
    (request,) = hero.wait(sid)["received_resumes"]
    assert request["payload"] == {"by": "Ada"}
    assert request["resumed_by"]["by"] == "rpc"
    assert request["resumed_at"] >= request["asked_at"]


@pytest.mark.parametrize("payload", ["null", "0", '""', "false", "[]", "{}"])
def test_an_empty_payload_is_an_answer(hero: Hero, payload: str) -> None:
    sid = hero.run(APPROVAL).json()["sid"]
    assert hero("resume", sid, "approve", payload).code == 0
    play = hero.wait(sid)
    assert play["status"] == "success"
    assert play["output_data"]["answer"] == json.loads(payload)


def test_a_request_may_be_answered_by_its_id(hero: Hero) -> None:
    play = hero.run(APPROVAL).json()
    assert hero("resume", play["sid"], request_named(play, "approve")["id"], "1").code == 0
    assert hero.wait(play["sid"])["output_data"]["answer"] == 1


def test_ask_user_gives_back_what_was_answered_in_the_type_of_the_question(hero: Hero) -> None:
    paused = hero.run("""
    @flow
    def survey():
        answers = [
            ask_user.text("name", "Your name?"),
            ask_user.number("age", "Your age?"),
            ask_user.choice("colour", "Which?", options=["red", "blue"]),
            ask_user.multi_choice("days", "When?", options=["mon", "tue", "wed"]),
            ask_user.confirm("sure", "Sure?"),
        ]
        return [[type(answer).__name__, answer] for answer in answers]
    """)
    sid = paused.json()["sid"]
    answers = {"name": "Ada", "age": 36, "colour": "blue", "days": ["mon", "wed"], "sure": False}
    for name, answer in answers.items():
        request = request_named(hero("show", sid, "--json").json(), name)
        assert request["ui"]["kind"] in {"text", "number", "choice", "multi_choice", "confirm"}
        hero("resume", sid, name, json.dumps(answer))
    output = hero.wait(sid)["output_data"]
    assert output == [["str", "Ada"], ["int", 36], ["str", "blue"], ["list", ["mon", "wed"]], ["bool", False]]


@pytest.mark.parametrize(
    ("question", "misfit"),
    [
        ('ask_user.text("q", "?")', "1"),
        ('ask_user.number("q", "?")', '"many"'),
        ('ask_user.choice("q", "?", options=["a", "b"])', '"c"'),
        ('ask_user.multi_choice("q", "?", options=["a", "b"])', '["a", "c"]'),
        ('ask_user.confirm("q", "?")', '"yes"'),
        ('flow.pause("q", schema={"type": "object", "required": ["amount"]})', "{}"),
        ('flow.pause("q", schema=int)', '"1"'),
    ],
)
def test_an_answer_that_does_not_fit_leaves_the_play_paused(hero: Hero, question: str, misfit: str) -> None:
    sid = hero.run(f"""
    @flow
    def asks():
        return {question}
    """).json()["sid"]
    refused = hero("resume", sid, "q", misfit)
    assert refused.code == 2, refused
    assert "fit" in refused.stderr
    play = hero.wait(sid)
    assert play["status"] == "awaiting_resume"
    assert "payload" not in request_named(play, "q")


def test_a_schema_type_decodes_the_answer(hero: Hero) -> None:
    sid = hero.run("""
    from dataclasses import dataclass
    from decimal import Decimal

    @dataclass
    class Budget:
        amount: Decimal
        owner: str = "nobody"

    @flow
    def asks():
        budget = flow.pause("budget", schema=Budget)
        return [type(budget).__name__, type(budget.amount).__name__, str(budget.amount), budget.owner]
    """).json()["sid"]
    resumed = hero("resume", sid, "budget", '{"amount": "12.50"}')
    assert resumed.code == 0, resumed
    assert hero.wait(sid)["output_data"] == ["Budget", "Decimal", "12.50", "nobody"]


# --- Unwinding ----------------------------------------------------------------------------------


def test_a_pause_passes_except_exception_and_runs_finally(hero: Hero) -> None:
    paused = hero.run("""
    @flow
    def careful():
        try:
            return flow.pause("q")
        except Exception:
            mark("caught")
        finally:
            mark("finally")
    """)
    assert (paused.code, hero.marks()) == (75, ["finally"])


def test_a_swallowed_pause_is_raised_again_by_the_next_call(hero: Hero) -> None:
    paused = hero.run("""
    @flow
    def step():
        mark("step")

    @flow
    def greedy():
        try:
            flow.pause("q")
        except BaseException:
            mark("swallowed")
        step()
        mark("never")
    """)
    assert (paused.code, hero.marks()) == (75, ["swallowed"])


def test_a_pause_swallowed_to_the_end_still_pauses(hero: Hero) -> None:
    paused = hero.run("""
    @flow
    def greedy():
        try:
            return flow.pause("q")
        except BaseException:
            return "never an output"
    """)
    assert paused.code == 75
    assert paused.json()["status"] == "awaiting_resume"


def test_a_pause_in_a_step_of_a_step_comes_back_to_its_place(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def before():
        mark("before")
        return 1

    @flow
    def inner():
        mark("inner")
        return before() + flow.pause("q")

    @flow
    def outer():
        return inner() * 10
    """).json()["sid"]
    hero("resume", sid, "q", "4")
    assert hero.wait(sid)["output_data"] == 50
    assert hero.marks() == ["inner", "before", "inner"], (
        "a step that paused is entered again, one that ended is not"
    )


# --- Several questions --------------------------------------------------------------------------

TWO_BRANCHES = """
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

@flow
def ask(team: str) -> str:
    mark(f"ask {team}")
    return flow.pause(f"review[{team}]")

@flow
def both() -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        branches = [pool.submit(copy_context().run, ask, team) for team in ("legal", "security")]
    return [branch.result() for branch in branches]
"""

TWO_TASKS = """
import asyncio

@flow
async def ask(team: str) -> str:
    mark(f"ask {team}")
    await asyncio.sleep(0)
    return flow.pause(f"review[{team}]")

@flow
async def both() -> list[str]:
    return list(await asyncio.gather(ask("legal"), ask("security")))
"""


@pytest.mark.parametrize("source", [TWO_BRANCHES, TWO_TASKS], ids=["threads", "gather"])
def test_branches_ask_at_once_and_are_answered_one_by_one(hero: Hero, source: str) -> None:
    play = hero.run(source).json()
    assert {request["name"] for request in play["pending_resumes"]} == {"review[legal]", "review[security]"}
    sid = play["sid"]
    assert hero("resume", sid, "review[security]", '"b"').code in {0, 75}
    assert hero.wait(sid)["status"] == "awaiting_resume"
    hero("resume", sid, "review[legal]", '"a"')
    assert hero.wait(sid)["output_data"] == ["a", "b"]


def test_the_same_question_in_a_loop_is_asked_each_time(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def loop():
        return [flow.pause("next") for _ in range(3)]
    """).json()["sid"]
    for answer in ("1", "2", "3"):
        hero("resume", sid, "next", answer)
    play = hero.wait(sid)
    assert play["output_data"] == [1, 2, 3]
    assert len({request["id"] for request in play["received_resumes"]}) == 3


# --- Through a server ---------------------------------------------------------------------------

ONE_QUESTION = """
@flow
def asks():
    mark("launch")
    return flow.pause("q")
"""


def test_of_many_answers_at_once_one_wins_and_starts_one_launch(server: Server) -> None:
    play = server.settled(server.start(ONE_QUESTION)["sid"])

    def answer(number: int) -> tuple[int, str]:
        try:
            return number, "already" if server.resume(play, "q", number).get("already") else "won"
        except RpcFailure as failure:
            return number, failure.kind

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(answer, range(32)))
    winners = [number for number, result in results if result == "won"]
    assert len(winners) == 1, results
    assert {result for _, result in results} == {"won", "resume_conflict"}
    ended = server.ended(play["sid"])
    assert (ended["output_data"], ended["launch"]) == (winners[0], 2)


def test_of_many_equal_answers_one_wins_and_the_rest_are_told_already(server: Server) -> None:
    play = server.settled(server.start(ONE_QUESTION)["sid"])
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: server.resume(play, "q", "same"), range(32)))
    assert [answer.get("already", False) for answer in answers].count(False) == 1
    assert len({answer["resumed_at"] for answer in answers}) == 1
    assert server.ended(play["sid"])["launch"] == 2
    assert server.hero.marks() == ["launch", "launch"]


def test_another_answer_is_a_conflict_and_changes_nothing(server: Server) -> None:
    play = server.settled(server.start(ONE_QUESTION)["sid"])
    server.resume(play, "q", 1)
    with pytest.raises(RpcFailure) as conflict:
        server.resume(play, "q", 2)
    assert conflict.value.kind == "resume_conflict"
    assert server.ended(play["sid"])["output_data"] == 1
    with pytest.raises(RpcFailure) as late:
        server.resume(play, "q", 2)
    assert late.value.kind in {"resume_conflict", "play_ended"}
    assert server.call("play_get", play_sid=play["sid"])["received_resumes"][0]["payload"] == 1


def test_an_answer_and_a_cancel_at_once_leave_one_of_both(server: Server) -> None:
    for _ in range(10):
        play = server.settled(server.start(ONE_QUESTION)["sid"])

        def act(number: int, play: Json = play) -> str:
            try:
                if number == 3:
                    server.call("play_cancel", play_sid=play["sid"])
                    return "cancelled"
                server.resume(play, "q", number)
                return "answered"
            except RpcFailure as failure:
                return failure.kind

        with ThreadPoolExecutor(7) as pool:
            results = list(pool.map(act, range(7)))
        ended = server.ended(play["sid"])
        assert results.count("answered") <= 1, results
        assert set(results) <= {"answered", "cancelled", "resume_conflict", "play_ended"}, results
        if ended["status"] == "success":
            assert results[ended["output_data"]] == "answered"
        else:
            assert (ended["status"], results[3]) == ("cancelled", "cancelled")


def test_an_answer_before_the_question_or_to_another_play_is_no_answer(server: Server) -> None:
    asking, other = (server.settled(server.start(ONE_QUESTION, name=name)["sid"]) for name in ("one", "two"))
    early = server.start("""
    @flow
    def asks_later() -> str:
        mark("begun")
        wait_for("go")
        return flow.pause("q")
    """)
    server.hero.saw("begun")
    request = request_named(asking, "q")["id"]
    with pytest.raises(RpcFailure) as too_early:
        server.call("play_resume", play_sid=early["sid"], resume_id=request, payload_json="1")
    assert too_early.value.kind == "request_not_found"
    server.hero.touch("go")
    server.resume(other, "q", "mine")
    assert server.ended(other["sid"])["output_data"] == "mine"
    assert server.call("play_get", play_sid=asking["sid"])["status"] == "awaiting_resume"


def test_an_answer_while_the_process_still_ends_is_not_lost(server: Server) -> None:
    sid = server.start("""
    @flow
    def slow_to_leave():
        try:
            return flow.pause("q")
        finally:
            mark("leaving")
            wait_for("go")
    """)["sid"]
    server.hero.saw("leaving")
    play = server.call("play_get", play_sid=sid)
    assert play["status"] == "running", "the first process is still there"
    server.resume(play, "q", "early")
    server.hero.touch("go")
    ended = server.ended(sid)
    assert (ended["status"], ended["output_data"]) == ("success", "early")


def test_a_paused_play_is_answered_after_the_server_was_started_again(hero: Hero) -> None:
    with hero.server() as first:
        play = first.settled(first.start(APPROVAL)["sid"])
    with hero.server() as second:
        second.resume(play, "approve", "late")
        assert second.ended(play["sid"])["output_data"] == {"answer": "late", "n": 7}
    assert hero.marks() == ["prepare", "act"]


def test_open_questions_are_in_the_inbox_until_they_are_answered(hero: Hero) -> None:
    play = hero.run(APPROVAL).json()
    inbox = items(hero("inbox", "--json").json())
    assert [(item["play_sid"], item["request"]["name"]) for item in inbox] == [(play["sid"], "approve")]
    hero("resume", play["sid"], "approve", "1")
    assert items(hero("inbox", "--json").json()) == []
