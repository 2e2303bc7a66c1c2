"""What the machine itself takes for a durable step: one flushed write, one round trip over a socket."""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from .measuring import latency, now_ns, of_runs
from .suite import Figure

BLOCK_BYTES = 4096
MESSAGE = b"x" * 299 + b"\n"


class Floor:
    """Collects single latencies over a run, so that the disk is seen as the flows see it."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "floor"
        self.appends: list[int] = []
        self.overwrites: list[int] = []
        self.round_trips: list[int] = []

    def sample(self, n: int = 300) -> None:
        """Takes some more of each."""
        self.appends += flushed_writes(self.file, n, are_appends=True)
        self.overwrites += flushed_writes(self.file, n, are_appends=False)
        self.round_trips += round_trips(n)

    def figures(self) -> Iterator[Figure]:
        """`floor_step` is what a step is held to: the cheaper of the two writes, and a round trip."""
        append, overwrite = latency(self.appends), latency(self.overwrites)
        trip = latency(self.round_trips)
        yield "floor_append", append
        yield "floor_overwrite", overwrite
        yield "floor_round_trip", trip
        write = min(append["median"], overwrite["median"])
        yield "floor_step", of_runs([write + trip["median"]], "ms")


def flushed_writes(file: Path, n: int, *, are_appends: bool) -> Sequence[int]:
    """Nanoseconds of each write of 4 KiB and its `fdatasync`.

    An append makes the file longer, which the file system has to note as well; a store that writes into
    space that it has set aside is spared that.
    """
    block = os.urandom(BLOCK_BYTES)
    if not are_appends:
        file.write_bytes(bytes(n * BLOCK_BYTES))
    fd = os.open(file, os.O_CREAT | os.O_WRONLY, 0o600)
    taken = []
    try:
        os.fsync(fd)
        for _ in range(n):
            began = now_ns()
            os.write(fd, block)
            os.fdatasync(fd)
            taken.append(now_ns() - began)
    finally:
        os.close(fd)
        file.unlink()
    return taken


def round_trips(n: int) -> Sequence[int]:
    """Nanoseconds of each message of 300 bytes to another process and back, over a Unix socket."""
    ours, theirs = socket.socketpair()
    if (pid := os.fork()) == 0:
        ours.close()
        while message := theirs.recv(4096):
            theirs.sendall(message)
        os._exit(0)
    theirs.close()
    taken = []
    for index in range(n + 20):
        began = now_ns()
        ours.sendall(MESSAGE)
        ours.recv(4096)
        if index >= 20:  # The first ones find neither process warm.
            taken.append(now_ns() - began)
    ours.close()
    os.waitpid(pid, 0)
    return taken
