"""A JSON-RPC client of a few lines, so that the tests share no code with what they test."""

import http.client
import itertools
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_IDS = itertools.count(1)


class RpcFailure(Exception):
    """The server answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(json.dumps(error))
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.kind: str = error.get("data", {}).get("kind", "")
        self.hint: str | None = error.get("data", {}).get("hint")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def http_request(
    path: Path, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """One HTTP request over the socket at *path*."""
    connection = _UnixConnection(path, timeout=60)
    try:
        connection.request(method, url, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


def post_rpc(path: Path, body: bytes) -> Any:
    """Posts these bytes to `/rpc` and decodes the answer."""
    answer = http_request(path, "POST", "/rpc", body, {"Content-Type": "application/json"})
    return answer.json()


def call(path: Path, method: str, **params: Any) -> Any:
    """Calls `LogicService.<method>`.

    Raises:
        RpcFailure: the server answered with an error.
    """
    request = {"jsonrpc": "2.0", "id": next(_IDS), "method": f"LogicService.{method}", "params": params}
    response = post_rpc(path, json.dumps(request).encode())
    assert response["jsonrpc"] == "2.0" and response["id"] == request["id"], response
    if "error" in response:
        raise RpcFailure(response["error"])
    return response["result"]
