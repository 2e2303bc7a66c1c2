"""Crashes: of the supervisor, of the command that carries a play, and of the play's own process."""

import os
import signal

import pytest

from support import processes
from support.hero import Hero, Server, launches
from support.rpc import RpcFailure
from support.waiting import eventually

THREE_STEPS = """
@flow
def first() -> int:
    mark("first")
    return 1

@flow
def second() -> int:
    mark("second begins")
    wait_for("go")
    mark("second")
    return 2

@flow
def third() -> int:
    mark("third")
    return 3

@flow
def adds_up() -> int:
    return first() + second() + third()
"""


def gone(hero: Hero) -> bool:
    return processes.belonging_to(hero.home) == []


def test_a_killed_server_goes_on_where_it_stood(hero: Hero) -> None:
    server = hero.start_server()
    sid = server.start(THREE_STEPS)["sid"]
    hero.saw("second begins")
    server.kill()
    eventually(lambda: gone(hero), "the process of the play to die with its supervisor")
    hero.touch("go")
    with hero.server() as restarted:
        play = restarted.ended(sid)
    assert (play["status"], play["output_data"]) == ("success", 6)
    assert hero.marks() == ["first", "second begins", "second begins", "second", "third"]
    assert play["launch"] == 2


def test_a_killed_run_is_carried_to_its_end_by_the_next_command(hero: Hero) -> None:
    carrier = hero.spawn("hero_logic", "run", hero.write(THREE_STEPS), "--json")
    hero.saw("second begins")
    carrier.send_signal(signal.SIGKILL)
    carrier.wait()
    eventually(lambda: gone(hero), "the process of the play to die with its supervisor")
    hero.touch("go")
    (listed,) = hero.plays()
    play = hero.wait(listed["sid"])
    assert (play["status"], play["output_data"]) == ("success", 6)
    assert hero.marks() == ["first", "second begins", "second begins", "second", "third"]


COUNTS = """
@flow
def step(number: int) -> int:
    mark(f"step {number}")
    gate("inside", number)
    return number

def gate(where: str, number: int) -> None:
    if Path(f"{where}_{number}.shut").exists():
        mark(f"{where} {number}")
        wait_for(f"{where}_{number}.open")

@flow
def counts(n: int) -> int:
    total = 0
    for number in range(n):
        total += step(number)
        mark(f"went past {number}")
        gate("behind", number)
    return total
"""


def test_kills_inside_and_behind_steps_repeat_no_acknowledged_step(hero: Hero) -> None:
    n_steps, gates = 12, [("behind", 2), ("inside", 5), ("behind", 6), ("inside", 11)]
    for where, number in gates:
        hero.touch(f"{where}_{number}.shut")
    server = hero.start_server()
    sid = server.start(COUNTS, input_data={"n": n_steps})["sid"]
    for where, number in gates:
        hero.saw(f"{where} {number}")
        server.kill()
        hero.touch(f"{where}_{number}.open")
        server = hero.start_server()
    play = server.ended(sid)
    server.stop()
    assert (play["status"], play["output_data"], play["launch"]) == ("success", sum(range(n_steps)), 5)
    assert_none_ran_after_its_caller_went_past_it(hero.marks(), n_steps)
    twice = [number for number in range(n_steps) if hero.marks().count(f"step {number}") == 2]
    assert twice == [5, 11], "a step that was under way runs again, and no other"


def test_kills_at_any_moment_repeat_no_acknowledged_step(hero: Hero) -> None:
    n_steps = 1_000
    server = hero.start_server()
    sid = server.start(COUNTS, input_data={"n": n_steps})["sid"]
    for number in (10, 150, 300, 450):
        hero.saw(f"went past {number}")
        server.kill()
        server = hero.start_server()
    play = server.ended(sid)
    server.stop()
    assert (play["status"], play["output_data"]) == ("success", sum(range(n_steps)))
    assert play["launch"] >= 3, "the kills came too late to interrupt anything"
    assert_none_ran_after_its_caller_went_past_it(hero.marks(), n_steps)


def assert_none_ran_after_its_caller_went_past_it(marks: list[str], n_steps: int) -> None:
    """A caller goes past a step only once the outcome is acknowledged."""
    acknowledged: set[str] = set()
    for what, number in (mark.rsplit(" ", 1) for mark in marks):
        assert what != "step" or number not in acknowledged, (
            f"step {number} ran again after its acknowledgement"
        )
        if what == "went past":
            acknowledged.add(number)
    assert len(acknowledged) == n_steps


@pytest.mark.parametrize(
    "death", ["os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 11)", "os._exit(3)", "os._exit(137)"]
)
def test_a_process_that_dies_is_started_again_and_repeats_nothing(hero: Hero, death: str) -> None:
    finished = hero.run(f"""
    @flow
    def first() -> int:
        mark("first")
        return 1

    @flow
    def dies_once() -> int:
        mark("dies_once")
        if not Path("died").exists():
            Path("died").touch()
            {death}
        return 2

    @flow
    def survives() -> int:
        return first() + dies_once()
    """)
    assert finished.code == 0, finished
    assert finished.json()["output_data"] == 3
    assert hero.marks() == ["first", "dies_once", "dies_once"]


@pytest.mark.parametrize(
    ("death", "cause"),
    [("os.kill(os.getpid(), 9)", "SIGKILL"), ("os._exit(3)", "exited 3"), ("os._exit(137)", "exited 137")],
)
def test_a_process_that_dies_without_progress_fails_with_its_cause(
    hero: Hero, death: str, cause: str
) -> None:
    finished = hero.run(f"""
    @flow
    def dies() -> None:
        mark("launch")
        print("my last words", file=sys.stderr, flush=True)
        {death}
    """)
    assert finished.code == 1, finished
    error = finished.json()["error"]
    assert error["kind"] == "crashed"
    assert cause in error["message"] and "my last words" in error["message"]
    assert hero.marks() == ["launch"] * 4, "one launch and three more"


def test_progress_between_deaths_is_not_counted_against_the_play(hero: Hero) -> None:
    finished = hero.run("""
    @flow
    def step(number: int) -> int:
        return number

    @flow
    def limps() -> int:
        total = 0
        for number in range(8):
            total += step(number)
            if not Path(f"died_{number}").exists():
                Path(f"died_{number}").touch()
                os.kill(os.getpid(), 9)
        return total
    """)
    assert (finished.code, finished.json()["output_data"]) == (0, 28), finished


def test_a_process_killed_from_outside_is_replaced(server: Server) -> None:
    hero = server.hero
    sid = server.start("""
    @flow
    def first() -> str:
        mark("first")
        return "one"

    @flow
    def waits() -> str:
        one = first()
        mark(f"pid {os.getpid()}")
        wait_for("go")
        return one
    """)["sid"]
    pid_mark = eventually(lambda: next((m for m in hero.marks() if m.startswith("pid ")), ""), "the launch")
    os.kill(int(pid_mark.removeprefix("pid ")), signal.SIGKILL)
    eventually(lambda: len([m for m in hero.marks() if m.startswith("pid ")]) == 2, "the second launch")
    hero.touch("go")
    play = server.ended(sid)
    assert (play["output_data"], play["launch"], hero.marks().count("first")) == ("one", 2, 1)
    assert launches(server.call("play_spans", play_sid=sid)["items"], "first") == [(1, "ok"), (2, "replayed")]


# --- What an exit code means --------------------------------------------------------------------

EXITS = [
    ("return 5", "success", None),
    ('raise ValueError("no")', "failed", "exception"),
    ("sys.exit(75)", "failed", None),
    ("os._exit(75)", "failed", "pause_without_request"),
    ("os._exit(0)", "failed", "no_result"),
    ("os._exit(1)", "failed", "crashed"),
    ("os._exit(2)", "failed", "crashed"),
    ('flow.pause("q")', "awaiting_resume", None),
]


@pytest.mark.parametrize(("end", "status", "kind"), EXITS, ids=[row[0] for row in EXITS])
def test_how_a_launch_ends_decides_the_status(hero: Hero, end: str, status: str, kind: str | None) -> None:
    play = hero.run(f"""
    @flow
    def ends() -> object:
        {end}
    """).json()
    assert play["status"] == status
    if kind:
        assert play["error"]["kind"] == kind


def test_every_exit_code_by_itself_ends_the_play_as_documented(server: Server) -> None:
    source = """
    @flow
    def exits(code: int) -> None:
        os._exit(code)
    """
    sids = {code: server.start(source, input_data={"code": code})["sid"] for code in range(256)}
    kinds = {code: server.ended(sid)["error"]["kind"] for code, sid in sids.items()}
    expected = dict.fromkeys(range(256), "crashed") | {0: "no_result", 75: "pause_without_request"}
    assert kinds == expected


@pytest.mark.parametrize("code", [0, 1, 3, 9, 255])
def test_a_process_that_leaves_a_pause_by_another_door_fails(hero: Hero, code: int) -> None:
    play = hero.run(f"""
    @flow
    def leaves() -> None:
        try:
            flow.pause("q")
        finally:
            os._exit({code})
    """).json()
    assert (play["status"], play["error"]["kind"]) == ("failed", "request_without_pause")
    assert str(code) in play["error"]["message"]


def test_a_failure_carries_type_message_traceback_and_span(hero: Hero) -> None:
    finished = hero.run("""
    @flow
    def divides(by: int) -> float:
        return 1 / by

    @flow
    def fails() -> float:
        return divides(0)
    """)
    assert finished.code == 1
    error = finished.json()["error"]
    assert error["message"] == "ZeroDivisionError: division by zero"
    assert error["exception"]["class"].endswith("ZeroDivisionError")
    assert "return 1 / by" in error["exception"]["traceback"]


# --- Stopping ------------------------------------------------------------------------------------


def test_cancel_ends_the_process_and_all_that_it_started(server: Server) -> None:
    hero = server.hero
    sid = server.start("""
    import subprocess

    @flow
    def runs_for_ever() -> None:
        child = subprocess.Popen(["sleep", "100000"])
        mark(f"{os.getpid()} {child.pid}")
        child.wait()
    """)["sid"]
    pids = [int(pid) for pid in eventually(hero.marks, "the launch to begin")[0].split()]
    assert all(processes.is_alive(pid) for pid in pids)
    assert server.call("play_cancel", play_sid=sid)["status"] == "cancelled"
    eventually(lambda: not any(map(processes.is_alive, pids)), "both processes to be gone")
    assert server.ended(sid)["status"] == "cancelled"
    assert server.call("play_cancel", play_sid=sid)["status"] == "cancelled", "again changes nothing"


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(server: Server) -> None:
    hero = server.hero
    sid = server.start("""
    import signal

    @flow
    def stubborn() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        mark(str(os.getpid()))
        wait_for("never")
    """)["sid"]
    pid = int(eventually(hero.marks, "the launch to begin")[0])
    server.call("play_cancel", play_sid=sid)
    eventually(lambda: not processes.is_alive(pid), "the process to be gone")


def test_a_cancelled_play_takes_no_answer(server: Server) -> None:
    play = server.settled(server.start('@flow\ndef asks():\n    return flow.pause("q")\n')["sid"])
    server.call("play_cancel", play_sid=play["sid"])
    with pytest.raises(RpcFailure) as late:
        server.resume(play, "q", 1)
    assert late.value.kind == "play_ended"
    assert server.call("play_get", play_sid=play["sid"])["status"] == "cancelled"


def test_a_server_that_is_asked_to_stop_leaves_its_plays_for_the_next(hero: Hero) -> None:
    server = hero.start_server()
    sid = server.start(THREE_STEPS)["sid"]
    hero.saw("second begins")
    assert server.stop() == 0
    assert gone(hero), "no process outlives its supervisor"
    hero.touch("go")
    with hero.server() as restarted:
        assert restarted.ended(sid)["output_data"] == 6
    assert hero.marks().count("first") == 1


# --- Logs ----------------------------------------------------------------------------------------


def test_what_a_launch_prints_becomes_its_log(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def talks() -> None:
        print("to stdout", flush=True)
        print("to stderr", file=sys.stderr, flush=True)
        flow.log("to the log")
        os.write(1, b"bytes \\xff and no line end")
    """).json()["sid"]
    with hero.server() as server:
        lines = server.call("play_logs", play_sid=sid)["items"]
    texts = {(line["stream"], line["text"]) for line in lines}
    assert {("stdout", "to stdout"), ("stderr", "to stderr"), ("log", "to the log")} <= texts
    assert any(stream == "stdout" and text.startswith("bytes ") for stream, text in texts)
