"""The test's side of the ledger: starts it, reports to it, reads what it has seen."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from support.waiting import eventually

from . import ledger

Event: TypeAlias = dict[str, Any]
"""One line of the ledger. Flows report `effect`, `acked` and `answered` with play, launch and pid; the client
`started` and `resumed`; the test `fault`."""


class Ledger:
    """A running ledger."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(self.socket))
        self._file = (directory / ledger.FILE_NAME).open("rb")
        self._begun = b""
        self._events: list[Event] = []

    @property
    def socket(self) -> Path:
        """Where flows report."""
        return self._directory / ledger.SOCKET_NAME

    def report(self, what: str, **details: Any) -> None:
        """Writes down an event; it is durable when this returns."""
        line = json.dumps({"what": what, **details}).encode() + b"\n"
        with self._lock:
            self._connection.sendall(line)
            assert self._connection.recv(1) == b"\n", "the ledger has ended"

    def history(self) -> list[Event]:
        """Everything so far, in the order in which it happened."""
        with self._lock:
            *lines, self._begun = (self._begun + self._file.read()).split(b"\n")
            self._events += [json.loads(line) for line in lines]
            return list(self._events)


@contextmanager
def running(directory: Path) -> Iterator[Ledger]:
    """A ledger in this directory, which nothing under test knows, until the end of the block."""
    process = subprocess.Popen([sys.executable, ledger.__file__, str(directory)], stdin=subprocess.PIPE)
    try:
        yield _connected(directory)
    finally:
        process.communicate()
    assert process.returncode == 0, "the ledger failed, and with it what it says"


def _connected(directory: Path) -> Ledger:
    def look() -> Ledger | None:
        try:
            return Ledger(directory)
        except (FileNotFoundError, ConnectionRefusedError):  # It does not listen yet.
            return None

    found = eventually(look, "the ledger to listen")
    assert found is not None
    return found
