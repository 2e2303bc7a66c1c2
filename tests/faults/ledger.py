"""A witness: a process of its own that writes down, durably, what flows and clients report to it.

It shares nothing with the programs under test, so that no fault of theirs can change what it saw. Each
line that comes over its socket is appended to its file, and answered with an empty line once `fdatasync` has
covered it. The order of the file is the order in which things happened: whoever reports waits for the answer.

    python ledger.py DIRECTORY        ends when its standard input does
"""

import contextlib
import os
import selectors
import socket
import sys
from pathlib import Path

SOCKET_NAME = "ledger.sock"
FILE_NAME = "ledger.jsonl"


def serve(directory: Path) -> None:
    """Takes reports until standard input ends."""
    file = os.open(directory / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / SOCKET_NAME))
    listener.listen(1024)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    begun: dict[socket.socket, bytes] = {}
    while True:
        reports: list[tuple[socket.socket, bytes]] = []
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                selector.register(connection, selectors.EVENT_READ)
                begun[connection] = b""
            elif isinstance(key.fileobj, socket.socket):
                reports += _read(selector, begun, key.fileobj)
        if reports:
            os.write(file, b"".join(line for _, line in reports))
            os.fdatasync(file)
            _answer(reports)


def _read(
    selector: selectors.BaseSelector, begun: dict[socket.socket, bytes], connection: socket.socket
) -> list[tuple[socket.socket, bytes]]:
    """The whole lines that have come; half a line is what a process said when it died, and no report."""
    try:
        received = connection.recv(64 * 1024)
    except ConnectionError:
        received = b""
    if not received:
        selector.unregister(connection)
        del begun[connection]
        connection.close()
        return []
    *lines, begun[connection] = (begun[connection] + received).split(b"\n")
    return [(connection, line + b"\n") for line in lines]


def _answer(reports: list[tuple[socket.socket, bytes]]) -> None:
    for connection, _ in reports:
        with contextlib.suppress(OSError):  # It died meanwhile; what it reported has happened all the same.
            connection.sendall(b"\n")


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
