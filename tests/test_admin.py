"""The web UI: who may come in, and answering a question from a browser without script."""

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.cookiejar import CookieJar

import pytest

from support.hero import Server
from support.waiting import eventually

QUESTION = """
@flow
def greeting():
    name = ask_user.text("name", "<b>Who</b> are you?")
    return f"Hello, {name}"
"""


@dataclass
class Reply:
    """What the server said."""

    status: int
    headers: Message
    text: str


@dataclass
class Browser:
    """Fetches pages, keeps cookies, follows redirects, runs no script."""

    login_url: str
    cookies: CookieJar = field(default_factory=CookieJar)

    @property
    def origin(self) -> str:
        return self.login_url.split("/login")[0]

    def get(self, url: str, **headers: str) -> Reply:
        return self._open(urllib.request.Request(urllib.parse.urljoin(self.origin, url), headers=headers))

    def post(self, path: str, fields: dict[str, str], origin: str | None = None) -> Reply:
        body = urllib.parse.urlencode(fields).encode()
        headers = {"Origin": self.origin if origin is None else origin}
        return self._open(urllib.request.Request(self.origin + path, data=body, headers=headers))

    def _open(self, request: urllib.request.Request) -> Reply:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        try:
            with opener.open(request, timeout=30) as response:
                return Reply(response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read().decode())


@pytest.fixture
def browser(server: Server) -> Iterator[Browser]:
    """A browser that has not signed in yet, before a running web UI."""
    process = server.hero.spawn("hero_logic_admin", "--port", "0")
    url_file = server.socket.with_name("admin.url")
    try:
        eventually(url_file.exists, "the web UI to start")
        yield Browser(eventually(lambda: url_file.read_text().strip(), "the sign-in URL"))
    finally:
        process.terminate()
        process.wait(timeout=30)


def waiting_play(server: Server, source: str = QUESTION) -> str:
    play: str = server.start(source)["sid"]
    server.settled(play)
    return play


def test_a_question_is_answered_from_its_form(server: Server, browser: Browser) -> None:
    play = waiting_play(server)
    browser.get(browser.login_url)
    inbox = browser.get("/inbox").text
    assert "<title>(1) Waiting for you" in inbox
    request_id = re.search(r'name="id" value="([0-9a-f]{40})"', inbox)
    assert request_id is not None, inbox
    browser.post(f"/plays/{play}", {"id": request_id[1], "text": 'Ada "Lovelace"'})
    server.settled(play)
    assert "Hello, Ada &quot;Lovelace&quot;" in browser.get(f"/plays/{play}").text
    again = browser.post(f"/plays/{play}", {"id": request_id[1], "text": "Eve"})
    assert (again.status, "resume_conflict" in again.text) == (409, True)


def test_hostile_text_stays_text(server: Server, browser: Browser) -> None:
    play = waiting_play(server)
    browser.get(browser.login_url)
    page = browser.get(f"/plays/{play}")
    assert "&lt;b&gt;Who&lt;/b&gt;" in page.text and "<b>Who</b>" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_the_sign_in_url_works_once(server: Server, browser: Browser) -> None:
    assert browser.get("/").status == 401
    first = browser.get(browser.login_url)
    assert (first.status, "Plays" in first.text) == (200, True)
    cookie = next(iter(browser.cookies))
    assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert Browser(browser.login_url).get(browser.login_url).status == 401
    fresh = server.socket.with_name("admin.url").read_text().strip()
    assert Browser(fresh).get(fresh).status == 200


def test_foreign_hosts_and_foreign_pages_are_refused(server: Server, browser: Browser) -> None:
    play = waiting_play(server)
    browser.get(browser.login_url)
    for host in ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:80", ""]:
        assert browser.get("/", Host=host).status in {400, 421}, host
    for origin in ["null", "http://evil.example", "", "https" + browser.origin.removeprefix("http")]:
        assert browser.post(f"/plays/{play}/cancel", {}, origin).status == 403, origin
    assert server.call("play_get", play_sid=play)["status"] == "awaiting_resume"
    assert browser.post(f"/plays/{play}/cancel", {}).status == 200
    assert server.call("play_get", play_sid=play)["status"] == "cancelled"


def test_what_does_not_exist_is_told_so(server: Server, browser: Browser) -> None:
    browser.get(browser.login_url)
    missing = browser.get("/plays/01hzzzzzzzzzzzzzzzzzzzzzzz")
    assert (missing.status, "play_not_found" in missing.text) == (404, True)
    assert browser.get("/nothing").status == 404
