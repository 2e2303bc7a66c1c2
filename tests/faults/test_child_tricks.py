"""Flows that fork, start processes, close files, handle signals and worse: steps go on as if nothing was."""

import pytest

from support import processes
from support.hero import Json, Server, items
from support.waiting import eventually

from . import counts

HEADER = """
import asyncio, atexit, concurrent.futures, ctypes, multiprocessing, resource, signal, subprocess, threading

@flow
def step(n: int) -> int:
    mark(f"{play()} step {n}")
    return n + 1

@flow
async def step_in_task(n: int) -> int:
    mark(f"{play()} step {n}")
    await asyncio.sleep(0)
    return n + 1

def play() -> str:
    return flow.current().sid

@flow
def plain(n: int) -> int:
    return n + 1

def square(n: int) -> int:
    return n * n
"""

# Each returns 6 = 1 + 2 + 3, by the steps 0, 1 and 2, whatever it does besides.
TRICKS = {
    "forks and waits": """
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        return sum(step(n) for n in range(3))
    """,
    "forks between steps": """
        total = 0
        for n in range(3):
            if os.fork() == 0:
                os._exit(0)
            total += step(n)
            os.wait()
        return total
    """,
    "calls steps in a fork": """
        if os.fork() == 0:
            os._exit(plain(6))
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
        return sum(step(n) for n in range(3))
    """,
    "leaves a fork behind": """
        if os.fork() == 0:
            time.sleep(100_000)
        return sum(step(n) for n in range(3))
    """,
    "ends in a fork as a script does": """
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
        return sum(step(n) for n in range(3))
    """,
    "uses a pool of forks": """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(square, range(3)) == [0, 1, 4]
        return sum(step(n) for n in range(3))
    """,
    "uses a pool of spawned processes": """
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.map(square, range(3)) == [0, 1, 4]
        return sum(step(n) for n in range(3))
    """,
    "uses a pool of a fork server": """
        with multiprocessing.get_context("forkserver").Pool(2) as pool:
            assert pool.map(square, range(3)) == [0, 1, 4]
        return sum(step(n) for n in range(3))
    """,
    "uses a process pool executor": """
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            assert list(pool.map(square, range(3))) == [0, 1, 4]
        return sum(step(n) for n in range(3))
    """,
    "runs programs": """
        for n in range(3):
            assert subprocess.run([sys.executable, "-c", f"print({n})"], capture_output=True).stdout
        return sum(step(n) for n in range(3))
    """,
    "prints from many processes at once": """
        talkers = [subprocess.Popen(["sh", "-c", "for i in 1 2 3 4 5; do echo out; echo err >&2; done"])
                   for _ in range(5)]
        total = sum(step(n) for n in range(3))
        for talker in talkers:
            talker.wait()
        return total
    """,
    "changes the directory": """
        here = os.getcwd()
        os.chdir("/")
        assert plain(1) == 2
        os.chdir(here)
        return sum(step(n) for n in range(3))
    """,
    "masks all permissions": """
        os.umask(0o777)
        total = sum(step(n) for n in range(3))
        os.umask(0o022)
        return total
    """,
    "handles every signal": """
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, lambda *_: None)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        return sum(step(n) for n in range(3))
    """,
    "is interrupted a thousand times a second": """
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        total = sum(step(n) for n in range(3))
        signal.setitimer(signal.ITIMER_REAL, 0)
        return total
    """,
    "ignores SIGCHLD": """
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        subprocess.run(["true"])
        return sum(step(n) for n in range(3))
    """,
    "lets SIGPIPE kill": """
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        return sum(step(n) for n in range(3))
    """,
    "closes its standard files": """
        for number in (0, 1, 2):
            os.close(number)
        return sum(step(n) for n in range(3))
    """,
    "closes its streams": """
        sys.stdout.close()
        sys.stderr.close()
        sys.stdin = sys.stdout = sys.stderr = None
        return sum(step(n) for n in range(3))
    """,
    "forgets its environment": """
        os.environ.clear()
        return sum(step(n) for n in range(3))
    """,
    "may open no more files": """
        step(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
        return 1 + sum(step(n) for n in range(1, 3))
    """,
    "is nice": """
        os.nice(19)
        return sum(step(n) for n in range(3))
    """,
    "calls a step at its exit": """
        atexit.register(lambda: time.sleep(0.01))
        return sum(step(n) for n in range(3))
    """,
    "leaves a daemon thread": """
        threading.Thread(target=time.sleep, args=[100_000], daemon=True).start()
        return sum(step(n) for n in range(3))
    """,
    "runs an event loop": """
        async def main():
            return sum(await asyncio.gather(*(step_in_task(n) for n in range(3))))
        return asyncio.run(main())
    """,
    "runs an event loop in each of its threads": """
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            return sum(pool.map(lambda n: asyncio.run(step_in_task(n)), range(3)))
    """,
    "runs event loops in an event loop": """
        async def main():
            return sum([await asyncio.to_thread(lambda n=n: asyncio.run(step_in_task(n))) for n in range(3)])
        return asyncio.run(main())
    """,
    "starts two hundred threads": """
        threads = [threading.Thread(target=time.sleep, args=[0.05]) for _ in range(200)]
        for thread in threads:
            thread.start()
        total = sum(step(n) for n in range(3))
        for thread in threads:
            thread.join()
        return total
    """,
    "replaces the excepthook and the tracer": """
        sys.excepthook = threading.excepthook = None
        sys.settrace(lambda *_: None)
        total = sum(step(n) for n in range(3))
        sys.settrace(None)
        return total
    """,
    "lives on after its parent's death signal was taken away": """
        ctypes.CDLL(None).prctl(1, 0)
        return sum(step(n) for n in range(3))
    """,
}


UNDISTURBED = {
    "status": "success",
    "output": 6,
    "launch": 1,
    "steps that ran": ["step 0", "step 1", "step 2"],
    "spans of steps": ["ok", "ok", "ok"],
    "error": None,
}


def test_tricks_of_a_flow_disturb_neither_its_steps_nor_its_neighbours(server: Server) -> None:
    for _ in range(counts.TRICK_ROUNDS):
        plays = {trick: server.start(_source(trick), flow="tricky") for trick in TRICKS}
        seen = {trick: _seen(server, server.ended(play["sid"])) for trick, play in plays.items()}
        assert {trick: what for trick, what in seen.items() if what != UNDISTURBED} == {}
    eventually(lambda: not _left(server), "all processes of the plays to be gone")


def _left(server: Server) -> list[int]:
    """The launches that are still there, and what a play has started; not those that wait for a launch."""
    return [
        pid
        for pid in processes.belonging_to(server.hero.home)
        if pid != server.process.pid and not processes.waits_for_a_launch(pid)
    ]


def _source(trick: str) -> str:
    body = TRICKS[trick].replace("\n        ", "\n    ")
    return f"{HEADER}\n\n@flow\ndef tricky() -> int:{body}"


def _seen(server: Server, play: Json) -> Json:
    """What became of the play, to be compared."""
    marks = [mark.split(" ", 1) for mark in server.hero.marks()]
    spans = items(server.call("play_spans", play_sid=play["sid"]))
    return {
        "status": play["status"],
        "output": play.get("output_data"),
        "launch": play["launch"],
        "steps that ran": sorted(what for sid, what in marks if sid == play["sid"]),
        "spans of steps": [span["status"] for span in spans if span["name"].startswith("step")],
        "error": play.get("error"),
    }


CUTS_ITSELF_OFF = {
    "closes all its files": "os.closerange(3, 1024)",
    "puts other files in their place": (
        'null = os.open("/dev/null", os.O_RDWR); [os.dup2(null, number) for number in range(3, null)]'
    ),
}


@pytest.mark.parametrize("does", CUTS_ITSELF_OFF.values(), ids=CUTS_ITSELF_OFF)
def test_a_flow_that_cuts_itself_off_fails_alone_and_says_why(server: Server, does: str) -> None:
    neighbour = server.start('@flow\ndef waits() -> int:\n    wait_for("go")\n    return 1\n')
    sid = server.start(f"""
    @flow
    def step(n: int) -> int:
        return n

    @flow
    def cuts_itself_off() -> None:
        step(1)
        {does}
        step(2)
    """)["sid"]
    play = server.ended(sid)
    assert (play["status"], play["error"]["kind"]) == ("failed", "crashed"), play
    # The standard library of Rust aborts by itself where it was built with checks.
    assert any(cause in play["error"]["message"] for cause in ("exited 70", "SIGABRT")), play["error"]
    server.hero.touch("go")
    assert server.ended(neighbour["sid"])["output_data"] == 1
