"""What a launch leaves behind goes with it, however it hides and however the launch ends."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from support import processes
from support.hero import Hero, Server
from support.waiting import eventually

from . import counts
from .checker import ORPHAN_SECONDS_MAX, check_nothing_is_left

HIDING = {
    "a child": [],
    "a group of its own": ["group"],
    "a session of its own": ["session"],
    "deaf": ["deaf"],
    "forked twice": ["twice"],
    "a daemon": ["twice", "session", "closed"],
    "a deaf daemon": ["twice", "session", "closed", "deaf"],
    "another program": ["twice", "session", "program"],
}
"""What a process does to outlive its launch."""

WITHOUT_ENVIRONMENT = {"another program without its environment": ["twice", "session", "program", "bare"]}
"""Only a supervisor that was there when it was started can tell whose it was."""

LEAVES = """
import signal

def leave(name: str, hides: list[str]) -> None:
    if os.fork():
        return
    if "twice" in hides and os.fork():
        os._exit(0)
    if "group" in hides:
        os.setpgrp()
    if "session" in hides:
        os.setsid()
    if "deaf" in hides:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    mark(f"{os.getpid()} {name}")
    if "closed" in hides:
        os.closerange(0, 256)
    if "program" in hides:
        env = {} if "bare" in hides else dict(os.environ)
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(100_000)"], env)
    while True:
        time.sleep(1_000)

@flow
def leaves(hiding: dict[str, list[str]], end: str) -> None:
    n_left = len(marks())
    for name, hides in hiding.items():
        leave(name, hides)
    while len(marks()) < n_left + len(hiding):
        time.sleep(0.01)
    if end == "raises":
        raise ValueError("the end")
    if end == "pauses":
        flow.pause("q")
    if end == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "exits":
        os._exit(3)
    if end == "hangs":
        time.sleep(100_000)

def marks() -> list[str]:
    return Path("marks.txt").read_text().splitlines() if Path("marks.txt").exists() else []
"""

END_SECONDS_MAX = 5.0 + ORPHAN_SECONDS_MAX
"""The grace of a process that does not hear SIGTERM, and then some."""


@pytest.fixture(autouse=True)
def _leave_nothing_to_the_next_test(hero: Hero) -> Iterator[None]:
    """Also ends what the programs under test have missed, and the directory of the test cannot tell of."""
    yield
    processes.kill([int(mark.split()[0]) for mark in hero.marks()])


@pytest.mark.parametrize("again", range(counts.ORPHAN_ROUNDS))
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("returns", "success"),
        ("raises", "failed"),
        ("pauses", "awaiting_resume"),
        ("dies", "failed"),
        ("exits", "failed"),
    ],
)
def test_a_launch_that_ends_takes_with_it_what_it_started(
    server: Server, end: str, status: str, again: int
) -> None:
    play = _start(server, HIDING | WITHOUT_ENVIRONMENT, end)
    assert server.settled(play)["status"] == status
    _assert_all_go(server.hero)


@pytest.mark.parametrize("again", range(counts.ORPHAN_ROUNDS))
def test_a_cancelled_launch_takes_with_it_what_it_started(server: Server, again: int) -> None:
    play = _start_hanging(server, HIDING | WITHOUT_ENVIRONMENT)
    server.call("play_cancel", play_sid=play)
    _assert_all_go(server.hero)


@pytest.mark.parametrize("again", range(counts.ORPHAN_ROUNDS))
def test_a_server_that_stops_leaves_nothing_behind(server: Server, again: int) -> None:
    _start_hanging(server, HIDING | WITHOUT_ENVIRONMENT)
    server.stop()
    _assert_all_go(server.hero)


@pytest.mark.parametrize("again", range(counts.ORPHAN_ROUNDS))
def test_what_a_killed_server_leaves_behind_goes_by_itself_or_with_the_next_one(
    hero: Hero, again: int
) -> None:
    server = hero.start_server()
    play = _start_hanging(server, HIDING)
    left = _left(hero)
    server.kill()
    with hero.server() as next_server:
        _assert_all_go(hero, left)
        next_server.call("play_cancel", play_sid=play)
        _assert_all_go(hero)
    check_nothing_is_left(hero.home)


def test_a_launch_takes_only_its_own(server: Server) -> None:
    staying = _start_hanging(server, HIDING)
    left = _left(server.hero)
    play = _start(server, {"for a moment": ["twice", "session"]}, "returns")
    assert server.settled(play)["status"] == "success"
    eventually(
        lambda: not any(processes.is_alive(pid) for pid in _left(server.hero).keys() - left.keys()),
        "the process of the other play to go",
    )
    assert all(map(processes.is_alive, left)), "processes of another play were ended"
    server.call("play_cancel", play_sid=staying)
    _assert_all_go(server.hero)


def _start(server: Server, hiding: dict[str, list[str]], end: str) -> str:
    sid: str = server.start(LEAVES, input_data={"hiding": hiding, "end": end})["sid"]
    return sid


def _start_hanging(server: Server, hiding: dict[str, list[str]]) -> str:
    play = _start(server, hiding, "hangs")
    eventually(lambda: len(_left(server.hero)) == len(hiding), "the processes to be there")
    assert all(map(processes.is_alive, _left(server.hero)))
    return play


def _left(hero: Hero) -> dict[int, str]:
    """What the launches have started so far: how it hides, by process id."""
    marks = [mark.split(" ", 1) for mark in hero.marks()]
    return {int(pid): name for pid, name in marks}


def _assert_all_go(hero: Hero, left: dict[int, str] | None = None) -> None:
    left = _left(hero) if left is None else left
    assert left
    with suppress(AssertionError):
        eventually(lambda: not any(map(processes.is_alive, left)), "them to go", END_SECONDS_MAX)
    assert [name for pid, name in left.items() if processes.is_alive(pid)] == [], "these are still there"
