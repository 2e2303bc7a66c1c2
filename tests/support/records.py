"""A real JSON-RPC record service on a Unix socket: `record_set` mints an id when it is given none."""

import http.server
import json
import socketserver
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What a flow needs to call the service: its own few lines, as a user would write them.
CLIENT = """
import http.client, json, socket

class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

def rpc(path, method, **params):
    connection = Unix(path)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())["result"]
"""


class RecordService:
    """Holds the records that were set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def record_set(self, record: dict[str, Any], sid: str = "") -> str:
        """Stores a record under *sid*, or under a new one, and returns the sid."""
        with self._lock:
            sid = sid or uuid.uuid4().hex
            self.records[sid] = record
            return sid

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The JSON-RPC response to one request."""
        base = {"jsonrpc": "2.0", "id": request.get("id")}
        if request.get("method") != "record_set":
            return base | {"error": {"code": -32601, "message": f"no method {request.get('method')!r}"}}
        return base | {"result": self.record_set(**request["params"])}


@contextmanager
def record_service(path: Path) -> Iterator[RecordService]:
    """The service, listening on *path* until the end of the block."""
    service = RecordService(path)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(service.answer(request)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            listener.shutdown()
            thread.join()
