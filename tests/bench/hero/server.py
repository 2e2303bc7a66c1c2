"""A `hero_logic_server` that is measured, on a data directory of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..marks import Marks
from ..measuring import kill_family
from .rpc import Connection

FLOWS = Path(__file__).with_name("flows.py")


@dataclass
class Place:
    """The installed programs, a data directory, and the marks of the flows that run there."""

    programs: Path
    data_dir: Path
    marks: Marks
    # A short path of its own: that of a Unix socket may have 107 bytes.
    socket_dir: Path
    started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.socket_dir / "hero_logic/rpc.sock"

    def start(self) -> "Server":
        """Starts the server and returns once it answers."""
        log = self.data_dir.with_suffix(".log")
        command = [str(self.programs / "hero_logic_server"), "--data-dir", str(self.data_dir)]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data_dir),
            "HERO_SOCKET_DIR": str(self.socket_dir),
            "HERO_PYTHON": str(self.programs / "python"),
        }
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self.started.append(process)
        return Server(self, process, _connect(self.socket, process, log))


class Server:
    """A running server and a connection to it."""

    def __init__(self, place: Place, process: "subprocess.Popen[bytes]", connection: Connection) -> None:
        self.place = place
        self.process = process
        self.call = connection.call

    def workflow(self, flow: str) -> str:
        """Saves one of the flows and returns the sid to start it by."""
        saved = self.call("workflow_save", name=flow, file=str(FLOWS), flow=flow)
        sid: str = saved["sid"]
        return sid

    def run(self, workflow_sid: str, **inputs: Any) -> Any:
        """Starts a play and returns it once it has ended, as it must, with success."""
        play = self.call("play_start", workflow_sid=workflow_sid, input_data=inputs)
        return self.wait(play["sid"], "success")

    def wait(self, play_sid: str, status: str) -> Any:
        """Waits until the play has settled, as it must, with this status."""
        play = self.call("play_wait", play_sid=play_sid, until="settled", timeout_ms=0)
        if play["status"] != status:
            raise RuntimeError(f"play {play_sid} is {play['status']}: {play.get('failure')}")
        return play

    def resume(self, play: Any) -> None:
        """Answers the one open question of the play."""
        (request,) = play["pending_resumes"]
        self.call("play_resume", play_sid=play["sid"], resume_id=request["id"], payload_json="true")

    def kill(self) -> None:
        """`kill -9`. Its flows end with it, without help."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Asks it to stop and waits until it has."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            kill_family(self.process)


@contextmanager
def place(programs: Path, directory: Path) -> Iterator[Place]:
    """An empty data directory in *directory*, removed with the block."""
    data_dir = Path(tempfile.mkdtemp(prefix="hero_", dir=directory))
    sockets = Path(tempfile.mkdtemp(prefix="hero_"))
    where = Place(programs, data_dir, Marks(sockets / "marks"), sockets)
    try:
        yield where
    finally:
        for process in where.started:
            kill_family(process)  # Unless it was stopped in good order.
        shutil.rmtree(data_dir, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def running(programs: Path, directory: Path) -> Iterator[Server]:
    """A server on an empty data directory, both gone with the block."""
    with place(programs, directory) as where:
        server = where.start()
        yield server
        server.stop()


def _connect(path: Path, process: "subprocess.Popen[bytes]", log: Path) -> Connection:
    deadline = time.monotonic() + 120
    while True:
        try:
            connection = Connection(path)
            connection.call("stats")
            return connection
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not answer:\n{log.read_text()}") from error
            time.sleep(0.001)
