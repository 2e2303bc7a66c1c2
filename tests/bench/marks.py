"""Marks: instants that a flow in another process saw, sent as datagrams to the measuring process.

A flow takes the time first and sends it afterwards, so what the sending costs is not measured.
"""

import json
import queue
import socket
import threading
from pathlib import Path
from typing import Any, NamedTuple

DEADLINE_SECONDS = 900.0


class Mark(NamedTuple):
    """What was passed, by which flow, when (`time.monotonic_ns`), and with what beside it."""

    word: str
    key: str
    at_ns: int
    extra: Any = None


class Marks:
    """Receives marks on a datagram socket at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(str(path))
        self._received: queue.SimpleQueue[Mark] = queue.SimpleQueue()
        threading.Thread(target=self._receive, daemon=True).start()

    def wait(self, word: str, key: object = None, deadline_seconds: float = DEADLINE_SECONDS) -> Mark:
        """The next mark of this word (and key); those before it are dropped.

        Raises:
            TimeoutError: none came.
        """
        while True:
            try:
                mark = self._received.get(timeout=deadline_seconds)
            except queue.Empty:
                raise TimeoutError(f"no mark `{word}` of {key} in {deadline_seconds:g} s") from None
            if mark.word == word and (key is None or mark.key == str(key)):
                return mark

    def _receive(self) -> None:
        while True:
            self._received.put(Mark(*json.loads(self._socket.recv(65536))))


class Marker:
    """Sends marks to a socket at *path*."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.connect(path)

    def send(self, word: str, key: object, at_ns: int, extra: Any = None) -> None:
        self._socket.send(json.dumps([word, str(key), at_ns, extra]).encode())
