"""Child plays: spawned once, waited for without a process, cancelled with their parent."""

import functools

import pytest

from faults.counts import faults
from support import processes
from support.hero import Json, Server, launches
from support.rpc import RpcFailure
from support.waiting import eventually

FAMILY = """
from pyhero import FlowCancelled, FlowFailed

@flow
def child(number: int) -> int:
    mark(f"child {number}")
    if number < 0:
        raise ValueError(f"no child {number}")
    if number >= 100:
        flow.pause("approve")
    return number * 2

@flow
def one(number: int) -> int:
    return flow.invoke(child, spawn=True, number=number) + 1

@flow
def many(n: int) -> list[int]:
    return flow.map(lambda number: flow.invoke(child, spawn=True, number=number), range(n))

@flow
def catches(number: int) -> str:
    try:
        return str(flow.invoke(child, spawn=True, number=number))
    except (FlowFailed, FlowCancelled) as error:
        return f"{type(error).__name__} {error.play_sid}"

@flow
def grandparent() -> int:
    return flow.invoke(one, spawn=True, number=100)

@flow
def asks_between(number: int) -> int:
    first = flow.invoke(child, spawn=True, number=number)
    for n in range(10):
        flow.pause(f"again[{n}]")
    return first
"""


def children(server: Server, parent: str) -> list[Json]:
    listed = server.call("play_list")["items"]
    plays = [server.call("play_get", play_sid=item["sid"]) for item in listed]
    return [play for play in plays if play.get("parent_play_sid") == parent]


def child_of(server: Server, parent: str) -> Json:
    (child,) = eventually(lambda: children(server, parent), "the child to start")
    return child


def test_a_child_is_a_play_of_its_own_and_its_output_comes_back(server: Server) -> None:
    play = server.start(FAMILY, flow="one", input_data={"number": 4})
    ended = server.ended(play["sid"])
    assert (ended["status"], ended["output_data"]) == ("success", 9), ended
    child = child_of(server, play["sid"])
    assert (child["name"], child["status"], child["output_data"]) == ("child", "success", 8)
    spans = server.call("play_spans", play_sid=play["sid"])["items"]
    subflow = [span for span in spans if span["kind"] == "subflow"]
    assert subflow[0]["child_play_sid"] == child["sid"]
    assert launches(subflow, "child")[-1] == (2, "ok")


def test_many_children_are_started_at_once_and_each_once(server: Server) -> None:
    play = server.start(FAMILY, flow="many", input_data={"n": 8})
    ended = server.ended(play["sid"])
    assert ended["output_data"] == [number * 2 for number in range(8)], ended
    assert sorted(server.hero.marks()) == [f"child {number}" for number in range(8)]


def test_a_parent_that_is_relaunched_ten_times_has_started_its_child_once(server: Server) -> None:
    play = server.start(FAMILY, flow="asks_between", input_data={"number": 3})
    for n in range(10):
        name = f"again[{n}]"
        waiting = eventually(functools.partial(asking, server, play["sid"], name), f"question {n}")
        server.resume(waiting, name, n)
    ended = server.ended(play["sid"])
    assert (ended["status"], ended["output_data"]) == ("success", 6)
    assert ended["launch"] >= 11
    assert server.hero.marks() == ["child 3"]
    assert len(children(server, play["sid"])) == 1


def asking(server: Server, sid: str, name: str) -> Json:
    play = server.call("play_get", play_sid=sid)
    is_asked = play["status"] == "awaiting_resume" and any(
        request["name"] == name for request in play["pending_resumes"]
    )
    return play if is_asked else None


@pytest.mark.parametrize("end", ["FlowFailed", "FlowCancelled"])
def test_the_end_of_a_child_that_did_not_succeed_is_raised_in_its_parent(server: Server, end: str) -> None:
    number = -1 if end == "FlowFailed" else 100
    play = server.start(FAMILY, flow="catches", input_data={"number": number})
    child = child_of(server, play["sid"])
    if end == "FlowCancelled":
        server.settled(child["sid"])
        server.call("play_cancel", play_sid=child["sid"])
    ended = server.ended(play["sid"])
    assert ended["output_data"] == f"{end} {child['sid']}", ended


def test_cancelling_a_play_cancels_its_descendants(server: Server) -> None:
    play = server.start(FAMILY, flow="grandparent")
    parent = child_of(server, play["sid"])
    child = child_of(server, parent["sid"])
    assert server.settled(child["sid"])["status"] == "awaiting_resume"
    server.call("play_cancel", play_sid=play["sid"])
    for sid in (play["sid"], parent["sid"], child["sid"]):
        assert server.ended(sid)["status"] == "cancelled"
    eventually(lambda: processes.launches_in(server.hero.home) == [], "their processes to be gone")


def test_a_child_request_is_not_answered_from_outside(server: Server) -> None:
    play = server.start(FAMILY, flow="one", input_data={"number": 100})
    waiting = eventually(lambda: asking(server, play["sid"], "child"), "the parent to wait")
    eventually(lambda: processes.launches_in(server.hero.home) == [], "both to wait without a process")
    with pytest.raises(RpcFailure) as refused:
        server.resume(waiting, "child", 7)
    assert refused.value.kind == "illegal_transition"
    child = child_of(server, play["sid"])
    server.resume(server.settled(child["sid"]), "approve", None)
    assert server.ended(play["sid"])["output_data"] == 201


def test_a_saved_workflow_is_spawned_by_its_name(server: Server) -> None:
    file = server.hero.write(FAMILY, name="saved.py")
    server.call("workflow_save", name="doubles", file=str(file), flow="child")
    source = """
@flow
def calls(target: str, number: object) -> int:
    return flow.invoke(target, spawn=True, number=number)
"""
    play = server.start(source, input_data={"target": "doubles", "number": 21})
    assert server.ended(play["sid"])["output_data"] == 42
    unknown = server.start(source, input_data={"target": "nobody", "number": 1})
    assert "nobody" in server.ended(unknown["sid"])["error"]["message"]
    misfit = server.start(source, input_data={"target": "doubles", "number": "x"})
    assert "do not fit" in server.ended(misfit["sid"])["error"]["message"]


def test_parents_that_wait_hold_no_process(server: Server) -> None:
    n_parents = faults(50, 1000)
    file, work_dir = str(server.hero.write(FAMILY)), str(server.hero.work_dir)
    server.call("workflow_save", name="parent", file=file, flow="one")
    start = {"workflow_sid": "parent", "input_data": {"number": 100}, "working_dir": work_dir}
    for _ in range(n_parents):
        server.call("play_run_async", **start)
    everyone = 2 * n_parents
    eventually(lambda: n_waiting(server) == everyone, f"{everyone} plays to wait", 600)
    eventually(lambda: processes.launches_in(server.hero.home) == [], "no process to be left")
    assert server.hero.marks() == ["child 100"] * n_parents


def n_waiting(server: Server) -> int:
    n, cursor = 0, None
    while True:
        page = server.call("play_list", status="awaiting_resume", **({"cursor": cursor} if cursor else {}))
        n, cursor = n + len(page["items"]), page["next_cursor"]
        if cursor is None:
            return n
