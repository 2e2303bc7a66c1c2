"""Flows that take another way on replay than they took before.

A call is recognised by where it stands, its name and its arguments, and not by when it comes. So what is
called as before returns as before, whatever is around it; what is called otherwise runs; and what is not
called any more is shown as left over. No call ever gets the outcome of another one.
"""

from dataclasses import dataclass, field

import pytest

from support.hero import Hero, Json, Server

# Each step leaves a mark and returns what it was called with. `again` is true in the second launch.
STEPS = """
import random

@flow
def a(x: object) -> str:
    mark(f"a {x}")
    return f"a {x}"

@flow
def b(x: object) -> str:
    mark(f"b {x}")
    return f"b {x}"

@flow
def outer(x: object) -> str:
    return a(x) + "!"

"""


@dataclass
class Change:
    """The body of a flow in its first launch and in its second, and what comes of it.

    Attributes:
        marks: What the second launch ran.
        left_over: The names of the remembered steps that the second launch did not call.
    """

    first: str
    second: str
    output: list[str]
    marks: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)


CHANGES = {
    "nothing": Change("[a(1), b(2)]", "[a(1), b(2)]", ["a 1", "b 2"]),
    "reordered calls": Change("[a(1), b(2)]", "[b(2), a(1)]", ["b 2", "a 1"]),
    "changed arguments": Change("[a(1)]", "[a(2)]", ["a 2"], ["a 2"], ["a"]),
    "a changed type of number": Change("[a(1)]", "[a(1.0)]", ["a 1.0"], ["a 1.0"], ["a"]),
    "a removed step": Change("[a(1), b(2)]", "[b(2)]", ["b 2"], [], ["a"]),
    "a removed last step": Change("[a(1), b(2)]", "[a(1)]", ["a 1"], [], ["b"]),
    "a new first step": Change("[b(2)]", "[a(1), b(2)]", ["a 1", "b 2"], ["a 1"]),
    "a new step in between": Change("[a(1), b(2)]", "[a(1), a(3), b(2)]", ["a 1", "a 3", "b 2"], ["a 3"]),
    "another step in its place": Change("[a(1)]", "[b(1)]", ["b 1"], ["b 1"], ["a"]),
    "an equal call more": Change("[a(1), a(1)]", "[a(1), a(1), a(1)]", ["a 1"] * 3, ["a 1"]),
    "an equal call less": Change("[a(1), a(1)]", "[a(1)]", ["a 1"], [], ["a"]),
    "a call moved into a step": Change("[a(1)]", "[outer(1)]", ["a 1!"], ["a 1"], ["a"]),
    "a call moved out of a step": Change("[outer(1)]", "[a(1)]", ["a 1"], ["a 1"], ["outer"]),
    "by name and not by place": Change("[a(1)]", "[a(x=1)]", ["a 1"]),
    "into a block": Change("[a(1)]", "[a(1) for _ in blocks()]", ["a 1"]),
    "a loop that goes on longer": Change(
        "[a(n) for n in range(3)]", "[a(n) for n in range(5)]", [f"a {n}" for n in range(5)], ["a 3", "a 4"]
    ),
    "a loop that runs backwards": Change(
        "[a(n) for n in range(4)]", "[a(n) for n in reversed(range(4))]", ["a 3", "a 2", "a 1", "a 0"]
    ),
    "the value of another step": Change("[a(b(1))]", "[a(b(2))]", ["a b 2"], ["b 2", "a b 2"], ["a", "b"]),
}


@pytest.fixture(scope="module")
def shared_server(module_hero: Hero) -> Json:
    with module_hero.server() as server:
        yield server


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_call_never_gets_the_outcome_of_another_one(shared_server: Server, change: Change) -> None:
    marks = shared_server.hero.work_dir / "marks.txt"
    marks.write_text("")
    play = shared_server.start(
        f"""{STEPS}
def blocks():
    with flow.step("block"):
        yield 1

@flow
def root() -> list:
    calls = {change.first} if flow.current().launch == 1 else {change.second}
    flow.pause("q")
    return calls
""",
        flow="root",
    )
    stands = shared_server.settled(play["sid"])
    assert stands["status"] == "awaiting_resume", stands
    marks.write_text("")
    shared_server.resume(stands, "q", None)
    ended = shared_server.ended(play["sid"])
    assert ended["output_data"] == change.output, ended
    assert shared_server.hero.marks() == change.marks
    assert sorted(step["name"] for step in ended["left_over"]) == change.left_over


def test_an_argument_by_chance_is_another_call_in_each_launch(shared_server: Server) -> None:
    marks = shared_server.hero.work_dir / "marks.txt"
    marks.write_text("")
    play = shared_server.start(
        f"""{STEPS}
@flow
def root() -> list:
    drawn = random.random()
    said = a(drawn)
    flow.pause("q")
    return [said, f"a {{drawn}}"]
""",
        flow="root",
    )
    shared_server.resume(shared_server.settled(play["sid"]), "q", None)
    ended = shared_server.ended(play["sid"])
    said, expected = ended["output_data"]
    assert said == expected
    assert len(set(shared_server.hero.marks())) == 2, "it ran in both launches"
    assert [step["name"] for step in ended["left_over"]] == ["a"], "and the play shows it"


def test_a_loop_of_ten_thousand_steps_is_replayed_without_running_one(shared_server: Server) -> None:
    play = shared_server.start(
        """
    ran = 0

    @flow
    def tick(n: int) -> int:
        global ran
        ran += 1
        return n

    @flow
    def root() -> list:
        total = sum(tick(n % 100) for n in range(10_000))
        flow.pause("q")
        return [total, ran, flow.current().launch]
    """,
        flow="root",
    )
    shared_server.resume(shared_server.settled(play["sid"]), "q", None)
    assert shared_server.ended(play["sid"])["output_data"] == [495_000, 0, 2]
