"""A client that costs little: kept connections, whole requests in one write, many of them in one thread."""

import json
import selectors
import socket
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, TypeAlias

# A job yields `(method, parameters)`, is sent the result, and may yield another one.
Job: TypeAlias = Generator[tuple[str, dict[str, Any]], Any, None]


class RpcFailure(Exception):
    """The server answered with an error."""


class Connection:
    """One connection to the server, used by one call at a time."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self._buffer = b""

    def call(self, method: str, **parameters: Any) -> Any:
        """Calls `LogicService.<method>`.

        Raises:
            RpcFailure: the server answered with an error.
        """
        self.send(method, parameters)
        while (answer := self.receive()) is None:
            pass
        return result_of(answer)

    def send(self, method: str, parameters: dict[str, Any]) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": f"LogicService.{method}", "params": parameters}
        body = json.dumps(request).encode()
        head = (
            "POST /rpc HTTP/1.1\r\nHost: hero\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)

    def receive(self) -> Any:
        """The answer once all of it is there, else None."""
        if not (received := self.socket.recv(1 << 20)):
            raise ConnectionError("the server closed the connection")
        self._buffer += received
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return None
        self._buffer = b""
        return json.loads(body)


def run_all(path: Path, jobs: Iterable[Job], n_connections: int = 64) -> None:
    """Runs jobs, as many at a time as there are connections, each on one of its own.

    Raises:
        RpcFailure: the server answered one of them with an error.
    """
    left = iter(jobs)
    with selectors.DefaultSelector() as ready:

        def start(connection: Connection) -> Job | None:
            if (job := next(left, None)) is not None:
                connection.send(*next(job))
            return job

        for _ in range(n_connections):
            connection = Connection(path)
            if (job := start(connection)) is None:
                break
            ready.register(connection.socket, selectors.EVENT_READ, [connection, job])
        while ready.get_map():
            for key, _events in ready.select():
                connection, job = key.data
                if (answer := connection.receive()) is None:
                    continue
                try:
                    connection.send(*job.send(result_of(answer)))
                except StopIteration:
                    key.data[1] = start(connection)
                    if key.data[1] is None:
                        ready.unregister(connection.socket)
                        connection.socket.close()


def result_of(answer: Any) -> Any:
    if "error" in answer:
        raise RpcFailure(json.dumps(answer["error"]))
    return answer["result"]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise ConnectionError(f"an answer without its length: {head!r}")
