"""The process of a play ends in every way that a process can end; the play gets the documented status."""

import random
import signal
from collections.abc import Callable

import pytest

from support import processes
from support.hero import Hero, Server
from support.waiting import eventually

from . import counts
from .checker import Tally, check, check_no_panic, check_nothing_is_left
from .crowd import crowd
from .history import Ledger

LAUNCHES_WITHOUT_PROGRESS = 4
"""One, and three more."""

# --- At any moment ------------------------------------------------------------------------------

PLAYS_IN_FLIGHT = 6
LONG = range(20, 40)
"""How many steps a play has: so many that one under way is still there when it is to be killed."""


@pytest.mark.parametrize(
    "death", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda death: death.name
)
def test_a_process_killed_at_any_moment_is_replaced_and_repeats_nothing(
    hero: Hero, ledger: Ledger, summary: Callable[[str], None], death: signal.Signals
) -> None:
    chances = counts.chances(f"process kills {death.name}")
    tally = Tally(counts.CHILD_DEATHS // 3)
    victims: set[int] = set()
    with hero.server() as server, crowd(hero, ledger, chances, PLAYS_IN_FLIGHT, LONG) as plays:
        while tally.n_faults < tally.n_planned:
            victim = eventually(lambda: _a_victim(server, ledger, chances, victims), "a launch under way")
            victims.add(victim)
            if processes.kill([victim], death):
                tally.landed(in_flight=True)
        ended = plays.settle()
    check_nothing_is_left(hero.home)
    check(ledger.history(), ended)
    check_no_panic(hero)
    summary(f"process ended by {death.name}: {tally}, {len(ended)} plays")
    tally.check()


def _a_victim(server: Server, ledger: Ledger, chances: random.Random, spared: set[int]) -> int:
    """A launch that has made progress: else four deaths in a row would rightly fail its play. 0 for none."""
    history = ledger.history()
    effects = {event["nonce"]: event["pid"] for event in history if event["what"] == "effect"}
    progressed = {
        event["pid"]
        for event in history
        if event["what"] == "acked" and effects[event["nonce"]] == event["pid"]
    }
    alive = progressed.intersection(processes.launches_in(server.hero.home)) - spared
    return chances.choice(sorted(alive)) if alive else 0


# --- By every signal and every code -------------------------------------------------------------

SIGNALS = [
    signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,
    signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGXCPU, signal.SIGALRM, signal.SIGUSR1,
]  # fmt: skip

DIES_BY_SIGNAL = """
@flow
def dies(number: int, times: int) -> str:
    path = Path(f"{number} {times}")
    launch = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (launch + 1))
    if launch < times:
        os.kill(os.getpid(), number)
    return "survived"
"""


def test_every_signal_is_survived_thrice_and_then_fails_the_play_with_its_cause(server: Server) -> None:
    started = {
        (number, times): server.start(DIES_BY_SIGNAL, input_data={"number": number, "times": times})["sid"]
        for number in SIGNALS
        for times in (1, LAUNCHES_WITHOUT_PROGRESS)
    }
    for (number, times), sid in started.items():
        play = server.ended(sid)
        if times < LAUNCHES_WITHOUT_PROGRESS:
            assert (play["status"], play["output_data"]) == ("success", "survived"), play
            assert play["launch"] == times + 1
        else:
            assert (play["status"], play["error"]["kind"]) == ("failed", "crashed"), play
            assert f"signal {int(number)}" in play["error"]["message"], play["error"]
            assert play["launch"] == LAUNCHES_WITHOUT_PROGRESS


DEATHS_BY_ACCIDENT = {
    "a wild pointer": ("ctypes.string_at(8)", "SIGSEGV"),
    "an abort": ("os.abort()", "SIGABRT"),
    "a call of nothing": ("ctypes.CFUNCTYPE(None)(0)()", "SIGSEGV"),
}


@pytest.mark.parametrize(("accident", "cause"), DEATHS_BY_ACCIDENT.values(), ids=DEATHS_BY_ACCIDENT)
def test_a_crash_names_its_signal(server: Server, accident: str, cause: str) -> None:
    sid = server.start(f"""
    import ctypes

    @flow
    def crashes() -> None:
        {accident}
    """)["sid"]
    error = server.ended(sid)["error"]
    assert error["kind"] == "crashed" and cause in error["message"], error


def test_an_exit_code_behind_an_open_question_fails_the_play_and_only_75_waits(server: Server) -> None:
    others = counts.chances("exit codes").sample(range(256), counts.EXIT_CODES)
    source = """
    @flow
    def leaves(code: int) -> None:
        try:
            flow.pause("q")
        finally:
            os._exit(code)
    """
    sids = {
        code: server.start(source, input_data={"code": code})["sid"] for code in {0, 1, 2, 75, 255, *others}
    }
    for code, sid in sids.items():
        play = server.settled(sid)
        if code == 75:
            assert play["status"] == "awaiting_resume", play
        else:
            assert (play["status"], play["error"]["kind"]) == ("failed", "request_without_pause"), (
                code,
                play,
            )


def test_a_process_that_runs_out_of_memory_fails_its_play_alone(server: Server) -> None:
    hungry = server.start("""
    import resource

    @flow
    def hungry() -> int:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        return len(bytearray(10 << 30))
    """)
    modest = server.start("@flow\ndef modest() -> int:\n    return 1\n")
    play = server.ended(hungry["sid"])
    assert (play["status"], play["error"]["kind"]) == ("failed", "exception")
    assert "MemoryError" in play["error"]["message"]
    assert server.ended(modest["sid"])["output_data"] == 1


# --- That do not end ------------------------------------------------------------------------------

HANGS = {
    "sleeps": "time.sleep(100_000)",
    "spins": "while True: pass",
    "holds the interpreter": 're.match("(a+)+b", "a" * 64)',
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        time.sleep(100_000)",
    "blocks all signals": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n        time.sleep(100_000)"
    ),
    "waits for a lock": "lock = threading.Lock()\n        lock.acquire()\n        lock.acquire()",
    "waits for a thread": "threading.Thread(target=time.sleep, args=[100_000]).start()",
    "waits for itself": "import asyncio\n        asyncio.run(asyncio.Event().wait())",
}

GRACE_SECONDS = 5.0


def test_whatever_hangs_can_be_cancelled_and_its_process_goes(server: Server) -> None:
    hero = server.hero
    plays = [server.start(_hanging(does)) for does in HANGS.values()]
    healthy = server.start('@flow\ndef waits() -> int:\n    wait_for("go")\n    return 1\n')
    eventually(lambda: len(hero.marks()) == len(HANGS), "the plays to hang")
    pids = [int(pid) for pid in hero.marks()]
    assert all(processes.is_alive(pid) for pid in pids)
    for play in plays:
        assert server.call("play_cancel", play_sid=play["sid"])["status"] == "cancelled"
    eventually(
        lambda: not any(processes.is_alive(pid) for pid in pids),
        "the processes to be gone",
        deadline_seconds=GRACE_SECONDS + 5,
    )
    hero.touch("go")
    assert server.ended(healthy["sid"])["output_data"] == 1, "its neighbours are left alone"
    assert {server.ended(play["sid"])["status"] for play in plays} == {"cancelled"}


def _hanging(does: str) -> str:
    return f"""
    import re, signal, threading

    @flow
    def hangs() -> None:
        mark(os.getpid())
        {does}
    """
