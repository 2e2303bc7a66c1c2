"""The outcome of a play is posted where its start says: until it arrives, or is given up visibly."""

import hashlib
import hmac
import itertools
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.hero import Hero, Server
from support.rpc import RpcFailure
from support.waiting import eventually

GREETING = """
@flow
def greeting(name: str = "Ada"):
    if name == "nobody":
        raise ValueError("nobody is there")
    return f"Hello, {name}"
"""


@dataclass
class Post:
    """Something that was posted."""

    path: str
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A server on this machine that keeps what it is posted.

    Attributes:
        statuses: What it answers, one after the other; the last one from then on.
        location: Where it redirects to.
    """

    port: int = 0
    statuses: list[int] = field(default_factory=lambda: [200])
    location: str | None = None
    posts: list[Post] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ended?by=play"

    def take(self, post: Post) -> int:
        with self.lock:
            self.posts.append(post)
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def receiving(*statuses: int, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(statuses=list(statuses) or [200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.take(Post(self.path, headers, body)))
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    receiver.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def allowing(hero: Hero) -> Iterator[Server]:
    """A server that may post to this machine."""
    server = hero.start_server(HERO_ALLOW_CALLBACKS="127.0.0.1")
    yield server
    server.stop()


def posted(server: Server, play: str, status: str, deadline_seconds: float = 60) -> Any:
    """The play, once its final callback has this status."""

    def look() -> Any:
        now = server.call("play_get", play_sid=play)
        return now if now["final_callback"]["status"] == status else None

    return eventually(look, f"the final callback to be {status}", deadline_seconds)


def test_the_outcome_is_posted_once_and_signed(allowing: Server) -> None:
    with receiving() as receiver:
        play = allowing.start(GREETING, final_callback_url=receiver.url)
        assert play["final_callback"]["status"] == "waiting"
        now = posted(allowing, play["sid"], "delivered")
        told = now["final_callback"]
        assert (told["url"], told["n_attempts"]) == (receiver.url, 1)
        assert "last_error" not in told and "next_at" not in told
    (post,) = receiver.posts
    assert (post.path, post.headers["content-type"]) == ("/ended?by=play", "application/json")
    assert post.headers["idempotency-key"] == play["sid"]
    outcome = post.json()
    assert (outcome["event"], outcome["play_sid"], outcome["status"]) == (
        *("play_ended", play["sid"], "success"),
    )
    assert (outcome["output_data"], outcome["ended_at"]) == ("Hello, Ada", now["ended_at"])
    # As the documents tell a receiver to.
    key_id, secret = (allowing.hero.data_dir / "keys/final_callbacks").read_text().split()
    parts = dict(part.split("=", 1) for part in post.headers["hero-signature"].split(","))
    expected = hmac.new(secret.encode(), f"{parts['t']}.{post.body}".encode(), hashlib.sha256)
    assert (parts["kid"], parts["v1"]) == (key_id, expected.hexdigest())
    assert abs(int(parts["t"]) * 1_000_000 - now["ended_at"]) < 60_000_000
    assert key_id not in (allowing.hero.data_dir / "keys").joinpath("callbacks").name


@pytest.mark.parametrize("how", ["failed", "cancelled", "timed_out"])
def test_every_end_is_posted_and_no_traceback(allowing: Server, how: str) -> None:
    with receiving() as receiver:
        source = GREETING if how == "failed" else "@flow\ndef waits():\n    flow.pause('forever')\n"
        inputs = {"name": "nobody"} if how == "failed" else {}
        limit = {"timeout_ms": 1} if how == "timed_out" else {}
        play = allowing.start(source, input_data=inputs, final_callback_url=receiver.url, **limit)
        if how == "cancelled":
            allowing.settled(play["sid"])
            allowing.call("play_cancel", play_sid=play["sid"])
        posted(allowing, play["sid"], "delivered")
    outcome = receiver.posts[0].json()
    assert (outcome["status"], "output_data" in outcome) == (how, False)
    if how == "failed":
        assert outcome["error"]["kind"] == "exception"
        assert "ValueError: nobody is there" in outcome["error"]["message"]
        assert "Traceback" not in receiver.posts[0].body


def test_a_receiver_that_fails_three_times_and_then_works_has_it(allowing: Server) -> None:
    with receiving(500, 503, 404, 204) as receiver:
        play = allowing.start(GREETING, final_callback_url=receiver.url)
        now = posted(allowing, play["sid"], "delivered")
        assert now["final_callback"]["n_attempts"] == 4
        assert now["status"] == "success"
    assert len(receiver.posts) == 4
    assert len({post.body for post in receiver.posts}) == 1, "each attempt says the same"
    assert {post.headers["idempotency-key"] for post in receiver.posts} == {play["sid"]}
    times = [int(post.headers["hero-signature"].split(",")[0][2:]) for post in receiver.posts]
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert all(abs(wait - wanted) <= 1 for wait, wanted in zip(waits, [1, 5, 30], strict=True)), waits


def test_what_was_on_its_way_when_the_server_died_arrives_all_the_same(hero: Hero) -> None:
    with receiving(500, 200) as receiver:
        server = hero.start_server(HERO_ALLOW_CALLBACKS=f"127.0.0.1:{receiver.port}")
        play = server.start(GREETING, final_callback_url=receiver.url)
        eventually(lambda: receiver.posts, "the first attempt")
        server.kill()
        server = hero.start_server(HERO_ALLOW_CALLBACKS=f"127.0.0.1:{receiver.port}")
        now = posted(server, play["sid"], "delivered")
        assert now["status"] == "success"
        server.kill()
        n_posts = len(receiver.posts)
        server = hero.start_server(HERO_ALLOW_CALLBACKS=f"127.0.0.1:{receiver.port}")
        assert server.call("play_get", play_sid=play["sid"]) == now
        assert len(receiver.posts) == n_posts, "what has arrived is not posted again"
        server.stop()


def test_one_that_never_works_is_given_up_visibly(allowing: Server) -> None:
    with receiving(302) as receiver, receiving() as elsewhere:
        receiver.location = elsewhere.url
        gone = "http://127.0.0.1:1/nobody"
        plays = {url: allowing.start(GREETING, final_callback_url=url)["sid"] for url in (receiver.url, gone)}
        given_up = {url: posted(allowing, play, "given_up")["final_callback"] for url, play in plays.items()}
    assert {told["n_attempts"] for told in given_up.values()} == {4}
    assert (
        "302" in given_up[receiver.url]["last_error"]
        and "not followed" in given_up[receiver.url]["last_error"]
    )
    assert "refused" in given_up[gone]["last_error"]
    assert (len(receiver.posts), elsewhere.posts) == (4, []), "redirects are not followed"
    assert {allowing.call("play_get", play_sid=play)["status"] for play in plays.values()} == {"success"}
    shown = allowing.hero("show", plays[gone]).stdout
    assert f"given up: {gone}, tried 4 times" in shown
    log = (allowing.hero.home / "hero_logic_server.log").read_text()
    assert log.count("final callback given up") == 2


REFUSED = [
    *("http://example.com/", "ftp://example.com/", "/etc/passwd", "unix:/run/docker.sock", "", "example.com"),
    *("https://127.0.0.1/", "https://localhost/", "https://127.1/", "https://2130706433/", "https://0x7f.1/"),
    *("https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/"),
    *("https://169.254.169.254/latest/", "https://metadata.google.internal/", "https://10.1.2.3/"),
    *("https://user@example.com/", "https://example.com:22/", "https://example.com/#x", "https://e x.com/"),
]


def test_an_address_that_must_not_be_reached_is_refused_at_the_start(server: Server) -> None:
    for url in REFUSED:
        with pytest.raises(RpcFailure) as refused:
            server.start(GREETING, final_callback_url=url)
        assert (refused.value.kind, refused.value.hint is not None) == ("invalid_params", True), url
    assert server.call("play_list")["items"] == [], "nothing was stored"


def test_a_name_that_leads_to_this_machine_is_refused_when_it_is_connected_to(hero: Hero) -> None:
    """What the name is resolved to is what is looked at: the name itself looks like any other."""
    name = subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()
    addresses = subprocess.run(["getent", "ahosts", name], capture_output=True, text=True).stdout
    if not addresses.startswith(("127.", "10.", "172.", "192.168.", "::1", "fe80:", "fd")):
        pytest.skip(f"this machine's own name leads to no private address: {addresses}")
    with receiving() as receiver:
        server = hero.start_server()
        url = f"https://{name}:{receiver.port}/"
        play = server.start(GREETING, final_callback_url=url)
        told = posted(server, play["sid"], "due")["final_callback"]
        told = eventually(
            lambda: [
                now
                for now in [server.call("play_get", play_sid=play["sid"])["final_callback"]]
                if now["n_attempts"]
            ],
            "the first attempt",
        )[0]
        assert "must not be reached" in told["last_error"] and "leads to" in told["last_error"], told
        assert receiver.posts == []
        server.stop()


def test_tls_is_checked_against_the_certificates_of_the_system(hero: Hero) -> None:
    authority, certificate, key = certificates(hero.home)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with receiving(tls=tls) as receiver:
        url = receiver.url.replace("http:", "https:")
        trusted = {"HERO_ALLOW_CALLBACKS": "127.0.0.1", "SSL_CERT_FILE": str(authority)}
        finished = hero.run(GREETING, "--final-callback-url", url, **trusted)
        assert finished.json()["status"] == "success"
        assert len(receiver.posts) == 1, "a command that carries plays posts what is due at once"
        other, *_ = certificates(hero.home, "other")
        hero.run(GREETING, "--final-callback-url", url, **trusted | {"SSL_CERT_FILE": str(other)})
        assert len(receiver.posts) == 1
    shown = hero("show", hero.plays()[0]["sid"]).stdout
    assert "certificate" in shown.lower() and "due at" in shown, shown


def certificates(directory: Path, name: str = "own") -> tuple[Path, Path, Path]:
    """An authority, a certificate of it for this machine's loopback address, and the key of that."""
    made = tuple(directory / f"{name}_{what}.pem" for what in ("authority", "certificate", "key"))
    authority, certificate, key = made
    request, secret, names = (directory / f"{name}_{what}" for what in ("request", "secret", "names"))
    names.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"]
    sign = ["openssl", "x509", "-req", "-days", "2", "-in", request, "-CA", authority, "-CAkey", secret]
    for command in (
        [*new, "-x509", "-days", "2", "-keyout", secret, "-out", authority],
        [*new, "-keyout", key, "-out", request],
        [*sign, "-CAcreateserial", "-extfile", names, "-out", certificate],
    ):
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return authority, certificate, key


def test_a_retry_is_posted_too_and_names_its_origin(allowing: Server) -> None:
    with receiving() as receiver:
        play = allowing.start(GREETING, input_data={"name": "nobody"}, final_callback_url=receiver.url)
        posted(allowing, play["sid"], "delivered")
        again = allowing.call("play_retry", play_sid=play["sid"])
        posted(allowing, again["sid"], "delivered")
        fork = allowing.call("play_fork", play_sid=play["sid"])
        assert "final_callback" not in allowing.ended(fork["sid"])
    assert [post.json()["play_sid"] for post in receiver.posts] == [play["sid"], again["sid"]]
    assert receiver.posts[1].json()["origin"] == {"play_sid": play["sid"], "how": "retry"}


@pytest.mark.parametrize("hosts", ["http://x", "a b", "host/path", "user@host"])
def test_a_setting_that_is_no_list_of_hosts_is_refused_at_the_start(hero: Hero, hosts: str) -> None:
    refused = hero("plays", HERO_ALLOW_CALLBACKS=hosts)
    assert (refused.code, "HERO_ALLOW_CALLBACKS" in refused.stderr) == (2, True), refused
