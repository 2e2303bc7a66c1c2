"""Answers that are no JSON, or do not fit the form: the exact error, and the question stays as it was."""

import json
import time
from typing import Any

import pytest

from support import rpc
from support.hero import Json, Server, request_named

NOT_JSON = {
    "nothing": "",
    "a space": " ",
    "a word": "yes",
    "a word of Python": "True",
    "single quotes": "'yes'",
    "a brace": "{",
    "a trailing comma": "[1,]",
    "a key without quotes": "{a:1}",
    "two values": "1 2",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "a leading zero": "01",
    "a raw line break": '"a\nb"',
    "a byte order mark": "\ufeff1",
    "a NUL behind": "1\0",
    "half a pair": r'"\ud800"',
    "a number above all floats": "1e400",
    "a key twice": '{"a":1,"a":2}',
    "nested 128 times": "[" * 128 + "]" * 128,
    "nested 100,000 times": "[" * 100_000 + "]" * 100_000,
}

# A schema, what fits it, and what does not.
Form = tuple[Any, list[Any], list[Any]]

ADDRESS = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}, "zip": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {"n": {"type": "object", "additionalProperties": {"$ref": "#/$defs/n"}}},
    "$ref": "#/$defs/n",
}


def tree(depth: int) -> Any:
    """An object in an object in an object."""
    return {"a": tree(depth - 1)} if depth else {}


FORMS: dict[str, Form] = {
    "boolean": ({"type": "boolean"}, [True], [1, 0, "true", "", None, [], {}, [True]]),
    "integer": ({"type": "integer"}, [1, 1.0, 2**70], [1.5, "1", True, None, [1]]),
    "number": ({"type": "number"}, [1, 1.5, -0.0], ["1", "NaN", True, None]),
    "text": ({"type": "string"}, [""], [1, None, True, ["a"], {"a": "b"}]),
    "null": ({"type": "null"}, [None], [0, "", False, [], {}]),
    "list": ({"type": "array", "items": {"type": "integer"}}, [[]], [[1, "2"], {}, "[]", [[1]], [None]]),
    "range": ({"type": "integer", "minimum": 1, "maximum": 10}, [1, 10], [0, 11, -1, 10**400]),
    "open_range": ({"type": "number", "exclusiveMinimum": 0}, [0.1], [0, -0.0, -1]),
    "steps": ({"type": "number", "multipleOf": 0.5}, [1.5], [1.3]),
    "choice": ({"enum": ["eu", "us"]}, ["eu"], ["EU", "eu ", "", None, 0, ["eu"], "asia"]),
    "constant": ({"const": {"a": 1}}, [{"a": 1}], [{"a": 2}, {"a": 1, "b": 2}, {}, "a"]),
    "length": (
        {"type": "string", "minLength": 2, "maxLength": 3},
        ["ab", "äöü"],
        ["", "a", "abcd", "a" * 10**6],
    ),
    "pattern": ({"type": "string", "pattern": "^[A-Z]{2}-\\d+$"}, ["AB-1"], ["ab-1", "AB-", "AB-1 ", ""]),
    "count": ({"type": "array", "minItems": 1, "maxItems": 2}, [[1]], [[], [1, 2, 3]]),
    "set": ({"type": "array", "uniqueItems": True}, [[1, 2]], [[1, 1], [[], []], [{"a": 1}, {"a": 1}]]),
    "address": (
        ADDRESS,
        [{"city": "Oslo"}, {"city": "Oslo", "zip": 1}],
        [
            {},
            {"zip": 1},
            {"city": ""},
            {"city": 1},
            {"city": "Oslo", "zip": "1"},
            {"city": "a", "x": 1},
            [],
            "Oslo",
        ],
    ),
    "no_extra": (
        {"type": "object", "maxProperties": 1, "propertyNames": {"pattern": "^[a-z]+$"}},
        [{"a": 1}],
        [{"a": 1, "b": 2}, {"A": 1}, {"__class__": 1}, {"": 1}],
    ),
    "dependent": (
        {"type": "object", "dependentRequired": {"card": ["cvv"]}},
        [{}, {"card": 1, "cvv": 2}],
        [{"card": 1}],
    ),
    "one_of": ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, [3, 5.5], [7, 4.5]),
    "any_of": ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [None], ["", 1.5, []]),
    "not": ({"not": {"type": "string"}}, [1], ["x"]),
    "tree": (TREE, [tree(100)], [{"a": 1}, {"a": {"b": []}}, [], "a"]),
    "backtracking": ({"pattern": "^(a+)+$"}, ["a"], ["a" * 50_000 + "!"]),
    "alternatives": ({"pattern": "^(a|aa)+$"}, ["aa"], ["a" * 50_000 + "!"]),
    "wide_text": ({"type": "string", "maxLength": 10}, ["é" * 10], ["x" * 10_000_000]),
    "wide_list": ({"type": "array", "maxItems": 10}, [[0]], [[0] * 1_000_000]),
    "wide_object": ({"type": "object", "maxProperties": 10}, [{}], [{str(n): n for n in range(200_000)}]),
}

# Schemas that are none, or that reach outside of themselves.
NO_FORMS: dict[str, Any] = {
    "unknown_type": {"type": "date"},
    "limit_as_text": {"minimum": "1"},
    "pattern_that_is_none": {"pattern": "("},
    "pattern_too_large": {"pattern": "(a{1000}){1000}"},
    "over_http": {"$ref": "http://127.0.0.1:9/schema.json"},
    "over_https": {"$ref": "https://evil.example/schema.json"},
    "from_a_file": {"$ref": "file:///etc/passwd"},
    "from_a_path": {"$ref": "/etc/passwd"},
    "from_beside": {"$ref": "other.json"},
    "from_nowhere": {"$ref": "#/$defs/none"},
    "from_its_id": {"$id": "http://evil.example/a", "$ref": "b"},
    "another_meta_schema": {"$schema": "http://evil.example/meta", "type": "integer"},
    "an_old_draft": {"$schema": "http://json-schema.org/draft-03/schema#", "type": "integer"},
}

# Schemas that lead in circles, or invite a reader to try everything.
CIRCLES: dict[str, tuple[Any, Any]] = {
    "itself": ({"$ref": "#", "type": "integer"}, "x"),
    "each_other": (
        {
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
            "$ref": "#/$defs/a",
            "type": "null",
        },
        1,
    ),
    "all_of_itself": ({"allOf": [{"$ref": "#"}, {"type": "integer"}]}, "x"),
    "dynamic": ({"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}], "type": "integer"}, "x"),
    "back_reference": ({"pattern": "^(a+)+\\1$"}, "a" * 30_000 + "!"),
    "look_ahead": ({"pattern": "^(?=(a+)+$)(a+)+b$"}, "a" * 30_000 + "!"),
    "nested_look_ahead": ({"pattern": "^(?=((a+)+)+$)b"}, "a" * 30_000 + "!"),
}

FLOW = """
import asyncio, json
from pyhero import ArgumentError

@flow
async def asks(name: str, schema: object) -> None:
    flow.pause(name, schema=schema)

@flow
async def root() -> None:
    forms = json.loads(Path("forms.json").read_text())
    await asyncio.gather(*(asks(name, schema) for name, schema in forms.items()))

@flow
def told(forms: dict[str, object]) -> dict[str, str]:
    return {name: tell(name, schema) for name, schema in forms.items()}

def tell(name: str, schema: object) -> str:
    try:
        flow.pause(name, schema=schema)
    except ArgumentError as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def questions(shared_server: Server) -> Json:
    """A play that asks everything at once."""
    forms = {"anything": None} | {name: schema for name, (schema, _, _) in FORMS.items()}
    forms |= {name: schema for name, (schema, _) in CIRCLES.items()}
    (shared_server.hero.work_dir / "forms.json").write_text(json.dumps(forms))
    play = shared_server.settled(shared_server.start(FLOW, flow="root")["sid"])
    assert {request["name"] for request in play["pending_resumes"]} == set(forms), play
    return play


def refusal(server: Server, play: Json, name: str, payload_json: str) -> tuple[int, str]:
    request = request_named(play, name)
    with pytest.raises(rpc.RpcFailure) as failure:
        server.call("play_resume", play_sid=play["sid"], resume_id=request["id"], payload_json=payload_json)
    assert 0 < len(failure.value.message) <= 1001
    return failure.value.code, failure.value.kind


@pytest.mark.parametrize("payload_json", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_an_answer_that_is_no_json_is_refused(unharmed: Server, questions: Json, payload_json: str) -> None:
    assert refusal(unharmed, questions, "anything", payload_json) == (-32006, "payload_not_json")
    assert unharmed.call("play_get", play_sid=questions["sid"]) == questions


def test_what_no_answer_could_fit_is_not_asked(shared_server: Server) -> None:
    play = shared_server.start(FLOW, flow="told", input_data={"forms": NO_FORMS})
    told = shared_server.ended(play["sid"])["output_data"]
    assert told.keys() == NO_FORMS.keys()
    for name, text in told.items():
        assert text.startswith(f"pause `{name}` could not be answered by anything"), text


MISFITS = [(name, payload) for name, (_, _, misfits) in FORMS.items() for payload in misfits]
MISFITS += [(name, payload) for name, (_, payload) in CIRCLES.items()]


@pytest.mark.parametrize(("name", "payload"), MISFITS, ids=lambda value: json.dumps(value)[:40])
def test_an_answer_that_does_not_fit_is_refused(
    unharmed: Server, questions: Json, name: str, payload: Any
) -> None:
    begin = time.monotonic()
    assert refusal(unharmed, questions, name, json.dumps(payload)) == (-32007, "payload_mismatch")
    assert time.monotonic() - begin < 10, "no pattern and no size keeps the server busy"
    assert unharmed.call("play_get", play_sid=questions["sid"]) == questions


FITTING = [(name, payload) for name, (_, payloads, _) in FORMS.items() for payload in payloads[:1]]


@pytest.mark.parametrize(("name", "payload"), FITTING, ids=lambda value: json.dumps(value)[:40])
def test_what_fits_is_taken_all_the_same(
    shared_server: Server, questions: Json, name: str, payload: Any
) -> None:
    """Last of all, because from here on the play changes."""
    resumed = shared_server.resume(questions, name, payload)
    assert resumed["ok"] is True
    stored = shared_server.call("play_get", play_sid=questions["sid"])["received_resumes"]
    assert [answer["payload"] for answer in stored if answer["name"] == name] == [payload]
