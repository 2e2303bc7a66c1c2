"""`flow.rpc`: calls to other services over real sockets."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pyhero import ArgumentError, ConnectionFailed, Retry, RpcError, flow
from pyhero.testing import run

from .support import Supervisor


class Service:
    """Answers JSON-RPC on TCP and on a Unix socket, and keeps what it was asked."""

    def __init__(self, directory: Path) -> None:
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.n_refused = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.paths.append(self.path)
                status, answer = service.answer(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def address_string(self) -> str:
                return "client"

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.socket_path = str(directory / "s.sock")
        self.servers: list[Any] = [
            socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler),
            socketserver.ThreadingUnixStreamServer(self.socket_path, Handler),
        ]
        self.url = f"http://127.0.0.1:{self.servers[0].server_address[1]}/api"
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def answer(self, request: dict[str, Any]) -> tuple[int, bytes]:
        self.requests.append(request)
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        method, params = request["method"], request["params"]
        if method == "add":
            return 200, json.dumps({**reply, "result": params["a"] + params["b"]}).encode()
        if method == "busy" and self.n_refused == 2:
            return 200, json.dumps({**reply, "result": None}).encode()
        if method in ("refuse", "busy"):
            self.n_refused += 1
            data = {"kind": "no_room", "hint": "go"}
            return 400, json.dumps({**reply, "error": {"code": -7, "message": "full", "data": data}}).encode()
        if method == "plain.error":
            return 200, json.dumps({**reply, "error": {"code": 5, "message": "no", "data": "x"}}).encode()
        if method == "other.id":
            return 200, json.dumps({"jsonrpc": "2.0", "id": "other", "result": 1}).encode()
        return 502, b"<html>bad gateway</html>"

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.close()


def test_a_call_is_made_once_with_the_key_of_its_step_as_its_id(
    supervisor: Supervisor, service: Service
) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def main(url: str, socket: str) -> list:
        sums = [flow.rpc(url, "add", a=1, b=n) for n in (1, 2)]
        sums.append(flow.rpc(socket, "add", a=[1], b=["é"]))
        sums.append(flow.rpc(f"unix:{socket}:/x?y=1", "add", a="a", b="b"))
        return sums
    """)
    supervisor.inputs = {"url": service.url, "socket": service.socket_path}
    launch = supervisor.launch()
    assert launch.output == [2, 3, [1, "é"], "ab"]
    assert service.paths == ["/api", "/api", "/rpc", "/x?y=1"]
    assert all(request["jsonrpc"] == "2.0" for request in service.requests)
    spans = [span for span in launch.of("span_start") if span["kind"] == "rpc"]
    assert [span["name"] for span in spans] == ["add"] * 4
    assert spans[0]["arguments"] == {"target": service.url, "method": "add", "params": {"a": 1, "b": 1}}
    ids = [request["id"] for request in service.requests]
    assert len(set(ids)) == 4
    assert supervisor.launch().output == launch.output and len(service.requests) == 4
    supervisor.steps.clear()
    supervisor.launch()
    assert [request["id"] for request in service.requests[4:]] == ids, "a call that is repeated can be told"


def test_in_an_event_loop_a_call_is_awaited(service: Service) -> None:
    @flow(name="root")
    async def root() -> Any:
        return await asyncio.gather(*(flow.rpc(service.url, "add", a=n, b=n) for n in range(5)))

    assert run(root, replay="after_every_step").output == [0, 2, 4, 6, 8]


def test_a_refusal_is_an_error_that_is_remembered(service: Service) -> None:
    @flow(name="root")
    def root() -> list[Any]:
        told: list[Any] = []
        for method in ("refuse", "plain.error", "other.id", "gone"):
            try:
                flow.rpc(service.url, method)
            except RpcError as error:
                told.append([error.code, error.kind, error.hint, error.message.replace(service.url, "URL")])
        return told

    result = run(root, replay="after_every_step")
    assert result.output == [
        [-7, "no_room", "go", "`URL` refused `refuse`: full"],
        [5, "internal", None, "`URL` refused `plain.error`: no"],
        [-32603, "internal", None, "`URL` gave no JSON-RPC answer to `other.id`: HTTP 200, 46 bytes"],
        [-32603, "internal", None, "`URL` gave no JSON-RPC answer to `gone`: HTTP 502, 24 bytes"],
    ]


def test_a_call_in_a_step_that_is_tried_again_is_made_again(service: Service) -> None:
    @flow(name="calls", retry=Retry(on=RpcError, attempts=5))
    def calls() -> Any:
        return flow.rpc(service.socket_path, "busy")

    @flow(name="root")
    def root() -> Any:
        return calls()

    assert run(root).output is None
    assert len(service.requests) == 3


def test_nobody_there_is_a_connection_error(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="failed to call `add` at") as caught:
        flow.rpc(str(tmp_path / "nobody.sock"), "add")
    assert isinstance(caught.value, ConnectionError) and caught.value.kind == "server_unreachable"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "ftp://x/",
        "localhost:80",
        "http://",
        "http://x:99999/",
        "unix:relative",
        "http://u:p@x/",
        "unix:/a:b",
    ],
)
def test_what_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(ArgumentError, match=r"flow\.rpc cannot call"):
        flow.rpc(target, "method")


def test_parameters_that_are_no_json_are_refused_and_may_have_any_name(service: Service) -> None:
    with pytest.raises(ArgumentError, match=r'`add` cannot be called with this: params\["a"\]: set'):
        flow.rpc(service.url, "add", a={1})
    with pytest.raises(RpcError):
        flow.rpc(service.url, "gone", target=1, method=2, self=3, params=4)
    assert service.requests[-1]["params"] == {"target": 1, "method": 2, "self": 3, "params": 4}
