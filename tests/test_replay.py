"""What is shown and stored of steps that are replayed: each of them, for next to nothing."""

import json
from pathlib import Path

import pytest

from support.hero import Hero, Json, Server, items, launches

N_STEPS = 300

MANY_STEPS = f"""
import asyncio

@flow
def add(n: int, to: int = 1) -> int:
    return n + to

@flow
def outer(n: int) -> int:
    return add(n, 100)

@flow
async def later(n: int) -> int:
    await asyncio.sleep(0)
    return n

@flow
def refuses(n: int) -> None:
    raise ValueError(n)

@flow
def root() -> list:
    total = 0
    for n in range({N_STEPS}):
        total += add(n) if n % 7 else outer(n)
        if n % 50 == 0:
            try:
                refuses(n)
            except ValueError:
                total += 1
            with flow.step("block"):
                total += add(n, to=2)
    total += asyncio.run(gathers())
    return [total, flow.pause("first"), flow.pause("second")]

async def gathers() -> int:
    return sum(await asyncio.gather(*[later(n) for n in range(40)]))
"""

SHOWN = ("span_id", "parent_id", "name", "kind", "step_key", "arguments", "source_file", "source_line")


def shown(span: Json) -> Json:
    return {name: span.get(name) for name in SHOWN}


def pages(server: Server, play: str, limit: int) -> list[Json]:
    """All spans, page by page; each page but the last is full."""
    spans: list[Json] = []
    cursor = None
    while True:
        position: dict[str, Json] = {"cursor": cursor} if cursor else {}
        page = server.call("play_spans", play_sid=play, limit=limit, **position)
        spans += items(page)
        cursor = page.get("next_cursor")
        if cursor is None:
            return spans
        assert len(items(page)) == limit


@pytest.mark.parametrize("is_killed", [False, True])
def test_each_replayed_step_is_shown_as_it_was_when_it_ran(hero: Hero, is_killed: bool) -> None:
    server = hero.start_server()
    play = server.settled(server.start(MANY_STEPS, flow="root")["sid"])
    if is_killed:
        server.kill()
        server = hero.start_server()
    server.resume(play, "first", 1)
    server.resume(server.settled(play["sid"]), "second", 2)
    assert server.ended(play["sid"])["output_data"][1:] == [1, 2]

    spans = pages(server, play["sid"], 1000)
    assert pages(server, play["sid"], 7) == spans
    places = [(span["launch"], span["seq"]) for span in spans]
    assert places == sorted(set(places))
    # Not that of the block around some, which is no step, nor what a step called that was not entered.
    outermost = {
        span["span_id"] for span in spans if span["launch"] == 1 and span["name"] in ("root", "block")
    }
    ran = [span for span in spans if span["launch"] == 1 and span.get("step_key")]
    ran = [span for span in ran if span["parent_id"] in outermost]
    assert len(ran) == N_STEPS + 6 + 6 + 40
    for launch in (2, 3):
        again = [span for span in spans if span["launch"] == launch and span.get("step_key")]
        assert [shown(span) for span in again] == [shown(span) for span in ran]
        assert {span["status"] for span in again} == {"replayed"}
        assert all(span["ended_at"] == span["started_at"] > ran[-1]["started_at"] for span in again)
        assert not any("error" in span for span in again)
    assert {span["status"] for span in ran if span["name"] == "refuses"} == {"failed"}
    assert items(server.call("play_logs", play_sid=play["sid"])) == [], "nothing about the frames was odd"


def test_a_replay_of_thousands_of_steps_takes_hardly_any_room(hero: Hero) -> None:
    with hero.server() as server:
        source = """
        @flow
        def tick(n: int) -> int:
            return n

        @flow
        def root() -> None:
            for n in range(2000):
                tick(n)
            for n in range(3):
                flow.pause(f"q{n}")
        """
        play = server.settled(server.start(source, flow="root")["sid"])
        sizes = []
        for n in range(2):
            server.resume(play, f"q{n}", 1)
            play = server.settled(play["sid"])
            sizes.append(sum(file.stat().st_size for file in Path(hero.home).rglob("*") if file.is_file()))
        assert sizes[1] - sizes[0] < 100_000
        assert launches(pages(server, play["sid"], 1000), "tick").count((3, "replayed")) == 2000


def test_a_play_that_is_tried_again_shows_what_it_took_over(hero: Hero) -> None:
    with hero.server() as server:
        source = """
        @flow
        def tick(n: int) -> int:
            return n

        @flow
        def root() -> None:
            for n in range(100):
                tick(n)
            flow.pause("q")
            assert Path("go").exists()
        """
        play = server.settled(server.start(source, flow="root")["sid"])
        server.resume(play, "q", 1)
        assert server.ended(play["sid"])["status"] == "failed"
        hero.touch("go")
        again = server.call("play_retry", play_sid=play["sid"])
        assert server.ended(again["sid"])["status"] == "success"
        ticks = [span for span in pages(server, again["sid"], 9) if span["name"] == "tick"]
        assert [span["arguments"] for span in ticks] == [{"n": n} for n in range(100)]
        assert {span["status"] for span in ticks} == {"replayed"}


BAD_FRAMES: list[Json] = [
    None,
    [],
    {},
    {"parent_id": "a", "at": 1},
    {"at": 1, "ran_as": [{"launch": 1, "seq": 1}]},
    *(
        {"parent_id": "a", "at": 1, "ran_as": ran_as}
        for ran_as in (
            [],
            "all",
            [1],
            [{"launch": 1}],
            [{"launch": 1, "seq": -1}],
            [{"launch": 2, "seq": 1}],
            [{"launch": 4_000_000_000, "seq": 1}],
            [{"launch": 1, "seq": 1, "n": 0}],
            [{"launch": 1, "seq": 1, "n": 2, "stride": 0}],
            [{"launch": 1, "seq": 1, "n": 100_001}],
            [{"launch": 1, "seq": 2**64 - 1, "n": 2}],
            [{"launch": 1, "seq": 1, "n": 2**64 - 1}, {"launch": 1, "seq": 1, "n": 2}],
        )
    ),
]


def test_frames_of_replayed_steps_that_cannot_be_are_recorded_and_passed_over(hero: Hero) -> None:
    source = f"""
    import json
    from pyhero import _play

    @flow
    def tick(n: int) -> int:
        return n

    @flow
    def root() -> int:
        flow.pause("q")
        for frame in json.loads({json.dumps(json.dumps(BAD_FRAMES))}):
            _play.running.journal.send(json.dumps({{"replayed": frame}}))
        return tick(1)
    """
    with hero.server() as server:
        play = server.settled(server.start(source, flow="root")["sid"])
        server.resume(play, "q", 1)
        assert server.ended(play["sid"])["output_data"] == 1
        lines = [line["text"] for line in items(server.call("play_logs", play_sid=play["sid"]))]
        assert sum("malformed frame" in line for line in lines) == len(BAD_FRAMES)
        assert launches(pages(server, play["sid"], 1), "tick") == [(2, "ok")]


def test_a_replayed_step_that_ran_nowhere_harms_nobody_else(hero: Hero) -> None:
    source = """
    from pyhero import _play

    @flow
    def root() -> None:
        flow.pause("q")
        _play.running.journal.post_replayed("a", 1, 1000, True)
        _play.running.journal.post_replayed("a", 1, 1, False)
    """
    with hero.server() as server:
        play = server.settled(server.start(source, flow="root")["sid"])
        server.resume(play, "q", 1)
        assert server.ended(play["sid"])["status"] == "success"
        spans = items(server.call("play_spans", play_sid=play["sid"]))
        assert launches(spans, "root") == [(1, "paused"), (2, "ok"), (2, "replayed")]
