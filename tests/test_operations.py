"""What operators do: take plays up again, remove them, wait for those that sleep, look after the data."""

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import processes
from support.hero import Finished, Hero, Json, Server, items, launches
from support.terminal import Terminal
from support.waiting import eventually

# --- Plays that wait for nobody ------------------------------------------------------------------

SLEEPS = """
@flow
def sleeps(seconds: float = 3.0) -> str:
    mark("before")
    flow.sleep(seconds)
    mark("after")
    return "awake"
"""

FAMILY = """
@flow
def child(seconds: float) -> bool:
    flow.sleep(seconds)
    return ask_user.confirm("approve", "May it?")

@flow
def quiet(seconds: float) -> str:
    flow.sleep(seconds)
    return "slept"

@flow
def parent(target: str = "child", seconds: float = 2.0) -> object:
    return flow.invoke({"child": child, "quiet": quiet}[target], spawn=True, seconds=seconds)
"""


def test_a_run_goes_on_while_its_play_sleeps(hero: Hero) -> None:
    finished = hero("run", hero.write(SLEEPS))
    assert (finished.code, finished.stdout) == (0, "awake\n"), finished
    assert hero.marks() == ["before", "before", "after"], "no process was held meanwhile"


def test_a_run_goes_on_while_its_play_waits_for_another(hero: Hero) -> None:
    file = hero.write(FAMILY)
    finished = hero("run", f"{file}:parent", "-i", "target=quiet", "--json")
    play = finished.json()
    assert (finished.code, play["status"], play["output_data"]) == (0, "success", "slept"), finished


def test_a_question_of_a_child_play_is_told_where_its_parent_runs(hero: Hero) -> None:
    finished = hero("run", f"{hero.write(FAMILY)}:parent")
    assert finished.code == 75, finished
    (answer,) = re.findall(r'waiting for "approve": hero_logic (resume (\w+) approve) true', finished.stderr)
    (child,) = [play for play in hero.plays() if play["name"] == "child"]
    assert answer[1] == child["sid"]
    assert hero(*answer[0].split(), "true").code == 0
    (parent,) = [play for play in hero.plays() if play["name"] == "parent"]
    assert hero.wait(parent["sid"])["output_data"] is True


def test_a_terminal_asks_what_a_child_play_asks(hero: Hero) -> None:
    terminal = Terminal(hero, "run", f"{hero.write(FAMILY)}:parent", "-i", "seconds=2.5")
    terminal.read_until("waits for play")
    terminal.read_until("May it?")
    terminal.type("y\r")
    assert terminal.read_to_the_end() == 0, terminal.seen


def test_a_terminal_says_until_when_a_play_sleeps(hero: Hero) -> None:
    terminal = Terminal(hero, "run", hero.write(SLEEPS))
    terminal.read_until("sleeps until ")
    assert terminal.read_to_the_end() == 0, terminal.seen
    assert "awake" in terminal.seen


def test_a_wait_is_over_after_its_timeout_and_says_what_the_play_does(hero: Hero) -> None:
    started = hero("run", hero.write(SLEEPS), "-i", "seconds=86400", "--detach")
    play = started.stdout.strip()
    waited = hero("wait", play, "--timeout", "2s")
    assert waited.code == 124
    assert "sleep: sleeps until" in waited.stderr and "still awaiting_resume" in waited.stderr
    shown = hero("show", play).stdout
    assert re.search(r"waits for\nsleep: sleeps until .* UTC, in 23 h 59 min", shown), shown
    inbox = hero("inbox")
    assert (inbox.stdout, inbox.stderr) == ("", "nothing waits for an answer\n")


def test_the_inbox_holds_questions_only(server: Server) -> None:
    sleeping = server.start(SLEEPS, input_data={"seconds": 86_400.0})["sid"]
    server.hero.write(FAMILY)
    parent = server.start(FAMILY, flow="parent", input_data={"seconds": 0.1})["sid"]
    asking = server.settled(parent)
    assert [request["kind"] for request in asking["pending_resumes"]] == ["child"]
    eventually(lambda: status(server, sleeping) == "awaiting_resume", "the play to sleep")
    inbox = items(server.call("inbox_list"))
    assert [(item["play_name"], item["request"]["kind"]) for item in inbox] == [("child", "pause")]


def test_a_play_that_takes_too_long_is_timed_out_while_it_sleeps(hero: Hero) -> None:
    finished = hero("run", hero.write(SLEEPS), "-i", "seconds=86400", "--timeout", "2s", "--json")
    play = finished.json()
    assert (finished.code, play["status"]) == (124, "timed_out")
    assert play["deadline"] - play["created_at"] == 2_000_000
    shown = hero("show", play["sid"]).stdout
    assert re.search(r"^deadline +\S+ \S+ UTC$", shown, re.MULTILINE), shown


def test_a_time_without_sense_is_refused(hero: Hero) -> None:
    for time in ("0", "-1s", "soon", "5x", "1h30"):
        refused = hero("run", hero.write(SLEEPS), f"--timeout={time}")
        assert refused.code == 2 and "such as 90s, 5m, 2h" in refused.stderr, refused
    assert not hero.data_dir.exists()


# --- Taking plays up again -----------------------------------------------------------------------

BREAKS = """
@flow
def prepares(n: int) -> int:
    mark(f"prepares {n}")
    return n + 1

@flow
def charges(n: int) -> str:
    mark(f"charges {n}")
    Path("key.txt").open("a").write(flow.idempotency_key() + "\\n")
    if not Path("mended").exists():
        raise ConnectionError("the bank is closed")
    return f"charged {n}"

@flow
def breaks(n: int = 1) -> str:
    prepared = prepares(n)
    if not flow.pause("approve"):
        return "rejected"
    return charges(prepared)
"""


def broken(hero: Hero) -> str:
    """The sid of a play that was approved and has failed after that."""
    finished = hero.run(BREAKS, "--prefill", "approve=true")
    assert (finished.code, finished.json()["status"]) == (1, "failed"), finished
    sid: str = finished.json()["sid"]
    return sid


def test_a_retry_runs_only_what_has_failed_and_leaves_the_failed_play_alone(hero: Hero) -> None:
    old = broken(hero)
    before = hero("show", old, "--json").json()
    hero.touch("mended")
    finished = hero("retry", old, "--json")
    new = finished.json()
    assert (finished.code, new["output_data"]) == (0, "charged 2"), finished
    assert new["sid"] != old and new["origin"] == {"play_sid": old, "how": "retry"}
    assert hero.marks() == ["prepares 1", "charges 2", "charges 2"]
    first, second = (hero.work_dir / "key.txt").read_text().splitlines()
    assert first == second, "the bank knows that it is the same charge"
    assert hero("show", old, "--json").json() == before
    assert f"retry of {old}" in hero("show", new["sid"]).stdout


def test_a_retry_that_fails_again_can_be_retried(hero: Hero) -> None:
    first = broken(hero)
    second = hero("retry", first, "--json")
    assert second.code == 1
    hero.touch("mended")
    third = hero("retry", second.json()["sid"], "--json")
    assert third.code == 0, third
    assert len(set((hero.work_dir / "key.txt").read_text().splitlines())) == 1


def test_what_has_succeeded_or_not_ended_is_not_retried(hero: Hero) -> None:
    hero.touch("mended")
    done = hero.run(BREAKS, "--prefill", "approve=true").json()["sid"]
    asking = hero.run(BREAKS).json()["sid"]
    n_plays = len(hero.plays())
    for play in (done, asking):
        refused = hero("retry", play, "--json")
        assert refused.code == 2
        assert json.loads(refused.stderr)["error"]["kind"] == "illegal_transition"
    assert hero("restart", asking).code == 2
    assert len(hero.plays()) == n_plays


def test_a_restart_runs_everything_again(hero: Hero) -> None:
    old = broken(hero)
    hero.touch("mended")
    finished = hero("restart", old)
    assert (finished.code, finished.stdout) == (0, "charged 2\n"), finished
    assert hero.marks() == ["prepares 1", "charges 2"] * 2


def test_a_detached_retry_prints_the_sid_of_the_new_play(hero: Hero) -> None:
    old = broken(hero)
    hero.touch("mended")
    detached = hero("retry", old, "--detach")
    new = detached.stdout.strip()
    assert (detached.code, len(new)) == (0, 26) and new != old
    assert hero.wait(new)["output_data"] == "charged 2"


def test_a_fork_begins_at_a_step_that_is_named_or_at_its_span(hero: Hero) -> None:
    hero.touch("mended")
    old = hero.run(BREAKS, "--prefill", "approve=true").json()["sid"]
    (span,) = re.findall(r"^(\w{16}) .* charges\(n=2\)", hero("show", old, "--spans").stdout, re.MULTILINE)
    for place in ("charges", span):
        forked = hero("fork", old, "--from", place, "--json")
        assert (forked.code, forked.json()["origin"]["how"]) == (0, "fork"), forked
    assert hero.marks() == ["prepares 1", "charges 2", "charges 2", "charges 2"]
    spans = hero("show", old, "--spans", "--json").json()["spans"]
    assert launches([row for row in spans if row["span_id"] == span], "charges") == [(1, "ok")]


def test_a_fork_takes_another_answer_or_another_output(hero: Hero) -> None:
    hero.touch("mended")
    old = hero.run(BREAKS, "--prefill", "approve=true").json()["sid"]
    rejected = hero("fork", old, "--answer", "approve=false", "--json")
    assert rejected.json()["output_data"] == "rejected"
    other = hero("fork", old, "--output", "prepares=41", "--json")
    assert other.json()["output_data"] == "charged 41", other
    assert hero.marks() == ["prepares 1", "charges 2", "charges 41"]


def test_a_fork_of_what_is_not_there_starts_nothing(hero: Hero) -> None:
    play = hero.run(BREAKS).json()["sid"]
    for args, kind in [
        (("--from", "nothing"), "span_not_found"),
        (("--output", "charges=1"), "span_not_found"),
        (("--answer", "nothing=1"), "request_not_found"),
    ]:
        refused = hero("fork", play, *args, "--json")
        error = json.loads(refused.stderr)["error"]
        assert (refused.code, error["kind"]) == (2, kind), refused
        assert error["hint"]
    assert len(hero.plays()) == 1


# --- Removing plays ------------------------------------------------------------------------------

QUICK = """
@flow
def quick(n: int = 1) -> int:
    return n

@flow
def asks() -> object:
    return flow.pause("q")
"""


def quick(hero: Hero) -> str:
    sid: str = hero("run", f"{hero.write(QUICK)}:quick", "--json").json()["sid"]
    return sid


def test_plays_are_deleted_with_all_that_is_stored_of_them(hero: Hero) -> None:
    one, two, three = (quick(hero) for _ in range(3))
    deleted = hero("delete", one, two, "--yes")
    assert (deleted.code, deleted.stderr) == (0, f"deleted {one}\ndeleted {two}\n")
    assert [play["sid"] for play in hero.plays()] == [three]
    for command in ("show", "logs", "delete"):
        assert json.loads(hero(command, one, "--json").stderr)["error"]["kind"] == "play_not_found"
    assert hero("delete", three, "--yes", "--json").json() == {"deleted": [three]}


def test_a_deletion_that_is_not_possible_as_a_whole_deletes_nothing(hero: Hero) -> None:
    done = quick(hero)
    asking = hero("run", f"{hero.write(QUICK)}:asks", "--json").json()["sid"]
    refused = hero("delete", done, asking, "--yes")
    assert refused.code == 2 and "has not ended" in refused.stderr and "cancel" in refused.stderr
    unasked = hero("delete", done)
    assert unasked.code == 2 and "--yes" in unasked.stderr
    assert len(hero.plays()) == 2


@pytest.mark.parametrize(("typed", "n_left"), [("y", 0), ("n", 1), ("", 1)])
def test_a_terminal_is_asked_before_a_play_is_deleted(hero: Hero, typed: str, n_left: int) -> None:
    sid = quick(hero)
    terminal = Terminal(hero, "delete", sid)
    terminal.read_until(f"Delete play {sid} (quick, success) with all that is stored of it? y/N")
    terminal.type(f"{typed}\r")
    assert terminal.read_to_the_end() == (0 if n_left == 0 else 2), terminal.seen
    assert len(hero.plays()) == n_left


def test_a_server_removes_what_ended_longer_ago_than_is_kept(hero: Hero) -> None:
    old = quick(hero)
    asking = hero("run", f"{hero.write(QUICK)}:asks", "--json").json()["sid"]
    hero.env["HERO_KEEP_DAYS"] = "0.00001"
    with hero.server() as server:
        eventually(lambda: old not in sids(server), "the old play to go")
        assert sids(server) == [asking]
        play = server.call("play_get", play_sid=asking)
        server.resume(play, "q", 1)
        eventually(lambda: sids(server) == [], "the other to go after its end")
    hero.env["HERO_KEEP_DAYS"] = "soon"
    refused = hero.spawn("hero_logic_server")
    assert refused.wait(timeout=60) == 2


# --- Server up, server down ----------------------------------------------------------------------

STEADY = """
@flow
def step(n: int) -> int:
    mark(f"{flow.current().sid} {n}")
    time.sleep(0.05)
    return n

@flow
def steady() -> int:
    return sum(step(n) for n in range(10))
"""


def test_a_restart_under_load_loses_no_play_and_repeats_no_step(hero: Hero) -> None:
    file = hero.write(STEADY)
    assert hero("--start").code == 0
    with ThreadPoolExecutor(8) as pool:
        started = [pool.submit(hero, "run", file, "--detach") for _ in range(24)]
        plays = [accepted(run.result()) for run in started]
        waits = [pool.submit(hero, "wait", play, "--json") for play in plays[:4]]
        eventually(lambda: len(hero.marks()) > 20, "work to be under way")
        assert hero("--stop").code == 0
        n_marks = len(hero.marks())
        assert n_marks < 240, "the stop came in the middle"
        assert hero("--start").code == 0
        for play in plays:
            ended = hero("wait", play, "--json")
            assert (ended.code, ended.json()["output_data"]) == (0, 45), ended
        assert [wait.result().code for wait in waits] == [0] * 4, "who waited was not sent away"
    # A step in which the server waited for it to end was acknowledged, and is not run again.
    assert sorted(hero.marks()) == sorted(f"{play} {n}" for play in plays for n in range(10))
    assert hero("--stop").code == 0


def accepted(run: Finished) -> str:
    assert run.code == 0, run
    return run.stdout.strip()


# --- The doctor ----------------------------------------------------------------------------------


def examined(hero: Hero, *args: object, python: str = "") -> tuple[int, dict[str, list[Json]]]:
    """The exit code of the doctor, and its checks by name."""
    finished = hero("doctor", *args, "--json", HERO_PYTHON=python)
    checks: dict[str, list[Json]] = {}
    for check in finished.json()["checks"]:
        checks.setdefault(check["name"], []).append(check)
    return finished.code, checks


def test_the_doctor_finds_nothing_where_nothing_is_wrong(hero: Hero) -> None:
    for prepare in (lambda: None, lambda: quick(hero)):
        prepare()
        shown = hero("doctor")
        assert shown.code == 0, shown
        assert {line.split()[0] for line in shown.stdout.splitlines()} == {"ok"}, shown
    assert "has `pyhero`" in shown.stdout and "1 play," in shown.stdout


def test_the_doctor_tells_of_an_interpreter_that_cannot_be_used(hero: Hero) -> None:
    code, checks = examined(hero, python="/no/such/python")
    (check,) = checks["interpreter"]
    assert (code, check["status"]) == (1, "fail")
    assert "/no/such/python" in check["message"] and "HERO_PYTHON" in check["hint"]


def test_the_doctor_reads_while_a_server_runs_and_disturbs_nobody(server: Server) -> None:
    hero = server.hero
    play = server.start(SLEEPS, input_data={"seconds": 2.0})["sid"]
    code, checks = examined(hero)
    assert code == 0, checks
    assert str(server.process.pid) in checks["server"][0]["message"]
    assert "in use by hero_logic_server" in checks["store"][0]["message"]
    repaired, refusal = examined(hero, "--repair")
    assert repaired == 1 and "in use by" in refusal["store"][0]["message"]
    assert server.ended(play)["status"] == "success"


def test_the_doctor_tells_what_a_killed_server_has_left(hero: Hero) -> None:
    server = hero.start_server()
    server.start(WAITS)
    hero.saw("begun")
    server.kill()
    code, checks = examined(hero)
    assert code == 0, checks
    assert "rpc.sock" in checks["sockets"][0]["message"] and checks["sockets"][0]["status"] == "warn"
    assert checks["launches"][0]["status"] == "warn"
    hero.touch("go")
    (play,) = hero.plays()
    assert hero.wait(play["sid"])["status"] == "success"
    assert [check["status"] for found in examined(hero)[1].values() for check in found] == ["ok"] * 7


WAITS = """
@flow
def waits() -> str:
    mark("begun")
    wait_for("go")
    return "done"
"""


def test_a_store_that_lost_its_tree_is_found_and_repaired_and_the_old_one_is_kept(hero: Hero) -> None:
    sid = quick(hero)
    store = hero.data_dir / "store"
    (store / "sled" / "log").unlink()
    assert hero("show", sid).code == 2, "nothing is taken for an empty store"
    found, checks = examined(hero)
    assert found == 1 and any("--repair" in (check["hint"] or "") for check in checks["store"])
    code, checks = examined(hero, "--repair")
    assert code == 0, checks
    (kept,) = hero.data_dir.glob("store.damaged-*")
    assert (kept / "format").exists()
    assert hero("run", f"{hero.write(QUICK)}:quick").code == 0
    shutil.rmtree(kept)
    assert examined(hero)[0] == 0


def test_the_doctor_finds_processes_that_are_left_over(hero: Hero) -> None:
    sid = quick(hero)
    span_socket = hero.socket.with_name("span.sock")
    left = hero.spawn("python", "-c", "import time; time.sleep(600)", HERO_SPAN_SOCKET=str(span_socket))
    try:
        (check,) = eventually(lambda: warned(hero, "processes"), "the process to be found")
        assert str(left.pid) in check["message"]
        hero.wait(sid)  # It carries, so it begins by clearing up.
        assert left.wait(timeout=30) != 0
        assert not processes.is_alive(left.pid)
    finally:
        left.kill()
        left.wait()


def warned(hero: Hero, name: str) -> list[Json]:
    return [check for check in examined(hero)[1][name] if check["status"] == "warn"]


def test_the_sockets_are_private(server: Server) -> None:
    directory = server.socket.parent
    assert mode(directory) == 0o700
    assert {name: mode(directory / name) for name in ("rpc.sock", "span.sock")} == {
        "rpc.sock": 0o600,
        "span.sock": 0o600,
    }


def mode(path: Path) -> int:
    return os.stat(path).st_mode & 0o7777


def status(server: Server, sid: str) -> str:
    found: str = server.call("play_get", play_sid=sid)["status"]
    return found


def sids(server: Server) -> list[str]:
    return [play["sid"] for play in items(server.call("play_list"))]
