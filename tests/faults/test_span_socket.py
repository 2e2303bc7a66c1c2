"""A child says anything, in any way, on its socket: its play gets a defined end, and nobody else notices."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.hero import Json, Server, items

from . import counts
from .checker import check_no_panic

RAW_CHILD = Path(__file__).parent / "flows" / "raw_child.py"

FLOW = """
@flow
def raw(says: str, seed: int = 0, other: dict[str, object] | None = None) -> str:
    raise AssertionError("never run: the child is another program")
"""

SUCCESS = ("success", None)
NO_RESULT = ("failed", "no_result")
CRASHED = ("failed", "crashed")

CONVERSATIONS = {
    "as_it_should": SUCCESS,
    "byte_by_byte": SUCCESS,
    "half_a_frame": NO_RESULT,
    "half_a_hello": NO_RESULT,
    "never_reads": SUCCESS,
    "garbage_between_frames": SUCCESS,
    "odd_lines": SUCCESS,
    "counts_wrong": SUCCESS,
    "counts_to_the_limit": SUCCESS,
    "greets_twice": SUCCESS,
    "spans_that_are_not": SUCCESS,
    "two_results": SUCCESS,
    "too_long_a_line": CRASHED,
    "too_long_a_hello": CRASHED,
    "many_connections": SUCCESS,
}

IMPOSTORS: dict[str, Json] = {
    "another token": {"token": "k3"},
    "no token": {"token": ""},
    "another play": {"play": "0" * 26},
    "another launch": {"launch": 99},
    "another protocol": {"protocol": 2},
}


@pytest.fixture
def python(server: Server) -> str:
    """An interpreter whose launches are raw children."""
    wrapper = server.hero.home / "python"
    wrapper.write_text(f'#!/bin/sh\nREAL_PYTHON={sys.executable} exec {sys.executable} {RAW_CHILD} "$@"\n')
    wrapper.chmod(0o700)
    return str(wrapper)


def start(server: Server, python: str, says: str, **inputs: Json) -> str:
    sid: str = server.start(FLOW, python=python, input_data={"says": says, **inputs})["sid"]
    return sid


def end_of(server: Server, sid: str) -> tuple[str, str | None]:
    play = server.settled(sid)
    return play["status"], play["error"]["kind"] if play.get("error") else None


def test_each_conversation_has_its_defined_end(server: Server, python: str) -> None:
    plays = {says: start(server, python, says) for says in CONVERSATIONS}
    assert {says: end_of(server, sid) for says, sid in plays.items()} == CONVERSATIONS
    output = server.call("play_get", play_sid=plays["as_it_should"])["output_data"]
    assert output == "well"
    check_no_panic(server.hero)


def test_what_is_no_frame_is_logged_and_passed_over(server: Server, python: str) -> None:
    sid = start(server, python, "odd_lines")
    assert end_of(server, sid) == SUCCESS
    notes = [line for line in items(server.call("play_logs", play_sid=sid)) if "malformed" in line["text"]]
    assert len(notes) >= 15
    assert all(len(note["text"]) < 1_000 for note in notes), "however long it was"


def test_who_is_not_expected_is_refused(server: Server, python: str) -> None:
    plays = {who: start(server, python, "refused", other=other) for who, other in IMPOSTORS.items()}
    for who, sid in plays.items():
        assert end_of(server, sid) == CRASHED, who
        assert items(server.call("play_spans", play_sid=sid)) == []


def test_a_child_that_never_reads_can_be_cancelled_and_holds_up_nobody(server: Server, python: str) -> None:
    stubborn = start(server, python, "never_reads_and_never_ends")
    assert end_of(server, start(server, python, "as_it_should")) == SUCCESS
    server.call("play_cancel", play_sid=stubborn)
    assert end_of(server, stubborn) == ("cancelled", None)


def test_a_mangled_conversation_ends_its_play_and_nothing_else(
    server: Server, python: str, summary: Callable[[str], None]
) -> None:
    chances = counts.chances("mangled conversations")
    ends: dict[str, int] = {}
    for _ in range(counts.MANGLED_CONVERSATIONS // 50):
        sids = [start(server, python, "fuzzed", seed=chances.getrandbits(32)) for _ in range(50)]
        for sid in sids:
            status, kind = end_of(server, sid)
            assert status in {"success", "failed", "awaiting_resume"}, (sid, status, kind)
            ends[kind or status] = ends.get(kind or status, 0) + 1
    assert end_of(server, start(server, python, "as_it_should")) == SUCCESS
    check_no_panic(server.hero)
    summary(f"mangled conversations: {sum(ends.values())}, {ends}")
    assert len(ends) >= 4, "they hardly differ"
