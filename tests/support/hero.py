"""The installed programs, on a data directory of their own."""

import json
import os
import signal
import subprocess
import sysconfig
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from . import processes, rpc
from .waiting import eventually

# What came over the wire or out of `--json`.
Json: TypeAlias = Any

SCRIPTS = Path(sysconfig.get_path("scripts"))

# Flows of the tests leave marks in a file of their working directory: what ran, in which order.
PREAMBLE = """
import os, sys, time
from pathlib import Path
from pyhero import ask_user, flow

def mark(text):
    with open("marks.txt", "a") as marks:
        marks.write(f"{text}\\n")

def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.01)
"""

# Only what a shell would give: the surroundings of the test run must not decide anything.
_PASSED_ON = ("PATH", "LANG", "TZ", "LLVM_PROFILE_FILE")


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Json:
        try:
            return json.loads(self.stdout)
        except json.JSONDecodeError as error:
            raise AssertionError(f"no JSON on stdout: {error}\n{self}") from error

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Hero:
    """Runs the programs on one data directory, in one working directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data_dir = home / "data"
        self.work_dir = home / "work"
        self.work_dir.mkdir()
        self.socket = self.data_dir / "var/sockets/hero_logic/rpc.sock"
        self.env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self.env |= {"HOME": str(home), "HERO_HOME": str(self.data_dir)}

    # --- Programs -----------------------------------------------------------------------------

    def __call__(self, *args: object, cwd: Path | None = None, **env: str) -> Finished:
        """Runs `hero_logic` with these arguments to its end."""
        done = subprocess.run(
            self._command("hero_logic", *args),
            cwd=cwd or self.work_dir,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def spawn(self, program: str, *args: object, **env: str) -> subprocess.Popen[str]:
        """Starts a program and goes on; its output goes to a file beside the data directory."""
        log = self.home / f"{program}.log"
        with log.open("a") as out:
            return subprocess.Popen(
                self._command(program, *args),
                cwd=self.work_dir,
                env=self.env | env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                text=True,
                start_new_session=True,
            )

    @contextmanager
    def server(self) -> "Iterator[Server]":
        """A running `hero_logic_server`."""
        server = self.start_server()
        try:
            yield server
        finally:
            server.stop()

    def start_server(self, **env: str) -> "Server":
        """Starts `hero_logic_server` and returns once it answers."""
        process = self.spawn("hero_logic_server", **env)
        server = Server(self, process)
        eventually(server.answers_or_died, "the server to answer")
        assert process.poll() is None, (
            f"the server ended:\n{(self.home / 'hero_logic_server.log').read_text()}"
        )
        return server

    def _command(self, program: str, *args: object) -> list[str]:
        return [str(SCRIPTS / program), *(str(arg) for arg in args)]

    # --- Flows --------------------------------------------------------------------------------

    def write(self, source: str, name: str = "flow.py", *, preamble: bool = True) -> Path:
        """Writes a file with flows, `mark` and `wait_for` at hand, and returns its path."""
        path = self.home / "flows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((PREAMBLE if preamble else "") + textwrap.dedent(source), encoding="utf-8")
        return path

    def run(self, source: str, *args: object, **env: str) -> Finished:
        """Writes the flow and carries it to where it stands still: `hero_logic run … --json`."""
        return self("run", self.write(source), "--json", *args, cwd=None, **env)

    def marks(self) -> list[str]:
        """What the flows marked so far, in order."""
        path = self.work_dir / "marks.txt"
        return path.read_text().splitlines() if path.exists() else []

    def saw(self, text: str) -> None:
        """Waits until a flow has marked this."""
        eventually(lambda: text in self.marks(), f"the mark {text!r} (so far {self.marks()})")

    def touch(self, name: str) -> None:
        """Creates the file that a flow waits for."""
        (self.work_dir / name).touch()

    # --- Plays --------------------------------------------------------------------------------

    def plays(self) -> list[Json]:
        """What `hero_logic plays` lists."""
        listed = self("plays", "--json")
        assert listed.code == 0, listed
        return items(listed.json())

    def wait(self, play: str) -> Json:
        """Waits for the play to settle, whoever carries it."""
        waited = self("wait", play, "--json")
        return waited.json()

    def spans(self, play: str) -> list[Json]:
        """The spans of a play, asked of a server that is started for it."""
        with self.server() as server:
            return items(server.call("play_spans", play_sid=play))

    def tidy_up(self) -> None:
        """Ends what is left of the processes."""
        processes.kill_all(self.home)


class Server:
    """A `hero_logic_server` of a test."""

    def __init__(self, hero: Hero, process: subprocess.Popen[str]) -> None:
        self.hero = hero
        self.process = process

    @property
    def socket(self) -> Path:
        return self.hero.socket

    def answers_or_died(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            return rpc.http_request(self.socket, "GET", "/health").status == 200
        except OSError:
            return False

    def call(self, method: str, **params: Json) -> Json:
        return rpc.call(self.socket, method, **params)

    def start(self, source: str, **params: Json) -> Json:
        """Writes the flow and starts a play of it in the working directory of the test."""
        file = self.hero.write(source)
        return self.call("play_start", file=str(file), working_dir=str(self.hero.work_dir), **params)

    def settled(self, play: str) -> Json:
        """Waits until the play has ended or stands at a question."""
        return self.call("play_wait", play_sid=play, until="settled", timeout_ms=60_000)

    def ended(self, play: str) -> Json:
        """Waits until the play has ended."""
        play_now = self.call("play_wait", play_sid=play, until="ended", timeout_ms=60_000)
        assert play_now["status"] in {"success", "failed", "cancelled", "timed_out"}, play_now
        return play_now

    def resume(self, play: Json, name: str, payload: Json) -> Json:
        """Answers the open question of this name."""
        request = request_named(play, name)
        return self.call(
            "play_resume", play_sid=play["sid"], resume_id=request["id"], payload_json=json.dumps(payload)
        )

    def kill(self) -> None:
        """The power fails for this process: no handler runs."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Asks it to stop and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def items(page: Json) -> list[Json]:
    """The items of a page, or of a bare list."""
    listed: list[Json] = page["items"] if isinstance(page, dict) else page
    return listed


def request_named(play: Json, name: str) -> Json:
    """The open question of this name."""
    found = [request for request in play["pending_resumes"] if request["name"] == name]
    assert len(found) == 1, f"not exactly one open question {name!r}: {play['pending_resumes']}"
    return found[0]


def launches(spans: list[Json], name: str) -> list[tuple[int, str]]:
    """`(launch, status)` of every span of this name."""
    return [(span["launch"], span["status"]) for span in spans if span["name"] == name]
