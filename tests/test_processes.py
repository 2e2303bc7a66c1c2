"""Processes: what launches start, leave behind and die of, and what they see of their surroundings."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support import processes
from support.hero import Hero, Json, Server, items
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
    play = server.start("""
    import subprocess

    @flow
    def leaves_dead_ones() -> None:
        command = "(setsid true >/dev/null & echo $!)"
        pids = [int(subprocess.check_output(command, shell=True)) for _ in range(5)]
        mark(" ".join(["dead", *map(str, pids)]))
        wait_for("reaped")
    """)["sid"]
    pids = started(hero, "dead")
    server.ended(server.start("@flow\ndef ends():\n    pass\n")["sid"])
    eventually(lambda: not exist(pids), "the dead to be reaped")
    hero.touch("reaped")
    assert server.ended(play)["status"] == "success"


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
    eventually(lambda: len(of_launches(server)) == 1, "only the sibling to be left")
    (of_the_sibling,) = of_launches(server)
    n_counted = len(hero.marks())
    eventually(lambda: len(hero.marks()) > n_counted, "the sibling to go on")
    assert processes.is_alive(of_the_sibling)
    hero.touch("enough")
    play = server.ended(sibling)
    assert (play["status"], play["launch"]) == ("success", 1)
    assert of_launches(server) == []


def test_launches_that_do_not_want_to_end_end_at_their_deadline(server: Server) -> None:
    hero = server.hero
    sibling = server.start(SIBLING)["sid"]
    hard = ["holds_the_gil", "is_stopped", "daemonises"]
    plays = {how: server.start(STUBBORN, input_data={"how": how}, timeout_ms=5_000)["sid"] for how in hard}
    left = [pid for how in hard for pid in started(hero, how)]
    for play in plays.values():
        ended = server.ended(play)
        assert ended["status"] == "timed_out"
        assert ended["ended_at"] >= ended["started_at"] + 5_000_000
    eventually(lambda: not exist(left), "them to be gone", GRACE_SECONDS + 10)
    hero.touch("enough")
    assert server.ended(sibling)["status"] == "success"
    assert of_launches(server) == []


def test_a_huge_allocation_ends_at_the_limit_of_memory(server: Server) -> None:
    play = server.start("""
    @flow(memory="500MB")
    def eats() -> int:
        return len(bytearray(10 << 30))
    """)["sid"]
    ended = server.ended(play)
    assert (ended["status"], ended["launch"]) == ("failed", 1)
    assert "MemoryError" in ended["error"]["message"]
    assert of_launches(server) == []


def of_launches(server: Server) -> list[int]:
    """The processes below the server, dead or alive, but for those that wait to become a launch."""
    return [pid for pid in descendants_of(server.process.pid) if not is_ready(pid)]


def is_ready(pid: int) -> bool:
    """Whether it is a fork server, or a fork of one that has no play yet."""
    try:
        command, name = (Path(f"/proc/{pid}/{file}").read_text() for file in ("cmdline", "comm"))
    except OSError:  # It has gone meanwhile.
        return True
    return "pyhero._fork_server" in command and not name.startswith("hero:")


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


# --- What a process died of ------------------------------------------------------------------------

DEATHS = [
    ("ctypes.string_at(0)", "was killed by SIGSEGV (signal 11)"),
    ("os.abort()", "was killed by SIGABRT (signal 6)"),
    ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL (signal 9)"),
    ("os.kill(os.getpid(), signal.SIGXCPU)", "used up the processor time it may have (RLIMIT_CPU)"),
    ("writes_too_much()", "wrote a larger file than it may (RLIMIT_FSIZE)"),
    ("os._exit(7)", "exited 7"),
]


@pytest.mark.parametrize(("death", "cause"), DEATHS, ids=[row[0] for row in DEATHS])
def test_the_cause_of_a_death_is_told_exactly_and_everywhere(server: Server, death: str, cause: str) -> None:
    play = server.start(f"""
    import ctypes, resource, signal

    def writes_too_much():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        open("large", "w").write("x" * 100)

    @flow
    def innermost() -> None:
        print("my last words", file=sys.stderr, flush=True)
        {death}

    @flow
    def dies() -> None:
        innermost()
    """)["sid"]
    failure = server.ended(play)["error"]
    assert failure["kind"] == "crashed" and cause in failure["message"]
    assert "my last words" in failure["exception"]["traceback"]
    spans = items(server.call("play_spans", play_sid=play))
    last = [span for span in spans if span["launch"] == 4]
    assert {span["name"] for span in last} == {"dies", "innermost"}
    for span in last:
        assert span["status"] == "failed"
        assert span["error"]["class"] == "hero_logic:ProcessDied" and cause in span["error"]["message"]
    assert [line for line in log(server, play) if line["stream"] == "supervisor" and cause in line["text"]]


def test_a_death_for_lack_of_memory_is_told_as_such(server: Server) -> None:
    with control_group(server, "memory") as group:
        limit = next(
            file for name in ("limit_in_bytes", "max") if (file := group / f"memory.{name}").exists()
        )
        limit.write_text("100000000")
        play = server.start("""
        @flow
        def eats() -> None:
            kept = []
            while True:
                kept.append(bytearray(10_000_000))
        """)["sid"]
        failure = server.ended(play)["error"]
        assert "was killed by the system for lack of memory" in failure["message"]
        server.stop()


@contextmanager
def control_group(server: Server, controller: str) -> Iterator[Path]:
    """Puts the server, with all that it will start, into a control group; skips where none can be made."""
    old, new = Path("/sys/fs/cgroup", controller), Path("/sys/fs/cgroup")
    group = (old if old.is_dir() else new) / f"hero_test_{os.getpid()}"
    try:
        group.mkdir()
        (group / "cgroup.procs").write_text(str(server.process.pid))
        assert list(group.glob(f"{controller}.*"))
    except (OSError, AssertionError) as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group for {controller} can be made: {error!r}")
    try:
        yield group
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text(), "the group to be empty")
        group.rmdir()


def test_a_launch_waits_while_the_machine_has_no_room_for_a_process(server: Server) -> None:
    file = server.hero.write("@flow\ndef runs():\n    return 1\n")
    workflow = server.call("workflow_save", name="runs", file=str(file))["sid"]
    with control_group(server, "pids") as group:
        limit = group / "pids.max"
        limit.write_text((group / "pids.current").read_text())
        play = server.call("play_start", workflow_sid=workflow)["sid"]
        waits = "launch waits for room"
        log = server.hero.home / "hero_logic_server.log"
        eventually(lambda: waits in log.read_text(), "the launch to be put off")
        limit.write_text("max")
        ended = server.ended(play)
        assert (ended["status"], ended["launch"]) == ("success", 1)
        server.stop()


@pytest.mark.parametrize("death", ["ctypes.string_at(0)", "os.abort()"])
def test_a_death_inside_of_c_leaves_its_python_stack(server: Server, death: str) -> None:
    play = server.start(f"""
    import ctypes

    def goes_down(depth: int) -> None:
        if depth == 0:
            {death}
        goes_down(depth - 1)

    @flow
    def dies() -> None:
        goes_down(50)
    """)["sid"]
    failure = server.ended(play)["error"]
    assert "Fatal Python error" in failure["message"]
    stack = failure["exception"]["traceback"]
    assert "most recent call first" in stack and stack.count(" in goes_down") >= 15


def test_a_launch_that_is_ended_on_request_has_not_died(server: Server) -> None:
    play = server.start("""
    @flow
    def waits() -> None:
        mark("waits")
        wait_for("never")
    """)["sid"]
    server.hero.saw("waits")
    server.call("play_cancel", play_sid=play)
    assert "error" not in server.ended(play)
    spans = eventually(
        lambda: [
            span for span in items(server.call("play_spans", play_sid=play)) if span["status"] == "cancelled"
        ],
        "the span to be ended",
    )
    assert all("error" not in span for span in spans)
    assert [line["text"] for line in log(server, play) if line["stream"] == "supervisor"] == [
        "ended on request: the process was killed by SIGTERM (signal 15)"
    ]


def log(server: Server, play: str) -> list[Json]:
    return items(server.call("play_logs", play_sid=play))


# --- What a launch sees ----------------------------------------------------------------------------

CONTRACT = {
    "HERO_PLAY_SID",
    "HERO_LAUNCH",
    "HERO_WORKFLOW_VERSION_SID",
    "HERO_SPAN_SOCKET",
    "HERO_RPC_SOCKET",
    "HERO_INPUT_FILE",
}

SURROUNDINGS = """
@flow(env=["API_TOKEN", "NOT_PERMITTED", "NOT_SET"])
def looks_around() -> dict:
    fds = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:  # that of the list itself
            continue
    return {"env": os.environ | {"API_TOKEN": os.environ["API_TOKEN"][::-1]}, "fds": fds}
"""


def test_a_launch_sees_the_allow_list_and_what_it_declares_and_nothing_else(hero: Hero) -> None:
    allowed = {"LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "SHELL": "/bin/sh", "TMPDIR": "/tmp"}
    declared = {"API_TOKEN": "for the flow", "NOT_PERMITTED": "of the server"}
    hidden = {"DATABASE_URL": "of the server", "HERO_LOG": "warn", "PYTHONPATH": "/nowhere"}
    hero.env |= allowed | declared | hidden | {"HERO_PERMIT_ENV": "API_TOKEN,NOT_SET"}
    with hero.server() as server:
        play = server.ended(server.start(SURROUNDINGS)["sid"])
        seen, fds = play["output_data"]["env"], play["output_data"]["fds"]
        assert {name for name in seen if name.startswith("HERO_")} == CONTRACT
        inherited = {name: hero.env[name] for name in ("PATH", "HOME", *allowed)}
        expected = inherited | {"API_TOKEN": "for the flow"[::-1], "PYTHONUNBUFFERED": "1"}
        assert {name: value for name, value in seen.items() if name not in CONTRACT} == expected
        assert fds.keys() >= {"0", "1", "2"}
        others = {target for fd, target in fds.items() if fd not in {"0", "1", "2"}}
        assert len(others) == 1 and others.pop().startswith("socket:"), f"only that of the frames: {fds}"
        warnings = [line["text"] for line in log(server, play["sid"]) if line["level"] == "warning"]
        assert len(warnings) == 2
        assert "`NOT_PERMITTED`" in warnings[0] and "HERO_PERMIT_ENV=NOT_PERMITTED" in warnings[0]
        assert "`NOT_SET`, which is not set" in warnings[1]
    assert not [file for file in hero.data_dir.rglob("*") if file.is_file() and holds(file, b"for the flow")]


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_a_launch_inherits_no_open_file_of_the_server(hero: Hero, how: str) -> None:
    flow = hero.write(SURROUNDINGS.replace("API_TOKEN", "PATH"))
    program = Path(sysconfig.get_path("scripts"), "hero_logic")
    done = subprocess.run(
        ["bash", "-c", 'exec 7</dev/zero; exec "$0" "$@"', program, "run", flow, "--json"],
        env=hero.env | {"HERO_LAUNCHES": how},
        cwd=hero.work_dir,
        capture_output=True,
        check=True,
    )
    assert "/dev/zero" not in json.loads(done.stdout)["output_data"]["fds"].values()


def holds(file: Path, text: bytes) -> bool:
    return text in file.read_bytes()


# --- Stopping under load ---------------------------------------------------------------------------


def test_a_stop_under_load_loses_no_play_and_leaves_no_process(hero: Hero) -> None:
    n_plays, n_steps = 20, 30
    server = hero.start_server()
    source = """
    @flow
    def step(play: int, number: int) -> int:
        mark(f"step {play} {number}")
        time.sleep(0.02)
        return number

    @flow
    def steps(play: int, n_steps: int) -> int:
        return sum(step(play, number) for number in range(n_steps))
    """
    plays = [
        server.start(source, input_data={"play": play, "n_steps": n_steps})["sid"] for play in range(n_plays)
    ]
    hero.saw("step 0 5")
    below = descendants_of(server.process.pid)
    assert server.stop() == 0
    assert not [pid for pid in below if processes.is_alive(pid) and not is_ready(pid)]
    eventually(lambda: not processes.belonging_to(hero.home), "what waited for a launch to end too")
    n_done = len(hero.marks())
    assert n_done < n_plays * n_steps, "it stopped before they were through"
    with hero.server() as restarted:
        outputs = [restarted.ended(play)["output_data"] for play in plays]
    assert outputs == [sum(range(n_steps))] * n_plays
    marks = hero.marks()
    assert len(set(marks)) == n_plays * n_steps
    assert len(marks) == len(set(marks)), "each step was let come to its end, and ran once"


# --- What launches are forked from -----------------------------------------------------------------

TELLS = """
@flow
def tells() -> dict:
    return {"parent": os.getppid(), "dev_mode": sys.flags.dev_mode}
"""


def told(server: Server, workflow: str) -> Json:
    """What a new play of `TELLS` says."""
    return server.ended(server.call("play_start", workflow_sid=workflow)["sid"])["output_data"]


def test_launches_are_forked_from_one_process_and_from_another_when_that_dies(server: Server) -> None:
    workflow = server.call("workflow_save", name="tells", file=str(server.hero.write(TELLS)))["sid"]
    first = told(server, workflow)["parent"]
    assert told(server, workflow)["parent"] == first
    (state,) = server.call("stats")["fork_servers"]
    assert (state["pid"], state["n_launches"], state["reason"]) == (first, 2, None)
    (line,) = [line for line in server.hero("doctor").stdout.splitlines() if "forks" in line.split()[:2]]
    assert f"are forked from process {first} " in line and "2 so far" in line
    os.kill(first, signal.SIGKILL)
    eventually(lambda: server.call("stats")["fork_servers"] == [], "the server to hear of it")
    second = told(server, workflow)["parent"]
    assert second not in (first, server.process.pid)
    assert told(server, workflow)["parent"] == second


def test_an_interpreter_that_was_replaced_is_started_anew(hero: Hero) -> None:
    python, new = hero.home / "python", hero.home / "python.new"

    def install(options: str) -> None:
        new.write_text(f'#!/bin/sh\nexec {sys.executable} {options} "$@"\n')
        new.chmod(0o755)
        new.rename(python)

    install("")
    server = hero.start_server(HERO_PYTHON=str(python))
    workflow = server.call("workflow_save", name="tells", file=str(hero.write(TELLS)))["sid"]
    assert [told(server, workflow)["dev_mode"] for _ in range(2)] == [False, False]
    install("-X dev")
    assert [told(server, workflow)["dev_mode"] for _ in range(2)] == [True, True]
    server.stop()
