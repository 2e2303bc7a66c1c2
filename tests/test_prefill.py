"""Answers given ahead, so that a flow with questions runs headless."""

import json

import pytest

from support.hero import Finished, Hero, Json, Server

QUESTIONS = """
@flow
def questions(names: list[str]) -> list:
    mark("launch")
    return [flow.pause(name) for name in names]
"""


def run(hero: Hero, names: list[str], prefill: dict[str, Json], *more: str) -> Finished:
    file = hero.home / "prefill.json"
    file.write_text(json.dumps(prefill))
    return hero.run(QUESTIONS, "-i", f"names={json.dumps(names)}", "--prefill-file", file, *more)


def test_exact_beats_glob_and_the_longer_prefix_the_shorter(hero: Hero) -> None:
    prefill = {"*": "star", "app*": "app", "approve*": "glob", "approve": "exact"}
    finished = run(hero, ["approve", "approve_all", "apply", "appoint", "x"], prefill)
    assert finished.json()["output_data"] == ["exact", "glob", "app", "app", "star"]
    assert finished.code == 0


def test_an_entry_answers_as_many_pauses_as_match_in_one_launch(hero: Hero) -> None:
    finished = run(hero, ["q", "q", "q"], {"q": None})
    play = finished.json()
    assert (play["output_data"], play["launch"]) == ([None, None, None], 1)
    assert hero.marks() == ["launch"], "a prefilled pause ends no process"


def test_a_prefilled_answer_is_recorded_with_the_pattern(hero: Hero) -> None:
    (request,) = run(hero, ["approve"], {"app*": {"ok": True}}).json()["received_resumes"]
    assert request["payload"] == {"ok": True}
    assert request["resumed_by"] == {"by": "prefill", "pattern": "app*"}


def test_a_replay_takes_the_recorded_answer(hero: Hero) -> None:
    play = run(hero, ["first", "second"], {"first": [1, 2]}).json()
    assert play["status"] == "awaiting_resume"
    hero("resume", play["sid"], "second", "3")
    ended = hero.wait(play["sid"])
    assert ended["output_data"] == [[1, 2], 3]
    assert [request["resumed_by"]["by"] for request in ended["received_resumes"]] == ["prefill", "rpc"]


def test_an_entry_that_does_not_fit_the_schema_fails_the_play_by_name(hero: Hero) -> None:
    finished = hero.run(
        """
    @flow
    def asks() -> bool:
        return ask_user.confirm("approve", "Ship?")
    """,
        "--prefill",
        'app*="yes"',
    )
    assert finished.code == 1, finished
    error = finished.json()["error"]
    assert error["kind"] == "prefill_mismatch"
    assert "approve" in error["message"] and "app*" in error["message"]


def test_prefill_only_fails_by_name_at_what_nothing_covers(hero: Hero) -> None:
    finished = run(hero, ["a", "b"], {"a": 1}, "--prefill-only")
    play = finished.json()
    assert (finished.code, play["status"]) == (1, "failed")
    assert play["error"]["kind"] == "prefill_missing"
    assert "`b`" in play["error"]["message"] and play["error"]["hint"]


def test_entries_that_were_never_used_are_listed(hero: Hero) -> None:
    play = run(hero, ["a"], {"a": 1, "aa": 2, "z*": 3}).json()
    assert play["prefill_unused"] == ["aa", "z*"]


def test_the_command_line_takes_entries_one_by_one(hero: Hero) -> None:
    file = hero.write(QUESTIONS)
    finished = hero(
        "run", file, "--json", "-i", 'names=["a","b"]', "--prefill", "a=1", "--prefill", 'b={"x": "y=z"}'
    )
    assert finished.json()["output_data"] == [1, {"x": "y=z"}]


def test_an_answer_may_come_before_its_question(server: Server) -> None:
    sid = server.start("""
    @flow
    def asks_later() -> str:
        mark("begun")
        wait_for("go")
        return flow.pause("approve")
    """)["sid"]
    server.hero.saw("begun")
    server.call("play_prefill", play_sid=sid, prefill_resumes={"app*": "ahead"})
    server.hero.touch("go")
    play = server.ended(sid)
    assert (play["output_data"], play["launch"]) == ("ahead", 1)


def test_prefill_answers_open_questions_at_once(server: Server) -> None:
    play = server.settled(server.start(QUESTIONS, input_data={"names": ["a", "b"]})["sid"])
    server.call("play_prefill", play_sid=play["sid"], prefill_resumes={"*": 5})
    assert server.ended(play["sid"])["output_data"] == [5, 5]


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1', ""])
def test_a_prefill_file_that_is_no_json_object_is_refused(hero: Hero, content: str) -> None:
    file = hero.home / "prefill.json"
    file.write_text(content)
    finished = hero.run(QUESTIONS, "-i", 'names=["a"]', "--prefill-file", file)
    assert finished.code == 2, finished
    assert "prefill.json" in finished.stderr
    assert hero.plays() == []
