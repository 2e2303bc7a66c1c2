"""Calls to other services: `flow.rpc`, JSON-RPC 2.0 over HTTP, on TCP or on a Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import _native, _play, _step
from ._codec import Misfit, codec_for, dumps
from ._errors import ArgumentError, ConnectionFailed, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_SECONDS = 30.0
"""How long each wait for the service may take: for the connection, and for more of the answer."""

ANSWER_BYTES_MAX = 16 * 1024 * 1024


def rpc(target: str, method: str, params: dict[str, Any], idempotency_key: Callable[[], str]) -> Any:
    """See `flow.rpc`."""
    endpoint = Endpoint(target)
    encoded = _encoded(method, params)

    def post() -> Any:
        return endpoint.call(method, encoded, idempotency_key())

    async def post_in_thread() -> Any:
        import asyncio

        return await asyncio.to_thread(post)

    is_async = _play.has_event_loop()
    function = post_in_thread if is_async else post
    play = _play.running
    if play is None:
        return function()
    arguments = f'{{"target":{dumps(target)},"method":{dumps(method)},"params":{encoded}}}'
    name = method if _native.is_name(method) else "rpc"
    step = _step.Step(play, name, _native.canonical_json(arguments), "rpc")
    return _step.run(step, function, is_async=is_async)


def _encoded(method: str, params: dict[str, Any]) -> str:
    try:
        return _native.canonical_json(dumps(codec_for(Any).encode(params)))
    except (Misfit, ValueError) as error:
        reason = error.seen_from("params") if isinstance(error, Misfit) else str(error)
        raise ArgumentError(
            f"`{method}` cannot be called with this: {reason}", "parameters must be JSON"
        ) from None


class Endpoint:
    """Where a service listens: `http(s)://…`, the path of a Unix socket, or `unix:/socket:/http/path`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.socket_path: str | None = None
        self.host = "localhost"
        self.path = "/rpc"
        if target.startswith("/"):
            self.socket_path = target
        elif target.startswith("unix:/"):
            self.socket_path, _, path = target[len("unix:") :].partition(":")
            self.path = path or self.path
        else:
            self._parse_url()
        if not self.path.startswith("/") or not self.path.isprintable() or " " in self.path:
            raise self._bad()

    def _parse_url(self) -> None:
        try:
            url = urlsplit(self.target)
            self.is_tls = url.scheme == "https"
            self.host, self.port = url.hostname or "", url.port
        except ValueError:
            raise self._bad() from None
        if url.scheme not in ("http", "https") or not self.host or url.username or url.fragment:
            raise self._bad()
        self.path = (url.path or "/") + (f"?{url.query}" if url.query else "")

    def _bad(self) -> ArgumentError:
        return ArgumentError(
            f"flow.rpc cannot call `{self.target}`",
            "https://host/path, the absolute path of a Unix socket, or unix:/path/of.sock:/http/path",
        )

    def call(self, method: str, params: str, request_id: str) -> Any:
        """Posts the request and returns its result. Raises `RpcError`."""
        request = f'{{"jsonrpc":"2.0","id":{dumps(request_id)},"method":{dumps(method)},"params":{params}}}'
        return self._result(method, request_id, *self._post(method, request))

    def _post(self, method: str, request: str) -> tuple[int, bytes]:
        connection = self._connection()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            connection.request("POST", self.path, request.encode(), headers)
            response = connection.getresponse()
            return response.status, response.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionFailed(
                f"failed to call `{method}` at `{self.target}`: {type(error).__name__}: {error}",
                kind="server_unreachable",
            ) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.socket_path is not None:
            return _UnixConnection(self.socket_path)
        make = http.client.HTTPSConnection if self.is_tls else http.client.HTTPConnection
        return make(self.host, self.port, timeout=TIMEOUT_SECONDS)

    def _result(self, method: str, request_id: str, status: int, body: bytes) -> Any:
        answer = _parsed(body)
        error = answer.get("error")
        if isinstance(error, dict):
            raise self._refusal(method, error)
        if "result" not in answer or answer.get("id") != request_id:
            raise RpcError(
                f"`{self.target}` gave no JSON-RPC answer to `{method}`: HTTP {status}, {len(body)} bytes"
            )
        return answer["result"]

    def _refusal(self, method: str, error: dict[str, Any]) -> RpcError:
        data = error.get("data")
        details = data if isinstance(data, dict) else {}
        kind, hint, code = details.get("kind"), details.get("hint"), error.get("code")
        return RpcError(
            f"`{self.target}` refused `{method}`: {error.get('message')}",
            hint if isinstance(hint, str) else None,
            kind=kind if isinstance(kind, str) else "internal",
            code=code if isinstance(code, int) else -32603,
        )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body) if len(body) <= ANSWER_BYTES_MAX else None
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self._path)
