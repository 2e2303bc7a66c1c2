"""Starts with a key: however often and by whomever they are asked for, there is one play."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import processes
from support.hero import Hero, Json, Server, items
from support.rpc import RpcFailure
from support.waiting import eventually

ORDERS = """
@flow
def ship(order: str) -> str:
    mark(f"shipped {order}")
    return order

@flow
def orders(order: str, amount: int = 1) -> str:
    return ship(order)
"""


def test_a_start_that_is_repeated_gives_the_play_that_it_made(hero: Hero) -> None:
    file = hero.write(ORDERS)
    with hero.server() as server:
        start = _start(server, file, "order 7")
        assert start["created"] is True
        ended = server.ended(start["sid"])
        again = _start(server, file, "order 7")
        assert again == ended | {"created": False}
        assert "created" not in ended
        assert server.call("play_run_async", **_order(hero, file, "order 7")) == start["sid"]
        other = _start(server, file, "order 8")
        assert other["created"] is True
        server.ended(other["sid"])
        assert server.call("play_start", **_order(hero, file, None))["created"] is True
        assert len(items(server.call("play_list"))) == 3


def test_the_key_is_looked_up_before_the_code_and_the_inputs(hero: Hero) -> None:
    file = hero.write(ORDERS)
    with hero.server() as server:
        first = _start(server, file, "order 7")
        file.write_text("from pyhero import flow\n@flow\ndef other(): ...\n")
        assert _start(server, file, "order 7")["sid"] == first["sid"]
        file.unlink()
        repeated = _start(server, file, "order 7", name="again", timeout_ms=1, working_dir="/no/such/place")
        assert (repeated["sid"], repeated["name"]) == (first["sid"], "orders")


@pytest.mark.parametrize(
    "changed",
    [
        {"input_data": {"order": "7", "amount": 2}},
        {"input_data": {"order": "8"}},
        {"flow": "ship"},
        {"file": "/another/file.py"},
        {"prefill_resumes": {"approve": True}},
        {"prefill_only": True},
    ],
)
def test_another_start_with_the_same_key_is_refused(hero: Hero, changed: Json) -> None:
    file = hero.write(ORDERS)
    with hero.server() as server:
        first = _start(server, file, "key")
        with pytest.raises(RpcFailure) as refused:
            _start(server, file, "key", **changed)
        assert refused.value.kind == "idempotency_conflict"
        assert first["sid"] in str(refused.value)
        assert len(items(server.call("play_list"))) == 1


@pytest.mark.parametrize("key", ["", "two\nlines", "x" * 256])
def test_what_is_no_key_is_refused(hero: Hero, key: str) -> None:
    with hero.server() as server, pytest.raises(RpcFailure) as refused:
        _start(server, hero.write(ORDERS), key)
    assert refused.value.kind == "invalid_params"


def test_a_key_lives_as_long_as_its_play(hero: Hero) -> None:
    file = hero.write(ORDERS)
    with hero.server() as server:
        first = _start(server, file, "key")["sid"]
        server.ended(first)
        retried = server.call("play_restart", play_sid=first)
        server.ended(retried["sid"])
        assert "idempotency_key" not in retried, "it is another play"
        server.call("play_delete", play_sid=first)
        second = _start(server, file, "key")
        assert second["created"] is True and second["sid"] != first


def test_64_starts_at_once_make_one_play(hero: Hero) -> None:
    file = hero.write(ORDERS)
    with hero.server() as server:
        with ThreadPoolExecutor(64) as callers:
            plays = list(callers.map(lambda _: _start(server, file, "key"), range(64)))
        assert len({play["sid"] for play in plays}) == 1
        assert [play["created"] for play in plays].count(True) == 1
        assert server.ended(plays[0]["sid"])["launch"] == 1
        assert len(items(server.call("play_list"))) == 1
        assert server.call("stats")["n_launches"] == 0
        assert processes.launches_in(hero.home) == [], "the starts that lost have left no process"
    assert hero.marks() == ["shipped 7"]


def test_a_start_that_is_repeated_after_a_crash_gives_the_play_that_goes_on(hero: Hero) -> None:
    file = hero.write(ORDERS)
    server = hero.start_server()
    sid = _start(server, file, "key")["sid"]
    server.kill()
    with hero.server() as restarted:
        again = _start(restarted, file, "key")
        assert (again["sid"], again["created"]) == (sid, False)
        restarted.ended(sid)
        assert len(items(restarted.call("play_list"))) == 1


@pytest.mark.parametrize("key", ["key", None])
def test_a_start_that_cannot_be_stored_leaves_no_process_and_no_trace(hero: Hero, key: str | None) -> None:
    file = hero.write(ORDERS)
    with hero.server() as server:
        server.ended(_start(server, file, "before")["sid"])  # What launches are forked from is there.
        no_room = _no_room_for_writes(server.process.pid, hero.home / "strace")
        with no_room, pytest.raises(RpcFailure) as refused:
            server.call("play_start", **_order(hero, file, key) | {"input_data": {"order": "lost"}})
        assert refused.value.kind == "store_unavailable"
        eventually(lambda: server.call("stats")["n_launches"] == 0, "the launch to be given up")
        assert processes.launches_in(hero.home) == []
    with hero.server() as server:
        assert len(items(server.call("play_list"))) == 1
        if key:
            assert _start(server, file, key)["created"] is True
    assert "shipped lost" not in hero.marks()


def test_a_run_with_a_key_follows_the_play_that_is_there(hero: Hero) -> None:
    file = hero.write(ORDERS)
    run = ["run", file, "--idempotency-key", "order 7", "-i"]
    first = hero(*run, "order=7")
    assert (first.code, first.stdout) == (0, "7\n"), first
    again = hero(*run, "order=7")
    assert (again.code, again.stdout) == (0, "7\n"), again
    assert "started before: " in again.stderr
    assert hero.marks() == ["shipped 7"]
    other = hero(*run, "order=8")
    assert other.code == 2 and "has started play" in other.stderr, other
    assert len(hero.plays()) == 1


def _order(hero: Hero, file: Path, key: str | None) -> Json:
    order = {
        "file": str(file),
        "flow": "orders",
        "input_data": {"order": "7"},
        "working_dir": str(hero.work_dir),
    }
    return order if key is None else order | {"idempotency_key": key}


def _start(server: Server, flows: Path, key: str, **params: Json) -> Json:
    return server.call("play_start", **_order(server.hero, flows, key) | params)


@contextmanager
def _no_room_for_writes(pid: int, log: Path) -> Iterator[None]:
    """The log of the store takes nothing more, as on a disk that is full."""
    command = ["strace", "-f", "-p", str(pid), "-o", str(log), "-e", "trace=pwrite64"]
    tracer = subprocess.Popen([*command, "-e", "inject=pwrite64:error=ENOSPC"], stderr=subprocess.DEVNULL)
    try:
        threads = [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
        eventually(lambda: all(_is_traced(pid, thread) for thread in threads), "strace to hold the server")
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def _is_traced(pid: int, thread: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/task/{thread}/status").read_text()
    except OSError:
        return True  # It has ended.
    return "TracerPid:\t0\n" not in status
