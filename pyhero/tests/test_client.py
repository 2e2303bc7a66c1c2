"""`Client` against a server that is really there."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta
from pathlib import Path

import pyhero
import pytest
from pyhero import ArgumentError, Client, ConnectionFailed, RpcError
from pyhero._client import default_socket

FLOW = """
from pyhero import ask_user, flow

@flow
def release(version: str) -> str:
    flow.log("asking", "warning")
    return f"{version} {ask_user.confirm('approve', 'Ship it?')}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flow.py"
    path.write_text(textwrap.dedent(FLOW))
    return path


def test_a_play_is_started_answered_and_read(client: Client, file: Path) -> None:
    sid = client.run_async(file=file, inputs={"version": "1"}, name="mine")
    assert client.wait(sid, until="settled")["status"] == "awaiting_resume"
    assert client.wait(sid, timeout=0.01)["status"] == "awaiting_resume", "as it is when the time has passed"
    (request,) = client.pending_resumes(sid)
    assert client.resume(sid, request["id"], True)["ok"] is True
    play = client.wait(sid)
    assert (play["status"], play["output_data"], play["name"]) == ("success", "1 True", "mine")
    assert client.resume(sid, request["id"], True)["already"] is True
    assert sid in [item["sid"] for item in client.list(status="success")["items"]]
    assert "asking" in [line["text"] for line in client.logs(sid, level="warning")["items"]]
    assert {span["name"] for span in client.spans(sid)["items"]} == {"release", "approve"}


def test_answers_given_ahead_and_plays_ended_from_outside(client: Client, file: Path) -> None:
    first = client.start(file=file, inputs={"version": "1"}, prefill={"app*": False})
    assert client.wait(first["sid"])["output_data"] == "1 False"
    second = client.start(file=file, inputs={"version": "2"})["sid"]
    client.wait(second, until="settled")
    client.prefill(second, {"approve": True})
    assert client.wait(second)["output_data"] == "2 True"
    third = client.start(file=file, inputs={"version": "3"})["sid"]
    assert client.cancel(third)["status"] == "cancelled"


def test_plays_are_started_anew(client: Client, file: Path) -> None:
    done = client.start(file=file, inputs={"version": "1"}, prefill={"approve": True})["sid"]
    assert client.wait(done)["output_data"] == "1 True"
    forked = client.fork(done, answers={"approve": False})["sid"]
    assert client.wait(forked)["output_data"] == "1 False"
    restarted = client.restart(done)["sid"]
    assert restarted != done
    assert client.wait(restarted)["output_data"] == "1 True", "what was given ahead is given again"
    cancelled = client.start(file=file, inputs={"version": "1"})["sid"]
    client.cancel(cancelled)
    retried = client.retry(cancelled)["sid"]
    (request,) = client.wait(retried, until="settled")["pending_resumes"]
    client.resume(retried, request["id"], True)
    assert client.wait(retried)["output_data"] == "1 True"


def test_a_fork_begins_at_a_span_and_may_take_other_outputs(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "steps.py"
    path.write_text(
        textwrap.dedent("""
        from pyhero import flow

        @flow
        def draw(n: int) -> float:
            return flow.random()

        @flow
        def main() -> list:
            return [draw(1), draw(2)]
        """)
    )
    play = client.wait(client.run_async(file=path))
    first, second = (s["span_id"] for s in client.spans(play["sid"])["items"] if s["name"] == "draw")
    later = client.wait(client.fork(play["sid"], from_span=second)["sid"])["output_data"]
    assert later[0] == play["output_data"][0] and later[1] != play["output_data"][1]
    other = client.wait(client.fork(play["sid"], outputs={first: 0.5})["sid"])["output_data"]
    assert other[0] == 0.5 and other[1] != play["output_data"][1], "what came after it runs anew"


def test_a_play_ends_in_time_and_can_be_deleted(client: Client, file: Path) -> None:
    sid = client.start(file=file, inputs={"version": "1"}, timeout=0.5)["sid"]
    assert client.wait(sid, timeout=60)["status"] == "timed_out"
    client.delete(sid)
    with pytest.raises(pyhero.PlayNotFound):
        client.get(sid)
    with pytest.raises(ArgumentError, match="the timeout of a play cannot be -1"):
        client.start(file=file, timeout=-1)


def test_a_start_with_a_key_makes_one_play(client: Client, file: Path) -> None:
    first = client.start(file=file, inputs={"version": "1"}, idempotency_key="order 7")
    again = client.start(file=file, inputs={"version": "1"}, idempotency_key="order 7")
    assert (first["created"], again["created"], again["sid"]) == (True, False, first["sid"])
    assert client.run_async(file=file, inputs={"version": "1"}, idempotency_key="order 7") == first["sid"]
    with pytest.raises(pyhero.IdempotencyConflict, match="with other inputs"):
        client.start(file=file, inputs={"version": "2"}, idempotency_key="order 7")


def test_workflows_are_saved_and_started_by_name(client: Client, file: Path) -> None:
    saved = client.workflow_save("release", file)
    assert client.workflow_get("release")["workflow"]["sid"] == saved["sid"]
    assert [workflow["name"] for workflow in client.workflow_list()["items"]] == ["release"]
    play = client.start("release", inputs={"version": "1"}, prefill={"approve": True})
    assert client.wait(play["sid"])["workflow_sid"] == saved["sid"]


def test_refusals_are_errors_to_branch_on(client: Client, file: Path) -> None:
    with pytest.raises(pyhero.PlayNotFound) as not_found:
        client.get("01jqnothing")
    assert (not_found.value.kind, not_found.value.code) == ("play_not_found", -32001)
    assert isinstance(not_found.value, LookupError)
    with pytest.raises(pyhero.WorkflowNotFound):
        client.start("nothing")
    with pytest.raises(pyhero.InputMismatch):
        client.start(file=file, inputs={"version": 1})
    with pytest.raises(pyhero.InvalidName):
        client.workflow_save("a/b", file)
    with pytest.raises(RpcError) as unreadable:
        client.start(file="/does/not/exist.py")
    assert unreadable.value.kind == "file_unreadable"
    sid = client.start(file=file, inputs={"version": "1"})["sid"]
    (request,) = client.wait(sid, until="settled")["pending_resumes"]
    with pytest.raises(pyhero.RequestNotFound):
        client.resume(sid, "0" * 40, True)
    with pytest.raises(pyhero.PayloadMismatch):
        client.resume(sid, request["id"], "yes")
    client.resume(sid, request["id"], True)
    with pytest.raises(pyhero.ResumeConflict):
        client.resume(sid, request["id"], False)


def test_without_a_server_the_connection_fails(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        Client(tmp_path / "nobody.sock").list()
    assert caught.value.kind == "server_unreachable"
    assert isinstance(caught.value, ConnectionError)


def test_what_is_wrong_on_this_side_is_told_before_anything_is_sent() -> None:
    client = Client("/nobody")
    with pytest.raises(ArgumentError, match="from a workflow or from a file"):
        client.start()
    with pytest.raises(ArgumentError, match=r"""value\["input_data"\]\["ids"\]: set has no JSON form"""):
        client.start("w", inputs={"ids": {1}})


def test_a_waiting_call_can_be_interrupted(client: Client, file: Path) -> None:
    sid = client.start(file=file, inputs={"version": "1"})["sid"]
    code = f"from pyhero import Client; print('waits', flush=True); Client({client.socket!r}).wait({sid!r})"
    waiting = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert waiting.stdout is not None
    waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    _, stderr = waiting.communicate(timeout=10)
    assert "KeyboardInterrupt" in stderr


ENVIRONMENTS = [
    ({"HERO_RPC_SOCKET": "/r.sock", "HERO_SOCKET_DIR": "/s", "HERO_HOME": "/h"}, "/r.sock"),
    ({"HERO_SOCKET_DIR": "/s", "HERO_HOME": "/h"}, "/s/hero_logic/rpc.sock"),
    ({"HERO_HOME": "/h"}, "/h/var/sockets/hero_logic/rpc.sock"),
    ({"HOME": "/u"}, "/u/hero/var/sockets/hero_logic/rpc.sock"),
]


@pytest.mark.parametrize(("environment", "socket"), ENVIRONMENTS)
def test_the_socket_is_found_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], socket: str
) -> None:
    for name in ("HERO_RPC_SOCKET", "HERO_SOCKET_DIR", "HERO_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_socket() == socket


def test_schedules_are_made_read_run_and_removed(client: Client, file: Path) -> None:
    client.workflow_save("release", file)
    with pytest.raises(ArgumentError, match="time zone"):
        client.schedule_add("release", at=datetime(2100, 1, 1))
    with pytest.raises(pyhero.ScheduleInvalid):
        client.schedule_add("release", cron="0 25 * * *", inputs={"version": "1"})
    added = client.schedule_add(
        "release",
        cron="30 2 * * *",
        time_zone="Europe/Berlin",
        inputs={"version": "1"},
        jitter=60,
        name="nightly",
    )
    assert len(added["upcoming"]) == 5
    assert client.schedule_get("nightly") == added
    assert client.schedule_list()["items"] == [added]
    with pytest.raises(pyhero.ScheduleExists):
        client.schedule_add("release", every=timedelta(hours=1), inputs={"version": "1"}, name="nightly")
    assert client.schedule_pause("nightly")["schedule"]["state"] == "paused"
    assert client.schedule_unpause("nightly")["schedule"]["state"] == "active"
    ran = client.schedule_run("nightly")
    assert client.wait(ran["firing"]["outcome"]["started"]["play_sid"], until="settled")["name"] == "nightly"
    (item,) = client.schedule_history("nightly")["items"]
    assert (item["firing"], item["play_status"]) == (ran["firing"], "awaiting_resume")
    client.schedule_delete("nightly")
    with pytest.raises(pyhero.ScheduleNotFound):
        client.schedule_get("nightly")
