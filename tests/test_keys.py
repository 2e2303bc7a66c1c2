"""Step identity: the formula of the key, recomputed here from what a play shows."""

import hashlib
import json
from typing import Any

from support.hero import Hero

STEPS = """
@flow
def fetch(id: int, q: str = "é") -> str:
    mark("fetch")
    return q

@flow
def takes(x: object) -> None:
    mark("takes")
"""


def step_key(
    version: str, parent_path: str, name: str, arguments: dict[str, Any], occurrence: int = 1
) -> str:
    """DESIGN's formula, in the words of the Python standard library."""
    canonical = json.dumps(
        arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    text = f"{version}|{parent_path}|{name}|{canonical}" + (f"|#{occurrence}" if occurrence > 1 else "")
    return hashlib.sha1(text.encode()).hexdigest()


def test_the_formula_of_this_file_gives_the_published_vectors() -> None:
    assert (
        step_key("0001", "main", "fetch", {"id": 1, "q": "é"}) == "6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad"
    )
    assert step_key("0001", "", "main", {}) == "e4f443fcd52b38f3163d747e5737de2cb3ce6f72"


def keys_of(hero: Hero, body: str) -> tuple[str, list[str]]:
    """The version and the keys of the steps that a root flow `main` with this body calls, in order."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    play = hero.run(f"{STEPS}\n@flow\ndef main():\n{lines}\n").json()
    assert play["status"] == "success", play
    spans = [span for span in hero.spans(play["sid"]) if span["name"] in {"fetch", "takes"}]
    return play["workflow_version_sid"], [span["step_key"] for span in spans]


def test_the_key_of_a_call_follows_the_formula(hero: Hero) -> None:
    version, keys = keys_of(hero, 'fetch(1)\nfetch(id=2, q="ü\\U0001f600\\n")')
    assert keys == [
        step_key(version, "main", "fetch", {"id": 1, "q": "é"}),
        step_key(version, "main", "fetch", {"id": 2, "q": "ü\U0001f600\n"}),
    ]


def test_positional_keyword_and_default_arguments_are_one_call_and_equal_calls_are_counted(
    hero: Hero,
) -> None:
    version, keys = keys_of(hero, 'fetch(1)\nfetch(id=1)\nfetch(q="é", id=1)\nfetch(1, "é")')
    expected = [
        step_key(version, "main", "fetch", {"id": 1, "q": "é"}, occurrence) for occurrence in (1, 2, 3, 4)
    ]
    assert keys == expected


def test_numbers_that_differ_are_different_calls(hero: Hero) -> None:
    values = ["2**53", "2**53 + 1", "1", "1.0", "True", "'1'", "None", "0.1 + 0.2", "-0.0", "0"]
    version, keys = keys_of(hero, "\n".join(f"takes({value})" for value in values))
    assert keys == [step_key(version, "main", "takes", {"x": eval(value)}) for value in values]
    assert len(set(keys)) == len(values)


def test_a_step_under_a_step_carries_the_path_of_its_caller(hero: Hero) -> None:
    play = hero.run("""
    @flow
    def inner() -> None:
        mark("inner")

    @flow
    def outer(n: int) -> None:
        inner()

    @flow
    def main() -> None:
        outer(1)
        outer(2)
    """).json()
    version = play["workflow_version_sid"]
    outers = [step_key(version, "main", "outer", {"n": n}) for n in (1, 2)]
    inners = [step_key(version, f"main/outer:{outer[:8]}", "inner", {}) for outer in outers]
    spans = hero.spans(play["sid"])
    assert [span["step_key"] for span in spans if span["name"] == "inner"] == inners


def test_an_argument_without_a_canonical_form_is_an_error_that_names_it(hero: Hero) -> None:
    finished = hero.run("""
    @flow
    def reads(handle: object) -> None:
        mark("never")

    @flow
    def main() -> None:
        reads(handle=open("/dev/null"))
    """)
    assert (finished.code, hero.marks()) == (1, [])
    error = finished.json()["error"]
    assert "handle" in error["message"] and "reads" in error["message"]


def test_nan_is_no_argument(hero: Hero) -> None:
    finished = hero.run(f"{STEPS}\n@flow\ndef main():\n    takes(float('nan'))\n")
    assert (finished.code, hero.marks()) == (1, [])
    assert "x" in finished.json()["error"]["message"]
