"""Plays are found again: by tag, time, text, parent and who started them."""

import os

import pytest

from support.hero import Hero, Json, Server, items
from support.waiting import eventually

TAGGED = """
@flow
def order(customer: str, ask: bool = False) -> str:
    flow.annotate(customer=customer, size=3, cost_usd=0.5)
    inner()
    if ask:
        flow.annotate(state="asking")
        ask_user.confirm("go", "Go on?")
        flow.annotate(state="answered")
    return customer

@flow
def inner() -> None:
    flow.annotate(customer="nobody", depth=1)
"""


def listed(server: Server, **params: Json) -> list[str]:
    return [play["sid"] for play in items(server.call("play_list", **params))]


def test_tags_of_the_root_flow_are_those_of_the_play(hero: Hero) -> None:
    with hero.server() as server:
        oslo, bergen = (
            server.ended(server.start(TAGGED, input_data={"customer": name})["sid"])["sid"]
            for name in ("Oslo", "Bergen")
        )
        assert server.call("play_get", play_sid=oslo)["tags"] == {"customer": "Oslo", "size": 3}
        assert listed(server, tags={"customer": "Oslo"}) == [oslo]
        assert listed(server, tags={"size": "3"}) == [bergen, oslo]
        assert listed(server, tags={"size": 3, "customer": "Bergen"}) == [bergen]
        assert listed(server, tags={"customer": "nobody"}) == [], "a tag of a step is not one of the play"
        assert listed(server, tags={"customer": "Oslo"}, status="failed") == []


def test_a_play_is_found_by_its_tags_while_it_waits_and_after_a_crash(hero: Hero) -> None:
    server = hero.start_server()
    play = server.start(TAGGED, input_data={"customer": "Oslo", "ask": True})["sid"]
    server.settled(play)
    assert listed(server, tags={"state": "asking"}) == [play]
    server.kill()
    with hero.server() as again:
        assert listed(again, tags={"state": "asking"}) == [play]
        again.resume(again.call("play_get", play_sid=play), "go", True)
        assert again.ended(play)["tags"]["state"] == "answered"
        assert listed(again, tags={"state": "asking"}) == []
        assert listed(again, tags={"state": "answered"}) == [play]


def test_a_play_is_found_by_its_tags_while_it_runs(hero: Hero) -> None:
    source = """
    @flow
    def long() -> None:
        flow.annotate(phase="early")
        mark("tagged")
        wait_for("go")
    """
    with hero.server() as server:
        play = server.start(source)["sid"]
        hero.saw("tagged")
        eventually(lambda: listed(server, tags={"phase": "early"}) == [play], "the tag of a running play")
        hero.touch("go")
        server.ended(play)


def test_plays_are_found_by_who_started_them(hero: Hero) -> None:
    source = """
    @flow
    def child() -> int:
        return 1

    @flow
    def parent() -> int:
        if flow.current().launch == 1:
            raise ValueError("at first")
        return flow.invoke(child, spawn=True)
    """
    with hero.server() as server:
        file = str(hero.write(source))
        first = server.call("play_start", file=file, flow="parent")["sid"]
        assert server.ended(first)["status"] == "failed"
        retried = server.call("play_retry", play_sid=first)["sid"]
        assert server.ended(retried)["output_data"] == 1
        restarted = server.call("play_restart", play_sid=first)["sid"]
        server.ended(restarted)
        (child,) = listed(server, parent=retried)
        uid = os.getuid()
        assert listed(server, started_by="rpc") == [first]
        assert listed(server, started_by=f"rpc:{uid}") == [first]
        assert listed(server, started_by=f"rpc:{uid + 1}") == []
        assert listed(server, started_by="retry") == [retried]
        assert listed(server, started_by="restart") == [restarted]
        assert listed(server, started_by=f"parent:{retried}") == [child]
        by = server.call("play_get", play_sid=child)["started_by"]
        assert by == {"by": "parent", "play_sid": retried}


def test_plays_are_found_by_time_and_text(hero: Hero) -> None:
    source = "@flow\ndef f() -> None: ..."
    with hero.server() as server:
        first, second, third = (
            server.ended(server.start(source, name=name)["sid"]) for name in ("Report 1", "other", "REPORT 2")
        )
        sids = [play["sid"] for play in (first, second, third)]
        assert listed(server, text="report") == [sids[2], sids[0]]
        assert listed(server, since=second["created_at"]) == [sids[2], sids[1]]
        assert listed(server, until=second["created_at"]) == [sids[0]]
        assert listed(server, text="report", since=second["created_at"]) == [sids[2]]


def test_the_command_looks_for_plays(hero: Hero) -> None:
    file = hero.write(TAGGED)
    for customer in ("Oslo", "7"):
        assert hero("run", file, "-i", f"customer={customer}", "--name", f"order of {customer}").code == 0

    def found(*args: str) -> list[str]:
        finished = hero("plays", "--json", *args)
        assert finished.code == 0, finished
        return [play["name"] for play in items(finished.json())]

    assert found("--tag", "customer=Oslo") == ["order of Oslo"]
    assert found("--tag", "customer=7", "--tag", "size=3") == ["order of 7"]
    assert found("--text", "OF OSLO") == ["order of Oslo"]
    assert found("--since", "1h", "--limit", "1") == ["order of 7"]
    assert found("--until", "2020-01-01") == []
    assert found("--started-by", "rpc") == ["order of 7", "order of Oslo"]
    assert "no such plays" in hero("plays", "--tag", "customer=Rome").stderr
    sid = items(hero("plays", "--text", "Oslo", "--json").json())[0]["sid"]
    shown = hero("show", sid).stdout
    assert "customer=Oslo size=3" in shown, shown
    again = hero("restart", sid, "--json").json()["sid"]
    assert found("--started-by", "restart") == ["order of Oslo"]
    assert f"restart:{os.getuid()}" in hero("show", again).stdout


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--tag", "customer"), "there is no `=` in it"),
        (("--tag", "cost_usd=1"), "no play is found by the tag"),
        (("--tag", "x=" + "y" * 2000), "no play is found by the tag"),
        (("--since", "yesterday"), "expected how long ago"),
        (("--until", "2026-02-30"), "expected how long ago"),
        (("--started-by", "magic"), "no play is started by"),
    ],
)
def test_what_no_play_can_be_found_by_is_refused_in_a_line(
    hero: Hero, args: tuple[str, ...], told: str
) -> None:
    finished = hero("plays", *args)
    assert finished.code == 2, finished
    assert told in finished.stderr.splitlines()[0], finished
