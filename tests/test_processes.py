"""Processes: what launches start, leave behind and die of, and what they see of their surroundings."""

from pathlib import Path

from support import processes
from support.hero import Hero, Server
from support.waiting import eventually

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL (`runtime/server/src/server.rs`)."""

# Ways to start a process that goes on. Each returns pids; `sleeper` runs in the new process.
STARTERS = """
import multiprocessing, signal, subprocess, time

SLEEP = ["sleep", "100000"]

def sleeper():
    time.sleep(100000)

def background():
    return [subprocess.Popen(SLEEP).pid]

def new_session():
    return [subprocess.Popen(SLEEP, start_new_session=True).pid]

def shell_daemon():
    command = "(setsid sleep 100000 >/dev/null 2>&1 & echo $!)"
    return [int(subprocess.check_output(command, shell=True))]

def double_fork():
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, str(os.getpid()).encode())
            os.close(write)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            sleeper()
        os._exit(0)
    os.wait()
    return [int(os.read(read, 100))]

def family():
    script = "trap '' TERM; echo $$; for n in 1 2 3; do sh -c 'echo $$; setsid sleep 100000' & done; wait"
    shell = subprocess.Popen(["setsid", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    return [int(shell.stdout.readline()) for _ in range(4)]

def multiprocess():
    worker = multiprocessing.get_context("fork").Process(target=sleeper, daemon=True)
    worker.start()
    return [worker.pid]

def without_environment():
    command = "(env -i setsid sleep 100000 >/dev/null 2>&1 & echo $!)"
    return [int(subprocess.check_output(command, shell=True))]

@flow
def leaves(how: str, go_on: bool = False) -> list:
    pids = globals()[how]()
    mark(" ".join([how, *map(str, pids)]))
    if go_on:
        wait_for("never")
    return pids

@flow
def leaves_and_dies(how: str) -> list:
    pids = globals()[how]()
    mark(" ".join([how, *map(str, pids)]))
    os._exit(0)
"""

WAYS = ["background", "new_session", "shell_daemon", "double_fork", "family", "multiprocess"]


def exist(pids: list[int]) -> list[int]:
    """Those that are still in the process table, dead or alive."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def marked(hero: Hero, way: str) -> list[int]:
    """The pids that a flow marked."""
    for mark in hero.marks():
        name, *pids = mark.split()
        if name == way:
            return [int(pid) for pid in pids]
    return []


def started(hero: Hero, way: str) -> list[int]:
    return eventually(lambda: marked(hero, way), f"{way} to begin")


# --- Nothing outlives a launch ---------------------------------------------------------------------


def test_whatever_a_launch_started_is_gone_when_its_play_has_ended(server: Server) -> None:
    stays = server.start(STARTERS, flow="leaves", input_data={"how": "shell_daemon", "go_on": True})["sid"]
    (sibling,) = started(server.hero, "shell_daemon")
    plays = {
        way: server.start(STARTERS, flow="leaves_and_dies", input_data={"how": way})["sid"]
        for way in WAYS
        if way != "shell_daemon"
    }
    for way, play in plays.items():
        assert server.ended(play)["error"]["kind"] == "no_result"
        pids = marked(server.hero, way)
        assert pids and not exist(pids), f"{way} left something behind"
    assert processes.is_alive(sibling), "what belongs to a launch that goes on is left alone"
    server.call("play_cancel", play_sid=stays)
    eventually(lambda: not exist([sibling]), "the daemon to be gone")


def test_a_process_without_environment_is_found_too(server: Server) -> None:
    play = server.start(STARTERS, flow="leaves", input_data={"how": "without_environment"})["sid"]
    (pid,) = server.ended(play)["output_data"]
    assert not exist([pid])


def test_orphans_that_end_while_their_launch_goes_on_are_reaped(server: Server) -> None:
    hero = server.hero
    server.start("""
    import subprocess

    @flow
    def leaves_dead_ones() -> None:
        command = "(setsid true >/dev/null & echo $!)"
        pids = [int(subprocess.check_output(command, shell=True)) for _ in range(5)]
        mark(" ".join(["dead", *map(str, pids)]))
        wait_for("never")
    """)
    pids = started(hero, "dead")
    server.ended(server.start("@flow\ndef ends():\n    pass\n")["sid"])
    eventually(lambda: not exist(pids), "the dead to be reaped")


def test_a_server_ends_what_an_earlier_one_left_when_it_was_killed(hero: Hero) -> None:
    server = hero.start_server()
    for way in WAYS:
        server.start(STARTERS, flow="leaves", input_data={"how": way, "go_on": True})
    pids = [pid for way in WAYS for pid in started(hero, way)]
    server.kill()
    hero.touch("never")
    assert any(map(processes.is_alive, pids)), "some of them do not die with their supervisor"
    with hero.server():
        assert not any(map(processes.is_alive, pids)), "they are gone before it answers"


# --- Launches that are hard to end -----------------------------------------------------------------

STUBBORN = """
import re, resource, signal, subprocess

def ignores_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mark(f"ignores_sigterm {os.getpid()}")
    while True:
        pass

def holds_the_gil():
    mark(f"holds_the_gil {os.getpid()}")
    re.match(r"(a+)+$", "a" * 60 + "b")

def is_stopped():
    mark(f"is_stopped {os.getpid()}")
    os.kill(os.getpid(), signal.SIGSTOP)

def is_stopped_and_ignores_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mark(f"is_stopped_and_ignores_sigterm {os.getpid()}")
    while True:
        os.kill(os.getpid(), signal.SIGSTOP)

def bombs():
    # Each process starts others as long as it lives; the depth keeps the machine of the test usable.
    script = "b() { [ $1 -gt 5 ] && sleep 1000; while :; do b $(($1 + 1)) & b $(($1 + 1)); done; }; b 1"
    subprocess.Popen(["bash", "-c", script], stderr=subprocess.DEVNULL)
    subprocess.Popen(["setsid", "bash", "-c", script], stderr=subprocess.DEVNULL)
    mark(f"bombs {os.getpid()}")
    wait_for("never")

def daemonises():
    command = "(setsid sh -c 'trap \\"\\" TERM; sleep 100000; :' >/dev/null 2>&1 & echo $!)"
    pid = int(subprocess.check_output(command, shell=True))
    mark(f"daemonises {os.getpid()} {pid}")
    wait_for("never")

@flow
def stubborn(how: str) -> None:
    globals()[how]()
"""

HARD = [
    "ignores_sigterm",
    "holds_the_gil",
    "is_stopped",
    "is_stopped_and_ignores_sigterm",
    "bombs",
    "daemonises",
]

SIBLING = """
@flow
def counts(number: int) -> int:
    mark(f"counted {number}")
    return number

@flow
def sibling() -> int:
    number = 0
    while not Path("enough").exists():
        number += counts(1)
        time.sleep(0.05)
    return number
"""


def test_launches_that_do_not_want_to_end_end_within_the_grace(server: Server) -> None:
    hero = server.hero
    sibling = server.start(SIBLING)["sid"]
    plays = {how: server.start(STUBBORN, input_data={"how": how})["sid"] for how in HARD}
    pids = {how: started(hero, how) for how in HARD}
    for play in plays.values():
        assert server.call("play_cancel", play_sid=play)["status"] == "cancelled"
    left = [pid for how in HARD for pid in pids[how]]
    eventually(lambda: not exist(left), f"them to be gone ({pids})", GRACE_SECONDS + 10)
    eventually(lambda: len(descendants_of(server.process.pid)) == 1, "only the sibling to be left")
    (of_the_sibling,) = descendants_of(server.process.pid)
    n_counted = len(hero.marks())
    eventually(lambda: len(hero.marks()) > n_counted, "the sibling to go on")
    assert processes.is_alive(of_the_sibling)
    hero.touch("enough")
    play = server.ended(sibling)
    assert (play["status"], play["launch"]) == ("success", 1)
    assert descendants_of(server.process.pid) == []


def descendants_of(parent: int) -> list[int]:
    """The processes below this one, dead or alive."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # It has gone meanwhile.
            continue
    found = [parent]
    for above in found:
        found += [pid for pid, its_parent in parents.items() if its_parent == above]
    return found[1:]
