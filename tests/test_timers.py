"""What happens by the clock: sleeps, expiring pauses, deadlines of steps and of plays, retries."""

import time

import pytest

from support import processes
from support.hero import Hero, Json, Server, launches
from support.waiting import eventually

SLEEPS = """
@flow
def before() -> None:
    mark("before")

@flow
def sleeps(seconds: float) -> str:
    before()
    flow.sleep(seconds)
    mark("after")
    return "awake"
"""


def test_a_sleeping_play_holds_no_process_and_wakes_by_itself(server: Server) -> None:
    play = server.start(SLEEPS, input_data={"seconds": 3.0})
    waiting = eventually(lambda: waits(server, play["sid"]), "the play to sleep")
    (request,) = waiting["pending_resumes"]
    assert (request["kind"], request["expires_at"] - request["asked_at"]) == ("timer", 3_000_000)
    assert processes.launches_in(server.hero.home) == []
    ended = server.ended(play["sid"])
    assert (ended["status"], ended["output_data"], ended["launch"]) == ("success", "awake", 2)
    assert server.hero.marks() == ["before", "after"]
    (received,) = ended["received_resumes"]
    assert received["resumed_by"] == {"by": "timer"}
    assert received["resumed_at"] >= received["expires_at"]


def test_a_sleep_goes_on_while_no_server_runs_and_is_not_begun_anew(hero: Hero) -> None:
    with hero.server() as server:
        sid = server.start(SLEEPS, input_data={"seconds": 3.0})["sid"]
        (request,) = eventually(lambda: waits(server, sid), "the play to sleep")["pending_resumes"]
    eventually(lambda: time.time() * 1e6 > request["expires_at"], "the time of the sleep to pass")
    with hero.server() as server:
        ended = server.ended(sid)
    assert ended["status"] == "success"
    assert hero.marks() == ["before", "after"]
    assert ended["received_resumes"][0]["expires_at"] == request["expires_at"]


def test_a_person_may_end_a_sleep_early(server: Server) -> None:
    play = server.start(SLEEPS, input_data={"seconds": 86_400.0})
    waiting = eventually(lambda: waits(server, play["sid"]), "the play to sleep")
    server.resume(waiting, "sleep", None)
    assert server.ended(play["sid"])["status"] == "success"


def waits(server: Server, sid: str) -> Json:
    play = server.call("play_get", play_sid=sid)
    return play if play["status"] == "awaiting_resume" else None


EXPIRES = """
from pyhero import PauseTimeout

@flow
def defaulted() -> object:
    return flow.pause("approve", timeout=1.5, default=None)

@flow
def raised() -> str:
    try:
        return flow.pause("approve", timeout=1.5)
    except PauseTimeout as error:
        mark("caught")
        return f"{error}"
"""


@pytest.mark.parametrize(
    ("flow", "output"), [("defaulted", None), ("raised", "nobody answered `approve` in time")]
)
def test_a_pause_that_nobody_answers_expires(server: Server, flow: str, output: object) -> None:
    play = server.start(EXPIRES, flow=flow)
    ended = server.ended(play["sid"])
    assert (ended["status"], ended["output_data"]) == ("success", output)


def test_an_answer_in_time_is_not_touched_by_the_timer(server: Server) -> None:
    source = (
        EXPIRES
        + """
@flow
def outlives() -> list[object]:
    answer = flow.pause("approve", timeout=1.5, default="late")
    flow.sleep(3)
    return [answer]
"""
    )
    play = server.start(source, flow="outlives")
    waiting = server.settled(play["sid"])
    server.resume(waiting, "approve", "in time")
    ended = server.ended(play["sid"])
    assert ended["output_data"] == ["in time"]


STEP_DEADLINES = """
from pyhero import Retry, StepTimeout

@flow(timeout=1.0)
def hangs_in_c() -> None:
    mark("hangs")
    import re
    re.match(r"(a+)+$", "a" * 64 + "b")

@flow
def handles() -> str:
    try:
        hangs_in_c()
    except StepTimeout as error:
        mark("caught")
        return str(error)
    return "not reached"

@flow(retry=Retry(on=StepTimeout, attempts=3, wait_initial=0.01, timeout=1.0))
def hangs_twice() -> int:
    mark("attempt")
    while len(Path("marks.txt").read_text().splitlines()) < 3:
        pass
    return 7

@flow
def retries() -> int:
    return hangs_twice()
"""


def test_a_step_that_blocks_in_c_is_ended_and_raises_in_the_flow(server: Server) -> None:
    play = server.start(STEP_DEADLINES, flow="handles")
    ended = server.ended(play["sid"])
    assert ended["status"] == "success", ended
    assert "hangs_in_c" in ended["output_data"]
    assert server.hero.marks() == ["hangs", "caught"]
    spans = server.call("play_spans", play_sid=play["sid"])["items"]
    assert launches(spans, "hangs_in_c") == [(1, "timed_out"), (2, "replayed")]


def test_a_step_that_runs_out_of_time_is_tried_again(server: Server) -> None:
    play = server.start(STEP_DEADLINES, flow="retries")
    ended = server.ended(play["sid"])
    assert (ended["status"], ended["output_data"]) == ("success", 7), ended
    assert server.hero.marks() == ["attempt"] * 3


PLAY_DEADLINES = """
@flow(timeout=1.0)
def spins() -> None:
    mark("spins")
    while True:
        pass

@flow(timeout=2.0)
def waits() -> None:
    flow.pause("approve")

@flow
def open_ended() -> None:
    flow.pause("approve")
"""


@pytest.mark.parametrize("flow", ["spins", "waits"])
def test_a_play_that_takes_too_long_is_timed_out_running_or_waiting(server: Server, flow: str) -> None:
    play = server.start(PLAY_DEADLINES, flow=flow)
    ended = server.ended(play["sid"])
    assert ended["status"] == "timed_out"
    assert ended["ended_at"] >= ended["deadline"]
    eventually(lambda: processes.launches_in(server.hero.home) == [], "its process to be gone")


def test_the_caller_may_limit_the_time_of_a_play(server: Server) -> None:
    play = server.start(PLAY_DEADLINES, flow="open_ended", timeout_ms=500)
    assert play["deadline"] - play["created_at"] == 500_000
    assert server.ended(play["sid"])["status"] == "timed_out"


def test_long_waits_between_attempts_hold_no_process(server: Server) -> None:
    source = """
from pyhero import Retry

@flow(retry=Retry(on=ConnectionError, attempts=2, wait_initial=3.0, wait_jitter=0.0))
def flaky() -> str:
    mark("attempt")
    if len(Path("marks.txt").read_text().splitlines()) < 2:
        raise ConnectionError("try later")
    return "there"

@flow
def asks() -> str:
    return flaky()
"""
    play = server.start(source)
    waiting = eventually(lambda: waits(server, play["sid"]), "the play to wait for its second attempt")
    assert [request["kind"] for request in waiting["pending_resumes"]] == ["retry"]
    assert processes.launches_in(server.hero.home) == []
    ended = server.ended(play["sid"])
    assert (ended["status"], ended["output_data"]) == ("success", "there"), ended
    assert server.hero.marks() == ["attempt", "attempt"]


def test_a_poll_holds_no_process_between_two_looks(server: Server) -> None:
    source = """
def look():
    mark("look")
    return "found" if len(Path("marks.txt").read_text().splitlines()) == 3 else None

@flow
def asks() -> str:
    return flow.poll(look, every=2.5)
"""
    play = server.start(source)
    waiting = eventually(lambda: waits(server, play["sid"]), "the play to wait for its second look")
    assert [request["kind"] for request in waiting["pending_resumes"]] == ["timer"]
    assert processes.launches_in(server.hero.home) == []
    ended = server.ended(play["sid"])
    assert (ended["output_data"], ended["launch"]) == ("found", 3), ended
    assert server.hero.marks() == ["look"] * 3, "on replay nothing looks again"
