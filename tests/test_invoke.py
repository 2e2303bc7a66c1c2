"""`flow.invoke("name")`: saved workflows as sub-flows, in the same process and as plays of their own."""

import pytest

from support.hero import Json, Server

HELPED = """
from dataclasses import dataclass
import helper
from package import member

@dataclass
class Sum:
    total: "int"

@flow
def add(a: int, b: int) -> Sum:
    mark("add {version}")
    return Sum(a + b)

@flow
def bill(a: int, b: int = 1) -> int:
    from late import word
    if b < 0:
        raise helper.Refused("negative")
    return add(a, b).total + helper.BONUS + len(member.word) + len(word)
"""

MODULES = {
    "helper.py": "BONUS = {bonus}\nclass Refused(Exception): pass\n",
    "package/__init__.py": "",
    "package/member.py": "from . import other\nword = other.word",
    "package/other.py": "word = ''",
    "late.py": "word = ''",
}

CALLS = """
import helper

@flow
def add(a: int) -> int:
    return a

@flow
def calls(spawn: bool = False, target: str = "billing", b: int = 1) -> list[object]:
    first = flow.invoke(target, spawn=spawn, a=add(10), b=b)
    flow.pause("between")
    second = flow.invoke(target, spawn=spawn, a=20, b=b)
    return [first, second, helper.NAME]
"""


def save_billing(server: Server, version: str, bonus: int) -> None:
    hero = server.hero
    for path, source in MODULES.items():
        hero.write(source.replace("{bonus}", str(bonus)), f"billing/{path}", preamble=False)
    file = hero.write(HELPED.replace("{version}", version), "billing/billing.py")
    server.call("workflow_save", name="billing", file=str(file))


def start(server: Server, **inputs: Json) -> Json:
    hero = server.hero
    hero.write('NAME = "mine"', "helper.py", preamble=False)
    started = server.start(CALLS, flow="calls", input_data=inputs)
    return server.settled(started["sid"])


def go_on(server: Server, play: Json) -> Json:
    assert play["status"] == "awaiting_resume", play.get("error")
    server.resume(play, "between", None)
    return server.ended(play["sid"])


def test_a_saved_workflow_runs_in_process_with_modules_of_its_own(server: Server) -> None:
    save_billing(server, "v1", 100)
    play = go_on(server, start(server))
    assert play.get("output_data") == [111, 121, "mine"], play.get("error")
    assert server.hero.marks() == ["add v1", "add v1"]
    assert len(server.call("play_list")["items"]) == 1, "it is no play of its own"


def test_the_version_that_a_play_found_first_stays(server: Server) -> None:
    save_billing(server, "v1", 100)
    play = start(server)
    save_billing(server, "v2", 500)
    server.call("workflow_delete", workflow="billing")
    assert go_on(server, play)["output_data"] == [111, 121, "mine"]
    assert server.hero.marks() == ["add v1", "add v1"]


@pytest.mark.parametrize("spawn", [False, True])
def test_a_version_can_be_named(server: Server, spawn: bool) -> None:
    save_billing(server, "v1", 100)
    save_billing(server, "v2", 500)
    assert go_on(server, start(server, target="billing@1", spawn=spawn))["output_data"][:2] == [111, 121]
    assert go_on(server, start(server, target="billing", spawn=spawn))["output_data"][:2] == [511, 521]


@pytest.mark.parametrize("spawn", [False, True])
@pytest.mark.parametrize("target", ["nobody", "billing@7"])
def test_what_does_not_exist_says_so(server: Server, spawn: bool, target: str) -> None:
    save_billing(server, "v1", 100)
    play = start(server, target=target, spawn=spawn)
    assert play["status"] == "failed" and "FlowNotFound" in play["error"]["message"], play["error"]


@pytest.mark.parametrize("spawn", [False, True])
def test_one_that_fails_is_told_as_a_failed_flow(server: Server, spawn: bool) -> None:
    save_billing(server, "v1", 100)
    play = start(server, b=-1, spawn=spawn)
    assert play["status"] == "failed"
    assert "FlowFailed" in play["error"]["message"] and "negative" in play["error"]["message"]


CIRCLE = """
@flow
def {name}() -> str:
    return flow.invoke("{other}", spawn={spawn})
"""


@pytest.mark.parametrize("spawn", [False, True])
def test_workflows_that_invoke_each_other_end(server: Server, spawn: bool) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        source = CIRCLE.replace("{name}", name).replace("{other}", other).replace("{spawn}", str(spawn))
        file = server.hero.write(source, f"{name}.py")
        server.call("workflow_save", name=name, file=str(file))
    play = server.ended(server.call("play_start", workflow_sid="one")["sid"])
    assert play["status"] == "failed" and "in a circle" in play["error"]["message"], play["error"]
    assert len(server.call("play_list")["items"]) <= 2
