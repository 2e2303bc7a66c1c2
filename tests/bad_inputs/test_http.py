"""HTTP over the Unix socket as no client of ours would send it: the status, and a server that goes on."""

import http.client
import re
import socket
from contextlib import closing, suppress
from pathlib import Path

import pytest

from faults.counts import IS_TORTURE
from support.hero import Server

CALL = b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_list","params":{}}'
# Would store a play if it were carried out.
START = b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_start","params":{"file":"/no/such.py"}}'
HOST, JSON = b"Host: localhost", b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"

HUNG_UP = None
"""Instead of a status: the server says nothing and ends the connection."""


def post(*headers: bytes, line: bytes = b"POST /rpc HTTP/1.1", body: bytes = CALL) -> bytes:
    """A call with these headers, and the length of the body among them."""
    return request(*headers, b"Content-Length: %d" % len(body), line=line, body=body)


def request(*headers: bytes, line: bytes = b"POST /rpc HTTP/1.1", body: bytes = CALL) -> bytes:
    return b"\r\n".join([line, *headers, b"", body])


def get(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([line, HOST, *headers, b"", b""])


def chunks(*lines: bytes) -> bytes:
    return request(HOST, JSON, CHUNKED, body=b"\r\n".join(lines))


REQUESTS: dict[str, tuple[bytes, int | None]] = {
    # The socket says who is asked, and not the host that a request names.
    "as it should be": (post(HOST, JSON), 200),
    "no host": (post(JSON), 200),
    "another host": (post(b"Host: evil.example", JSON), 200),
    "an absolute URI": (post(HOST, JSON, line=b"POST http://evil.example/rpc HTTP/1.1"), 200),
    "a query behind the path": (post(HOST, JSON, line=b"POST /rpc?x=1 HTTP/1.1"), 200),
    "HTTP/1.0": (post(JSON, line=b"POST /rpc HTTP/1.0"), 200),
    "one chunk": (chunks(b"%x" % len(CALL), CALL, b"0", b"", b""), 200),
    "a chunk with an extension": (chunks(b"%x;a=b" % len(CALL), CALL, b"0", b"", b""), 200),
    "parameters of the content type": (post(HOST, b"Content-Type: application/json; charset=utf-8"), 200),
    "a content type in capitals": (post(HOST, b"CONTENT-TYPE: APPLICATION/JSON"), 200),
    "ninety headers": (post(HOST, JSON, *[b"X%d: x" % n for n in range(90)]), 200),
    # Web pages.
    "the origin of a page": (post(HOST, JSON, b"Origin: http://evil.example"), 403),
    "the origin of a file": (post(HOST, JSON, b"Origin: null"), 403),
    "the origin of this host": (post(HOST, JSON, b"Origin: http://localhost"), 403),
    "a page that asks first": (get(b"OPTIONS /rpc HTTP/1.1", b"Origin: http://evil.example"), 405),
    "a web socket": (get(b"GET /rpc HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"), 405),
    # Content types that a form can have, and none.
    "no content type": (post(HOST, body=START), 415),
    "an empty content type": (post(HOST, b"Content-Type:", body=START), 415),
    "text": (post(HOST, b"Content-Type: text/plain", body=START), 415),
    "text that claims to be JSON": (post(HOST, b"Content-Type: text/plain; application/json"), 415),
    "a form": (post(HOST, b"Content-Type: application/x-www-form-urlencoded", body=START), 415),
    "a form with files": (post(HOST, b"Content-Type: multipart/form-data; boundary=x", body=START), 415),
    "text first and JSON after": (post(HOST, b"Content-Type: text/plain", JSON, body=START), 415),
    "nearly JSON": (post(HOST, b"Content-Type: application/json5"), 415),
    "anything": (post(HOST, b"Content-Type: */*"), 415),
    "a content type that is no text": (post(HOST, b"Content-Type: \xff\xfe"), 415),
    # Methods.
    "GET": (get(b"GET /rpc HTTP/1.1"), 405),
    "HEAD": (get(b"HEAD /rpc HTTP/1.1"), 405),
    "PUT": (post(HOST, JSON, line=b"PUT /rpc HTTP/1.1"), 405),
    "PATCH": (post(HOST, JSON, line=b"PATCH /rpc HTTP/1.1"), 405),
    "DELETE": (get(b"DELETE /rpc HTTP/1.1"), 405),
    "TRACE": (get(b"TRACE /rpc HTTP/1.1", b"Max-Forwards: 0"), 405),
    "OPTIONS for the server": (get(b"OPTIONS * HTTP/1.1"), 404),
    "CONNECT": (get(b"CONNECT evil.example:443 HTTP/1.1"), 404),
    "a method in small letters": (post(HOST, JSON, line=b"post /rpc HTTP/1.1"), 405),
    "a method of its own": (post(HOST, JSON, line=b"DANCE /rpc HTTP/1.1"), 405),
    "POST to health": (post(HOST, JSON, line=b"POST /health HTTP/1.1"), 405),
    # Paths.
    "the root": (get(b"GET / HTTP/1.1"), 404),
    "no such path": (get(b"GET /nothing HTTP/1.1"), 404),
    "a path upwards": (get(b"GET /../../etc/passwd HTTP/1.1"), 404),
    "a path upwards, encoded": (get(b"GET /..%2f..%2fetc%2fpasswd HTTP/1.1"), 404),
    "a path upwards, encoded twice": (get(b"GET /..%252f..%252fetc HTTP/1.1"), 404),
    "a detour": (post(HOST, JSON, line=b"POST /x/../rpc HTTP/1.1"), 404),
    "two slashes": (post(HOST, JSON, line=b"POST //rpc HTTP/1.1"), 404),
    "a slash behind": (post(HOST, JSON, line=b"POST /rpc/ HTTP/1.1"), 404),
    "capitals": (post(HOST, JSON, line=b"POST /RPC HTTP/1.1"), 404),
    "an encoded letter": (post(HOST, JSON, line=b"POST /%72pc HTTP/1.1"), 404),
    "an encoded NUL": (post(HOST, JSON, line=b"POST /rpc%00 HTTP/1.1"), 404),
    "a path of 100,000 bytes": (get(b"GET /" + b"a" * 100_000 + b" HTTP/1.1"), 414),
    # Lines and headers.
    "HTTP/0.9": (b"GET /health\r\n", 400),
    "HTTP/2 in an HTTP/1 line": (post(HOST, JSON, line=b"POST /rpc HTTP/2.0"), 400),
    "HTTP/9.9": (post(HOST, JSON, line=b"POST /rpc HTTP/9.9"), 400),
    "HTTP/2 from the first byte": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HUNG_UP),
    "TLS": (bytes.fromhex("16030100a5010000a10303") + b"\0" * 100, 400),
    "no path": (post(HOST, JSON, line=b"POST HTTP/1.1"), 400),
    "a space in the path": (post(HOST, JSON, line=b"POST /r pc HTTP/1.1"), 400),
    "a NUL in the path": (post(HOST, JSON, line=b"POST /r\0pc HTTP/1.1"), 400),
    "a header without a colon": (post(HOST, JSON, b"nonsense"), 400),
    "a space before the colon": (post(HOST, JSON, b"X : x"), 400),
    "a header over two lines": (post(HOST, JSON, b"X: x\r\n y"), 400),
    "a NUL in a header": (post(HOST, JSON, b"X: a\0b"), 400),
    "a name of a header that is none": (post(HOST, JSON, b"X\xff: a"), 400),
    "two hundred headers": (post(HOST, JSON, *[b"X%d: x" % n for n in range(200)]), 431),
    "a header of a megabyte": (post(HOST, JSON, b"X: " + b"x" * 1_000_000), 431),
    # Where a body ends.
    "no body": (request(HOST, JSON, body=b""), 200),
    "a body in an encoding that is not ours": (request(HOST, JSON, b"Transfer-Encoding: gzip"), 400),
    "two lengths": (post(HOST, JSON, b"Content-Length: 5"), 400),
    "a length in a list": (request(HOST, JSON, b"Content-Length: 70, 71"), 400),
    "a length below zero": (request(HOST, JSON, b"Content-Length: -1"), 400),
    "a length with a plus": (request(HOST, JSON, b"Content-Length: +70"), 400),
    "a length in words": (request(HOST, JSON, b"Content-Length: many"), 400),
    "a length beyond all numbers": (request(HOST, JSON, b"Content-Length: 99999999999999999999"), 400),
    "a length above the limit": (request(HOST, JSON, b"Content-Length: 16777217"), 413),
    "a length of terabytes": (request(HOST, JSON, b"Content-Length: 9999999999999"), 413),
    "a length, and chunks that are none": (post(HOST, JSON, CHUNKED), 400),
    "a chunk of no size": (chunks(b"zz", CALL, b"0", b"", b""), 400),
    "a chunk below zero": (chunks(b"-1", CALL, b"0", b"", b""), 400),
    "a chunk beyond all numbers": (chunks(b"f" * 17, CALL, b"0", b"", b""), 400),
    "a chunk that is longer than it says": (chunks(b"1", CALL, b"0", b"", b""), 400),
}


@pytest.mark.parametrize(("sent", "status"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_gets_its_status(unharmed: Server, sent: bytes, status: int | None) -> None:
    with closing(connected(unharmed.socket)) as connection:
        assert answered(connection, sent) == status


CUT_OFF = {
    "before the first byte": b"",
    "in the line": b"POST /rp",
    "in a header": b"POST /rpc HTTP/1.1\r\nHos",
    "before the body": post(HOST, JSON, body=START)[: -len(START)],
    "in the body": post(HOST, JSON, body=START)[:-10],
    "in a chunk": chunks(b"fff", START),
    "between chunks": chunks(b"%x" % len(START), START, b""),
}


@pytest.mark.parametrize("sent", CUT_OFF.values(), ids=CUT_OFF.keys())
def test_a_request_that_is_cut_off_is_not_carried_out(unharmed: Server, sent: bytes) -> None:
    with closing(connected(unharmed.socket)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(connection) in {HUNG_UP, 400}


def test_requests_in_one_go_are_answered_in_their_order(unharmed: Server) -> None:
    calls = [CALL.replace(b'"id":1', b'"id":%d' % n) for n in range(20)]
    with closing(connected(unharmed.socket)) as connection:
        connection.sendall(b"".join(post(HOST, JSON, body=call) for call in calls))
        said = b""
        while said.count(b'"result"') < 20:
            more = connection.recv(65536)
            assert more, f"the server hung up after {said!r}"
            said += more
    assert re.findall(rb'"id":(\d+),"result"', said) == [b"%d" % n for n in range(20)]


def test_connections_that_say_nothing_or_little_keep_nobody_waiting(unharmed: Server) -> None:
    kept = [connected(unharmed.socket) for _ in range(300)]
    try:
        for number, connection in enumerate(kept):
            connection.sendall(post(HOST, JSON, body=START)[: number % 150])
        assert unharmed.call("play_list")["items"] == []
        assert unharmed.answers_or_died() and unharmed.process.poll() is None
    finally:
        for connection in kept:
            connection.close()


@pytest.mark.skipif(not IS_TORTURE, reason="takes half a minute")
@pytest.mark.parametrize("n_bytes", [0, 20, 100, 170])
def test_a_request_that_does_not_come_is_given_up(unharmed: Server, n_bytes: int) -> None:
    with closing(connected(unharmed.socket)) as connection:
        connection.settimeout(60)
        connection.sendall(post(HOST, JSON, body=START)[:n_bytes])
        assert status_of(connection) in {HUNG_UP, 408}


# --- Talking ---------------------------------------------------------------------------------------


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection


def answered(connection: socket.socket, sent: bytes) -> int | None:
    """The status that answers; None where the server only hangs up."""
    with suppress(BrokenPipeError):  # It may have heard enough; what it said is there all the same.
        connection.sendall(sent)
    return status_of(connection)


def status_of(connection: socket.socket) -> int | None:
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
    except (http.client.BadStatusLine, ConnectionResetError):
        return HUNG_UP
    return response.status
