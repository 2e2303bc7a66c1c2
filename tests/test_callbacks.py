"""Callbacks: another system answers at a signed URL, early, late, twice, wrongly, or with an error."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.hero import Hero, Server, request_named
from support.waiting import eventually

PAYMENT = """
@flow
def hand_over(url):
    mark(url)

@flow
def payment():
    callback = flow.callback("paid", schema=int)
    hand_over(callback.url)
    amount = callback.wait()
    mark(f"paid {amount}")
    return amount + callback.wait()
"""


@dataclass
class Reply:
    """What the listener said."""

    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def send(
    url: str, body: bytes | str | None, *, method: str = "POST", token: str | None = None, **headers: str
) -> Reply:
    """Posts to a callback as any program on this machine would."""
    parts = urlsplit(url)
    path = parts.path if token is None else parts.path.rpartition("/")[0] + "/" + token
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        sent = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        return Reply(response.status, dict(response.headers), response.read().decode())
    finally:
        connection.close()


def post(url: str, **body: Any) -> Reply:
    return send(url, json.dumps(body))


@contextmanager
def listening(hero: Hero, **env: str) -> Iterator[None]:
    """The web UI, which takes what is posted to callbacks."""
    process = hero.spawn("hero_logic_admin", "--port", "0", **env)
    try:
        eventually(hero.socket.with_name("admin.url").exists, "the web UI to start")
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def listener(server: Server) -> Iterator[Server]:
    with listening(server.hero):
        yield server


def url_of(server: Server, name: str = "paid", play: Any = None) -> str:
    url: str = request_named(play, name)["url"]
    return url


def test_the_other_system_answers_and_the_play_goes_on(listener: Server) -> None:
    play = listener.settled(listener.start(PAYMENT)["sid"])
    assert play["status"] == "awaiting_resume"
    request = request_named(play, "paid")
    assert (request["kind"], listener.hero.marks()) == ("callback", [request["url"]])
    reply = post(request["url"], success=True, data=20, task_id="job 7")
    assert reply.status == 200 and set(reply.json()) == {"ok", "resumed_at"}, reply
    ended = listener.ended(play["sid"])
    assert (ended["status"], ended["output_data"]) == ("success", 40)
    answer = ended["received_resumes"][0]
    assert answer["resumed_by"] == {"by": "callback", "task_id": "job 7"}
    assert listener.hero.marks() == [request["url"], "paid 20"], "the URL was handed over once"


def test_what_comes_after_the_first_answer_changes_nothing(listener: Server) -> None:
    play = listener.settled(listener.start(PAYMENT)["sid"])
    url = url_of(listener, play=play)
    assert post(url, success=True, data=1).status == 200
    bodies: list[dict[str, Any]] = [
        {"success": True, "data": 1},
        {"success": True, "data": 2},
        {"success": False},
    ]
    for body in bodies:
        again = post(url, **body)
        assert (again.status, again.json()) == (200, {"noop": True, "reason": "answered"}), body
    assert listener.ended(play["sid"])["output_data"] == 2
    assert post(url, success=True, data=3).json() == {"noop": True, "reason": "answered"}


def test_of_many_that_post_at_once_one_is_the_answer(listener: Server) -> None:
    play = listener.settled(listener.start(PAYMENT)["sid"])
    url, replies = url_of(listener, play=play), dict[int, Reply]()
    threads = [
        threading.Thread(target=lambda n=n: replies.update({n: post(url, success=True, data=n)}))
        for n in range(64)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [n for n, reply in replies.items() if reply.json().get("ok")]
    assert len(taken) == 1 and len(replies) == 64
    assert {reply.status for reply in replies.values()} == {200}
    ended = listener.ended(play["sid"])
    assert (ended["output_data"], ended["launch"]) == (2 * taken[0], 2)


@pytest.mark.parametrize("error", ["no money", {"code": 7}, None])
def test_a_failure_of_the_other_system_is_raised_in_the_flow(listener: Server, error: Any) -> None:
    play = listener.start(
        """
from pyhero import CallbackFailed

@flow
def payment():
    try:
        return flow.callback("paid", schema=int).wait()
    except CallbackFailed as failed:
        flow.pause("seen")
        return [str(failed), failed.error, failed.task_id]
"""
    )
    url = url_of(listener, play=listener.settled(play["sid"]))
    assert post(url, success=False, task_id="job 7", error=error).json()["ok"]
    play = eventually(
        lambda: [now for now in [listener.settled(play["sid"])] if now["launch"] == 2], "the next launch"
    )[0]
    listener.resume(play, "seen", None)
    message, told, task_id = listener.ended(play["sid"])["output_data"]
    assert (told, task_id) == (error, "job 7")
    assert message.startswith("callback `paid` failed") and ("no money" in message) == (error == "no money")


def test_a_failure_that_the_flow_does_not_handle_ends_it(listener: Server) -> None:
    play = listener.settled(listener.start(PAYMENT)["sid"])
    post(url_of(listener, play=play), success=False, error="no money")
    ended = listener.ended(play["sid"])
    assert (ended["status"], ended["error"]["kind"]) == ("failed", "exception")
    assert "CallbackFailed: callback `paid` failed: no money" in ended["error"]["message"]


def test_an_answer_that_comes_before_the_flow_waits_is_kept(listener: Server) -> None:
    play = listener.start(
        """
@flow
def early():
    callback = flow.callback("paid")
    mark(callback.url)
    wait_for("go")
    return [callback.wait(), callback.url]
"""
    )
    url = eventually(listener.hero.marks, "the URL")[0]
    assert listener.call("play_get", play_sid=play["sid"])["pending_resumes"][0]["is_ahead"] is True
    assert post(url, success=True, data={"n": 1}).json()["ok"]
    listener.hero.touch("go")
    ended = listener.ended(play["sid"])
    assert (ended["output_data"], ended["launch"]) == ([{"n": 1}, url], 1)


def test_every_flipped_byte_is_refused_and_changes_nothing(listener: Server) -> None:
    from urllib.parse import quote

    play = listener.settled(listener.start(PAYMENT)["sid"])
    url = url_of(listener, play=play)
    token = url.rpartition("/")[2].encode()
    assert len(token) > 140
    body = json.dumps({"success": True, "data": 1})
    answers = set()
    for place in range(len(token)):
        flipped = bytearray(token)
        flipped[place] ^= 1 + place % 127
        reply = send(url, body, token=quote(bytes(flipped), safe=""))
        answers.add((reply.status, reply.text))
    for forged in [b"x", token[:-1], token + b"0", token.upper(), b".".join(token.split(b".")[:-1]) + b"."]:
        reply = send(url, body, token=quote(forged, safe=""))
        answers.add((reply.status, reply.text))
    assert len(answers) == 1, "no answer tells how good a guess was"
    status, text = answers.pop()
    assert (status, json.loads(text)["error"]["kind"]) == (404, "callback_not_found")
    now = listener.call("play_get", play_sid=play["sid"])
    assert (now["status"], now["received_resumes"]) == ("awaiting_resume", [])
    assert post(url, success=True, data=1).json()["ok"]


def test_the_url_of_one_callback_answers_no_other(listener: Server) -> None:
    play = listener.settled(
        listener.start(
            """
@flow
def two():
    a, b = flow.callback("a"), flow.callback("b")
    return flow.parallel(a.wait, b.wait)
"""
        )["sid"]
    )
    tokens = [url_of(listener, name, play).rpartition("/")[2].split(".") for name in ("a", "b")]
    mixed = ".".join([*tokens[0][:-1], tokens[1][-1]])
    assert send(url_of(listener, "a", play), '{"success": true}', token=mixed).status == 404
    assert post(url_of(listener, "b", play), success=True, data="B").json()["ok"]
    assert post(url_of(listener, "a", play), success=True, data="A").json()["ok"]
    assert listener.ended(play["sid"])["output_data"] == ["A", "B"]


def test_one_that_comes_too_late_is_told_so(listener: Server) -> None:
    play = listener.start(
        """
from pyhero import PauseTimeout

@flow
def impatient():
    callback = flow.callback("paid", timeout=0.5)
    try:
        return callback.wait()
    except PauseTimeout:
        return callback.url
"""
    )
    ended = listener.ended(play["sid"])
    assert ended["status"] == "success"
    late = post(ended["output_data"], success=True, data=1)
    assert (late.status, late.json()) == (410, {"noop": True, "reason": "expired"})
    assert listener.call("play_get", play_sid=play["sid"]) == ended


def test_a_play_that_has_ended_or_was_removed_takes_none(listener: Server) -> None:
    play = listener.settled(listener.start(PAYMENT)["sid"])
    url = url_of(listener, play=play)
    listener.call("play_cancel", play_sid=play["sid"])
    late = post(url, success=True, data=1)
    assert (late.status, late.json()) == (410, {"noop": True, "reason": "play_ended"})
    listener.call("play_delete", play_sid=play["sid"])
    gone = post(url, success=True, data=1)
    assert (gone.status, gone.json()["error"]["kind"]) == (404, "callback_not_found")


BAD_BODIES: list[tuple[str | bytes, int, str]] = [
    ("", 400, "payload_not_json"),
    ("{", 400, "payload_not_json"),
    ('{"success": true, "success": false}', 400, "payload_not_json"),
    ('{"success": true, "data": NaN}', 400, "payload_not_json"),
    ('{"success": true} x', 400, "payload_not_json"),
    (b'{"success": true, "data": "\xff"}', 400, "payload_not_json"),
    ("[" * 200 + "]" * 200, 400, "payload_not_json"),
    ("[null, true, 1, null]", 422, "payload_mismatch"),
    ("true", 422, "payload_mismatch"),
    ("{}", 422, "payload_mismatch"),
    ('{"data": 1}', 422, "payload_mismatch"),
    ('{"success": "yes", "data": 1}', 422, "payload_mismatch"),
    ('{"success": 1, "data": 1}', 422, "payload_mismatch"),
    ('{"success": null}', 422, "payload_mismatch"),
    ('{"success": true, "dat": 1}', 422, "payload_mismatch"),
    ('{"success": true, "data": 1, "error": "x"}', 422, "payload_mismatch"),
    ('{"success": true, "data": 1, "task_id": 7}', 422, "payload_mismatch"),
    ('{"success": true, "data": "no number"}', 422, "payload_mismatch"),
    ('{"success": true}', 422, "payload_mismatch"),
]


def test_what_does_not_fit_is_told_and_can_be_posted_again(listener: Server) -> None:
    play = listener.settled(listener.start(PAYMENT)["sid"])
    url = url_of(listener, play=play)
    for body, status, kind in BAD_BODIES:
        reply = send(url, body)
        told = reply.json()["error"]
        assert (reply.status, told["kind"]) == (status, kind), (body, reply)
        assert told["message"], body
    good = json.dumps({"success": True, "data": 1})
    for content_type in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]:
        assert send(url, good, Content_Type=content_type).status == 415, content_type
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]:
        reply = send(url, good, method=method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST"), method
    large = send(url, json.dumps({"success": True, "data": "x" * (1024 * 1024)}))
    assert (large.status, large.json()["error"]["kind"]) == (413, "too_large")
    assert listener.call("play_get", play_sid=play["sid"])["received_resumes"] == []
    assert send(url, good, Content_Type="Application/JSON; charset=utf-8").json()["ok"]


def test_looking_never_answers_and_tells_nothing(listener: Server) -> None:
    play = listener.settled(listener.start(PAYMENT)["sid"])
    url = url_of(listener, play=play)
    pages = {send(url, None, method="GET").text for _ in range(10)}
    pages.add(send(url, None, method="GET", token="guessed").text)
    assert len(pages) == 1 and "Looking at it changes nothing" in pages.pop()
    head = send(url, None, method="HEAD")
    assert (head.status, head.headers["cache-control"], head.headers["referrer-policy"]) == (
        *(200, "no-store", "no-referrer"),
    )
    assert "default-src 'none'" in head.headers["content-security-policy"]
    now = listener.call("play_get", play_sid=play["sid"])
    assert (now["status"], now["received_resumes"]) == ("awaiting_resume", [])


def test_the_listener_is_on_loopback_and_goes_by_its_own_names(hero: Hero) -> None:
    public = "https://flows.example.com/hooks/"
    server = hero.start_server(HERO_PUBLIC_URL=public)
    with listening(hero, HERO_PUBLIC_URL=public):
        local = hero.socket.with_name("admin.url").read_text().split("/login")[0]
        play = server.settled(server.start(PAYMENT)["sid"])
        url = url_of(server, play=play)
        assert url.startswith("https://flows.example.com/hooks/callbacks/")
        token = url.rpartition("/")[2]
        here = f"{local}/callbacks/{token}"
        assert local.startswith("http://127.0.0.1:")
        body = json.dumps({"success": True, "data": 1})
        for host in ["evil.example", "flows.example.com:99", "127.0.0.1", ""]:
            assert send(here, body, Host=host).status in {400, 421}, host
        assert send(f"{local}/", None, method="GET", Host="flows.example.com").status == 421
        assert send(here, body, Host="Flows.example.com").json()["ok"]
    server.stop()


@pytest.mark.parametrize("url", ["flows.example.com", "ftp://x", "https://", "https://x?y", "https://a b"])
def test_a_public_url_that_is_none_is_refused_at_the_start(hero: Hero, url: str) -> None:
    refused = hero("plays", HERO_PUBLIC_URL=url)
    assert (refused.code, "HERO_PUBLIC_URL" in refused.stderr) == (2, True), refused


def test_the_url_survives_the_death_of_the_server_and_a_new_address(hero: Hero) -> None:
    server = hero.start_server()
    play = server.settled(server.start(PAYMENT)["sid"])
    url = url_of(server, play=play)
    server.kill()
    server = hero.start_server(HERO_PUBLIC_URL="https://new.example.com")
    with listening(hero):
        base = hero.socket.with_name("admin.url").read_text().split("/login")[0]
        assert post(f"{base}/callbacks/{url.rpartition('/')[2]}", success=True, data=1).json()["ok"]
        server.kill()
        server = hero.start_server()
        assert server.ended(play["sid"])["output_data"] == 2
        assert hero.marks()[0] == url and [m for m in hero.marks() if "/callbacks/" in m] == [url]
    server.stop()


def test_keys_are_private_and_may_follow_each_other(listener: Server) -> None:
    plays = [listener.settled(listener.start(PAYMENT)["sid"]) for _ in range(2)]
    keys = listener.hero.data_dir / "keys/callbacks"
    assert keys.stat().st_mode & 0o777 == 0o600
    old = keys.read_text()
    keys.write_text(f"fresh {'ab' * 32}\n{old}")
    fresh = listener.settled(listener.start(PAYMENT)["sid"])
    assert url_of(listener, play=fresh).rpartition("/")[2].startswith("fresh.")
    assert post(url_of(listener, play=plays[0]), success=True, data=1).json()["ok"], (
        "the old key still counts"
    )
    keys.write_text(f"fresh {'ab' * 32}\n")
    assert post(url_of(listener, play=plays[1]), success=True, data=1).status == 404
    assert post(url_of(listener, play=fresh), success=True, data=1).json()["ok"]


MANY = """
@flow
def hand_over(item, url):
    mark(url)

@flow
def many(items: list[str]):
    def one(item):
        callback = flow.callback(f"done[{item}]")
        hand_over(item, callback.url)
        return [item, callback.wait()]
    return flow.map(one, items)
"""

MANY_ASYNC = """
@flow
def hand_over(item, url):
    mark(url)

@flow
async def many(items: list[str]):
    async def one(item):
        callback = flow.callback(f"done[{item}]")
        hand_over(item, callback.url)
        return [item, callback.wait()]
    return await flow.map(one, items)
"""


@pytest.mark.parametrize("source", [MANY, MANY_ASYNC], ids=["sync", "async"])
def test_each_item_of_a_map_has_a_callback_of_its_own(listener: Server, source: str) -> None:
    names = ["a", "b", "c", "d"]
    play = listener.settled(listener.start(source, input_data={"items": names})["sid"])
    urls = {name: url_of(listener, f"done[{name}]", play) for name in names}
    assert len(set(urls.values())) == 4
    for name in reversed(names):
        assert post(urls[name], success=True, data=name.upper()).json()["ok"]
    assert listener.ended(play["sid"])["output_data"] == [[name, name.upper()] for name in names]
    assert sorted(listener.hero.marks()) == sorted(urls.values()), "each was handed over once"


def test_prefill_answers_a_callback(hero: Hero) -> None:
    finished = hero.run(PAYMENT, "--prefill", "paid=4", "--prefill-only")
    assert (finished.code, finished.json()["output_data"]) == (0, 8)
    finished = hero.run(PAYMENT, "--prefill-only")
    assert finished.json()["error"]["kind"] == "prefill_missing"


def test_a_callback_that_nobody_waits_for_does_not_settle_a_play_that_sleeps(hero: Hero) -> None:
    finished = hero.run(
        """
@flow
def naps():
    callback = flow.callback("never")
    flow.sleep(2.5)
    return "awake"
"""
    )
    assert (finished.code, finished.json()["output_data"]) == (0, "awake"), finished


def test_the_command_line_tells_where_to_post(hero: Hero) -> None:
    waiting = hero("run", hero.write(PAYMENT))
    url = hero.marks()[0]
    assert (waiting.code, f'waiting for "paid": a POST to {url}' in waiting.stderr) == (75, True), waiting
    play = hero.plays()[0]["sid"]
    assert url in hero("show", play).stdout
    assert hero("resume", play, "paid", "5").stdout.strip() == "10"
