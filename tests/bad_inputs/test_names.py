"""Names that are none: of workflows, plays, pauses, flows, files and ids."""

import json
import unicodedata
from typing import Any

import pytest

from support import rpc
from support.hero import Json, Server, items

FLOW = """
@flow
def root() -> None:
    flow.pause("q")
"""

# What is no name of a workflow, a flow or a pause: `^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`.
NO_NAMES = {
    "nothing": "",
    "a space": " ",
    "a point": ".",
    "two points": "..",
    "a slash": "a/b",
    "a way up": "../a",
    "an encoded way up": "%2e%2e",
    "a backslash": "a\\b",
    "a bar": "a|b",
    "a colon": "a:b",
    "a semicolon": "a;b",
    "an ampersand": "a&b",
    "a dollar": "$a",
    "a quote": "a'b",
    "a double quote": 'a"b',
    "a back quote": "`a`",
    "a star": "a*",
    "a question mark": "a?",
    "an option": "-rf",
    "a long option": "--help",
    "a digit first": "1a",
    "a hash": "#a",
    "markup": "<b>a</b>",
    "a NUL": "a\0b",
    "a line break": "a\nb",
    "a line break behind": "a\n",
    "a carriage return": "a\rb",
    "a tab": "a\tb",
    "an escape sequence": "\x1b[31ma",
    "a space before": " a",
    "a space behind": "a ",
    "a space inside": "a b",
    "an accent": "é",
    "an accent apart": "e\u0301",
    "a look-alike": "\u0430pprove",
    "an emoji": "😀",
    "text turned around": "a\u202eb",
    "a zero-width space": "a\u200bb",
    "a no-break space": "a\u00a0b",
    "a full-width letter": "\uff21",
    "129 characters": "a" * 129,
    "100,000 characters": "a" * 100_000,
}

NAMES = ["_", "a", "A", "a.b", "a-b", "__class__", "a..b", "con", "a" * 128]


@pytest.fixture(scope="module")
def file(shared_server: Server) -> str:
    return str(shared_server.hero.write(FLOW))


def kind_of(server: Server, method: str, **params: Any) -> str:
    with pytest.raises(rpc.RpcFailure) as failure:
        server.call(method, **params)
    odd = [c for c in failure.value.message if unicodedata.category(c) == "Cc" or c == "\u202e"]
    assert not odd and len(failure.value.message) <= 1001
    return failure.value.kind


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_a_workflow_cannot_be_called_that(unharmed: Server, file: str, name: str) -> None:
    assert kind_of(unharmed, "workflow_save", name=name, file=file) == "invalid_name"


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_no_workflow_is_found_by_that_name(unharmed: Server, name: str) -> None:
    assert kind_of(unharmed, "workflow_get", workflow=name) == "workflow_not_found"
    assert kind_of(unharmed, "play_start", workflow_sid=name) == "workflow_not_found"


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_no_play_and_no_request_is_found_by_that_id(unharmed: Server, name: str) -> None:
    assert kind_of(unharmed, "play_get", play_sid=name) == "play_not_found"
    resume = {"play_sid": name, "resume_id": name, "payload_json": "1"}
    assert kind_of(unharmed, "play_resume", **resume) == "play_not_found"


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_no_flow_of_a_file_is_found_by_that_name(unharmed: Server, file: str, name: str) -> None:
    assert kind_of(unharmed, "play_start", file=file, flow=name) in {"flow_definition", "invalid_name"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "flow.py",
        "./flow.py",
        "~/flow.py",
        "/",
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "/a\0b",
        "/" + "a" * 5_000,
        "file:///flow.py",
    ],
)
def test_a_file_is_an_absolute_path_of_something_to_read(unharmed: Server, path: str) -> None:
    kinds = {"file_unreadable", "invalid_params", "flow_definition"}
    assert kind_of(unharmed, "play_start", file=path) in kinds
    assert kind_of(unharmed, "workflow_save", name="fine", file=path) in kinds


NO_PLAY_NAMES = ["", "a\nb", "a\0b", "\x1b[31m", "a\tb", "\x7f", "a" * 129]


@pytest.mark.parametrize("name", NO_PLAY_NAMES, ids=ascii)
def test_the_name_of_a_play_is_a_line_of_text(unharmed: Server, file: str, name: str) -> None:
    assert kind_of(unharmed, "play_start", file=file, name=name) == "invalid_name"


@pytest.mark.parametrize("pattern", ["", "a\nb", "a\0b", "\x1b", "a\x7f"], ids=ascii)
def test_a_prefill_pattern_is_one_that_some_pause_could_match(
    unharmed: Server, file: str, pattern: str
) -> None:
    kind = kind_of(unharmed, "play_start", file=file, prefill_resumes={pattern: 1})
    assert kind == "invalid_name"


@pytest.mark.parametrize("directory", ["", ".", "work", "../..", "~", "~/work"])
def test_a_working_directory_is_an_absolute_one(unharmed: Server, file: str, directory: str) -> None:
    assert kind_of(unharmed, "play_start", file=file, working_dir=directory) == "invalid_params"


@pytest.mark.parametrize("python", ["", ".", "/", "/dev/null", "python\0", "/bin/true", "/etc/passwd"])
def test_an_interpreter_is_a_python_that_has_pyhero(unharmed: Server, file: str, python: str) -> None:
    assert kind_of(unharmed, "play_start", file=file, python=python) == "interpreter_unusable"


# --- What a flow may call things -------------------------------------------------------------------

TRIES = """
import json

def attempt(action):
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "taken"

@flow
def root(names: list) -> dict:
    told = {}
    for kind, name in names:
        told[f"{kind} {json.dumps(name)}"] = attempt(ACTIONS[kind](name))
    return told

def define(name):
    def step(x: int) -> int:
        return x
    return lambda: flow(name=name)(step)

ACTIONS = {
    "flow": define,
    "invoke": lambda name: lambda: flow.invoke(name),
    "pause": lambda name: lambda: flow.pause(name),
}
"""
BRACKETS = ["a[", "a]", "a[]", "a[[]]", "a[b]c", "a[b][c]", "[a]", "a[\n]", "a[" + "b" * 128 + "]"]


@pytest.fixture(scope="module")
def told(shared_server: Server) -> Json:
    """What one flow was told about each name; a pause with a name that is none must not pause."""
    names = [[kind, name] for kind in ("flow", "invoke", "pause") for name in NO_NAMES.values()]
    names += [["pause", name] for name in BRACKETS]
    play = shared_server.start(TRIES, flow="root", input_data={"names": names})
    ended = shared_server.ended(play["sid"])
    assert ended["status"] == "success", ended
    assert len(items(shared_server.call("play_spans", play_sid=play["sid"]))) == 1, "nothing else was begun"
    return ended["output_data"]


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
@pytest.mark.parametrize(("kind", "error"), [("flow", "DefinitionError"), ("pause", "ArgumentError")])
def test_a_flow_or_a_pause_cannot_be_called_that(told: Json, kind: str, error: str, name: str) -> None:
    assert told[f"{kind} {json.dumps(name)}"].startswith(f"{error}: ")


@pytest.mark.parametrize("name", BRACKETS, ids=lambda name: ascii(name)[:20])
def test_a_pause_has_at_most_one_pair_of_brackets(told: Json, name: str) -> None:
    assert told[f"pause {json.dumps(name)}"].startswith("ArgumentError: ")


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_no_flow_is_invoked_by_that_name(told: Json, name: str) -> None:
    assert told[f"invoke {json.dumps(name)}"].startswith("ArgumentError: no workflow can be called ")


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_other_names_are_taken(shared_server: Server, file: str, name: str) -> None:
    assert shared_server.call("workflow_save", name=name, file=file)["name"] == name
    assert shared_server.call("workflow_get", workflow=name)["workflow"]["name"] == name
