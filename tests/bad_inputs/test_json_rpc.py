"""Bodies of `POST /rpc` that are not JSON, not a request, or not a call of a method."""

import gzip
import json
import unicodedata
from pathlib import Path

import pytest

from support import rpc
from support.hero import Json, Server

PARSE_ERROR, INVALID_REQUEST, NO_METHOD = (
    (-32700, "parse_error"),
    (-32600, "invalid_request"),
    (-32601, "method_not_found"),
)
INVALID_PARAMS, TOO_LARGE = (-32602, "invalid_params"), (-32014, "too_large")

HEAD = '{"jsonrpc":"2.0","id":1,"method":"LogicService.play_list","params":'
LIST = HEAD + "{}}"


def with_input(text: str) -> str:
    """A request that would start a play, were it not for this text among its inputs."""
    return (
        HEAD.replace("play_list", "play_start")
        + '{"file":"/no/such/flow.py","input_data":{"x":'
        + text
        + "}}}"
    )


def nested(depth: int) -> str:
    """A request that is nested so deeply."""
    return HEAD + "[" * (depth - 1) + "]" * (depth - 1) + "}"


NOT_JSON: dict[str, str | bytes] = {
    "nothing": "",
    "white space": " \t\r\n ",
    "a brace": "{",
    "a closing brace": "}",
    "half a word": "nul",
    "a word of Python": with_input("None"),
    "a capital True": with_input("True"),
    "undefined": with_input("undefined"),
    "NaN": with_input("NaN"),
    "-NaN": with_input("-NaN"),
    "Infinity": with_input("Infinity"),
    "-Infinity": with_input("-Infinity"),
    "a hexadecimal number": with_input("0x1F"),
    "a leading zero": with_input("01"),
    "a leading plus": with_input("+1"),
    "a bare minus": with_input("-"),
    "a bare point": with_input("."),
    "no digit behind the point": with_input("1."),
    "no digit before the point": with_input(".5"),
    "no digit in the exponent": with_input("1e"),
    "two exponents": with_input("1e5e5"),
    "digits in groups": with_input("1_000"),
    "full-width digits": with_input("\uff11\uff12"),
    "a trailing comma in a list": with_input("[1,]"),
    "a trailing comma in an object": with_input('{"a":1,}'),
    "a leading comma": with_input("[,1]"),
    "a missing comma": with_input("[1 2]"),
    "a missing colon": with_input('{"a" 1}'),
    "a missing value": with_input('{"a":}'),
    "a key without quotes": with_input("{a:1}"),
    "single quotes": with_input("{'a':1}"),
    "a number as a key": with_input('{1:"a"}'),
    "a comment to the end of the line": LIST + "// a comment",
    "a comment in between": "/* a comment */" + LIST,
    "garbage behind": LIST + "x",
    "two documents": LIST + LIST,
    "two documents in two lines": LIST + "\n" + LIST,
    "a NUL behind": LIST + "\0",
    "text that does not end": with_input('"abc'),
    "an escape that is none": with_input(r'"\x41"'),
    "an escape of too few digits": with_input(r'"\u00e"'),
    "an escape of no digits": with_input(r'"\uzzzz"'),
    "a raw line break in text": with_input('"a\nb"'),
    "a raw tab in text": with_input('"a\tb"'),
    "a raw NUL in text": with_input('"a\0b"'),
    "a raw escape character in text": with_input('"\x1b[2J"'),
    "the first half of a pair": with_input(r'"\ud83d"'),
    "the second half of a pair": with_input(r'"\ude00"'),
    "a pair the wrong way round": with_input(r'"\ude00\ud83d"'),
    "half a pair as a key": with_input(r'{"\ud800":1}'),
    "half a pair as an id": LIST.replace('"id":1', r'"id":"\ud800"'),
    "a byte order mark": "\ufeff" + LIST,
    "UTF-16": LIST.encode("utf-16"),
    "UTF-16, big-endian": LIST.encode("utf-16-be"),
    "UTF-32": LIST.encode("utf-32"),
    "Latin-1": with_input('"é"').encode("latin-1"),
    "a byte that is never UTF-8": LIST.encode().replace(b'"2.0"', b'"2.\xff"'),
    "a NUL of two bytes": LIST.encode().replace(b'"2.0"', b'"2.\xc0\x80"'),
    "half a pair in UTF-8": LIST.encode().replace(b'"2.0"', b'"2.\xed\xa0\x80"'),
    "beyond the last code point": LIST.encode().replace(b'"2.0"', b'"2.\xf4\x90\x80\x80"'),
    "a character cut off": LIST.encode() + b"\xe2\x82",
    "gzip": gzip.compress(LIST.encode()),
    "a gzip bomb": gzip.compress(b" " * 50_000_000),
    "a form": "jsonrpc=2.0&method=LogicService.play_list",
    "XML": "<methodCall><methodName>LogicService.play_list</methodName></methodCall>",
    "YAML": "jsonrpc: '2.0'\nmethod: LogicService.play_list\n",
}

NO_REQUEST: dict[str, str] = {
    "a number": "3",
    "text": '"LogicService.play_list"',
    "true": "true",
    "null": "null",
    "an empty object": "{}",
    "an empty batch": "[]",
    "a batch of nothing in it": " [ ] ",
    "a number above all floats": with_input("1e400"),
    "a number below all floats": with_input("-1e400"),
    "a point and 400 digits before it": with_input("9" * 400 + ".0"),
    "a key twice": '{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"LogicService.play_list"}',
    "two methods": '{"jsonrpc":"2.0","id":1,"method":"LogicService.play_list","method":"LogicService.stats"}',
    "two ids": '{"jsonrpc":"2.0","id":1,"id":2,"method":"LogicService.play_list"}',
    "an input twice": with_input('{"a":1,"a":1}'),
    "an input twice, once escaped": with_input(r'{"a":1,"\u0061":2}'),
    "nested 128 times": nested(128),
    "nested 129 times": nested(129),
    "nested 10,000 times": nested(10_000),
    "nested a million times": nested(1_000_000),
    "opened 100,000 times": "[" * 100_000,
    "no version": '{"id":1,"method":"LogicService.play_list"}',
    "version 1": LIST.replace('"2.0"', '"1.0"'),
    "version 2": LIST.replace('"2.0"', '"2"'),
    "a number as the version": LIST.replace('"2.0"', "2.0"),
    "null as the version": LIST.replace('"2.0"', "null"),
    "the version with a space": LIST.replace('"2.0"', '"2.0 "'),
    "an object as the id": LIST.replace('"id":1', '"id":{}'),
    "a list as the id": LIST.replace('"id":1', '"id":[1]'),
    "true as the id": LIST.replace('"id":1', '"id":true'),
    "no method": '{"jsonrpc":"2.0","id":1,"params":{}}',
    "null as the method": LIST.replace('"LogicService.play_list"', "null"),
    "a number as the method": LIST.replace('"LogicService.play_list"', "7"),
    "a list as the method": LIST.replace('"LogicService.play_list"', '["LogicService.play_list"]'),
    "null as the parameters": HEAD + "null}",
    "text as the parameters": HEAD + '"{}"}',
    "a number as the parameters": HEAD + "0}",
    "members with other capitals": '{"JSONRPC":"2.0","ID":1,"METHOD":"LogicService.play_list"}',
}

UNKNOWN_METHODS = [
    *(
        "",
        ".",
        "LogicService",
        "LogicService.",
        "play_list",
        "LogicService.play_list ",
        " LogicService.play_list",
    ),
    *(
        "logicservice.play_list",
        "LogicService.Play_List",
        "LogicService.PLAY_LIST",
        "LogicService..play_list",
    ),
    *(
        "LogicService/play_list",
        "LogicService.play_list()",
        "LogicService.play_list\0",
        "LogicService.play_list\n",
    ),
    *(
        "OtherService.play_list",
        "rpc.discover",
        "system.listMethods",
        "LogicService.__class__",
        "LogicService.../stats",
    ),
    *(
        "LogicService.play_l\u0456st",
        "LogicService.\u202eplay_list",
        "LogicService.play_list😀",
        "LogicService." + "x" * 10_000,
    ),
]


def refusal(server: Server, body: str | bytes) -> tuple[int, str]:
    """Code and kind of the one error that answers this body."""
    answer = rpc.post_rpc(server.socket, body if isinstance(body, bytes) else body.encode())
    assert set(answer) == {"jsonrpc", "id", "error"} and answer["jsonrpc"] == "2.0", answer
    error = answer["error"]
    assert_plain(error["message"])
    return error["code"], error["data"]["kind"]


def assert_plain(message: str) -> None:
    """One line of some length, with nothing in it that a terminal would obey."""
    assert 0 < len(message) <= 1001
    odd = [c for c in message if unicodedata.category(c) in {"Cc", "Zl", "Zp"} or "\u202a" <= c <= "\u202e"]
    assert not odd, ascii(message)


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_is_a_parse_error(unharmed: Server, body: str | bytes) -> None:
    assert refusal(unharmed, body) == PARSE_ERROR


@pytest.mark.parametrize("body", NO_REQUEST.values(), ids=NO_REQUEST.keys())
def test_json_that_is_no_request_is_told_so(unharmed: Server, body: str) -> None:
    assert refusal(unharmed, body) == INVALID_REQUEST


@pytest.mark.parametrize("method", UNKNOWN_METHODS, ids=lambda method: ascii(method)[:40])
def test_a_method_is_known_by_its_exact_name_only(unharmed: Server, method: str) -> None:
    assert refusal(unharmed, LIST.replace('"LogicService.play_list"', json.dumps(method))) == NO_METHOD


@pytest.mark.parametrize(("n_calls", "expected"), [(1_000, None), (1_001, TOO_LARGE), (100_000, TOO_LARGE)])
def test_a_batch_has_a_limit(unharmed: Server, n_calls: int, expected: tuple[int, str] | None) -> None:
    body = "[" + ",".join(["1"] * n_calls) + "]"
    if expected:
        assert refusal(unharmed, body) == expected
    else:
        answers = rpc.post_rpc(unharmed.socket, body.encode())
        assert [answer["error"]["code"] for answer in answers] == [INVALID_REQUEST[0]] * n_calls


BATCHES: dict[str, tuple[str, list[int | None]]] = {
    "one call": (f"[{LIST}]", [None]),
    "a call among rubbish": (f'[1,{LIST},"x",null,[],{{}}]', [-32600, None, -32600, -32600, -32600, -32600]),
    "a batch in a batch": (f"[[{LIST}]]", [-32600]),
    "the same id twice": (f"[{LIST},{LIST}]", [None, None]),
    "an unknown method among calls": (f"[{LIST},{LIST.replace('play_list', 'play_dance')}]", [None, -32601]),
    "a notification among calls": (f"[{LIST.replace(chr(34) + 'id' + chr(34) + ':1,', '')},{LIST}]", [None]),
}


@pytest.mark.parametrize(("body", "codes"), BATCHES.values(), ids=BATCHES.keys())
def test_each_call_of_a_batch_gets_its_own_answer(
    unharmed: Server, body: str, codes: list[int | None]
) -> None:
    answers = rpc.post_rpc(unharmed.socket, body.encode())
    assert [answer.get("error", {}).get("code") for answer in answers] == codes


NOTIFICATIONS: dict[str, str] = {
    "a known method": '{"jsonrpc":"2.0","method":"LogicService.play_list"}',
    "an unknown method": '{"jsonrpc":"2.0","method":"LogicService.play_dance"}',
    "wrong parameters": '{"jsonrpc":"2.0","method":"LogicService.play_get","params":{"colour":1}}',
    "parameters by place": '{"jsonrpc":"2.0","method":"LogicService.play_get","params":["x"]}',
    "a start that fails": '{"jsonrpc":"2.0","method":"LogicService.play_start","params":{"file":"/no.py"}}',
    "a batch of them": '[{"jsonrpc":"2.0","method":"LogicService.stats"},{"jsonrpc":"2.0","method":"x"}]',
}


@pytest.mark.parametrize("body", NOTIFICATIONS.values(), ids=NOTIFICATIONS.keys())
def test_a_notification_gets_no_answer_whatever_comes_of_it(unharmed: Server, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = rpc.http_request(unharmed.socket, "POST", "/rpc", body.encode(), headers)
    assert (answer.status, answer.body) == (204, b"")


IDS = ["null", '""', '"a\\u0000b"', "0", "-0", "-1", "1.0", "1.50", "1e2", "1e300", "9" * 400]


@pytest.mark.parametrize("given", IDS, ids=lambda given: given[:20])
def test_an_id_comes_back_as_it_was_sent(unharmed: Server, given: str) -> None:
    headers = {"Content-Type": "application/json"}
    body = LIST.replace('"id":1', f'"id":{given}').encode()
    answer = rpc.http_request(unharmed.socket, "POST", "/rpc", body, headers)
    assert f'"id":{given},'.encode() in answer.body


# --- Parameters, as the document describes them ---------------------------------------------------

# The server shows the same document, which `test_rpc` holds it to. A new method is in these tables by itself.
DOCUMENT: Json = json.loads((Path(__file__).parents[2] / "schema/openrpc.json").read_text())

WRONG: dict[str, list[Json]] = {
    "string": [7, True, ["x"], {"x": "x"}],
    "integer": ["7", 1.5, -1, True, 2**64, [7]],
    "boolean": ["true", 0, None, [True]],
    "object": [7, "x", ["x"]],
    "array": [7, "x", {"x": 1}],
}
"""What is not of a type."""


def types_of(schema: Json) -> set[str]:
    """The types that a schema accepts; empty where it accepts anything, or one word of a list."""
    if "$ref" in schema:
        return types_of(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        parts = [types_of(part) for part in schema["anyOf"]]
        return set.union(*parts) if all(parts) else set()
    given = schema.get("type", [])
    return {given} if isinstance(given, str) else set(given)


def takes_negatives(schema: Json) -> bool:
    """Whether a schema accepts integers below zero: times do."""
    if "$ref" in schema:
        return takes_negatives(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return any(map(takes_negatives, schema["anyOf"]))
    return "integer" in types_of(schema) and "minimum" not in schema


def bare(method: Json) -> str:
    return str(method["name"]).removeprefix("LogicService.")


def required(method: Json) -> dict[str, Json]:
    """Something of the right type for each parameter that must be there."""
    samples = {"string": "x", "integer": 1, "boolean": True, "object": {}, "array": []}
    found = {}
    for param in method["params"]:
        if param["required"]:
            types = types_of(param["schema"])
            found[param["name"]] = samples[min(types)] if types else {}
    return found


def wrong_types() -> list[tuple[str, dict[str, Json]]]:
    cases = []
    for method in DOCUMENT["methods"]:
        for param in method["params"]:
            types = types_of(param["schema"])
            wrong = WRONG[min(types - {"null"})] if types - {"null"} else []
            if takes_negatives(param["schema"]):
                wrong = [value for value in wrong if value != -1]
            fitting = [value for value in wrong if value is not None or "null" not in types]
            cases += [(bare(method), {**required(method), param["name"]: value}) for value in fitting]
    return cases


MISSING = [
    (bare(method), {name: value for name, value in required(method).items() if name != left_out})
    for method in DOCUMENT["methods"]
    for left_out in required(method)
]


def shown(case: Json) -> str:
    return json.dumps(case).replace(" ", "")[:60]


def kind_of(server: Server, method: str, params: dict[str, Json]) -> str:
    with pytest.raises(rpc.RpcFailure) as failure:
        server.call(method, **params)
    assert_plain(failure.value.message)
    return failure.value.kind


@pytest.mark.parametrize(("method", "params"), wrong_types(), ids=shown)
def test_a_parameter_of_the_wrong_type_is_refused(
    unharmed: Server, method: str, params: dict[str, Json]
) -> None:
    assert kind_of(unharmed, method, params) == "invalid_params"


@pytest.mark.parametrize(("method", "params"), MISSING, ids=shown)
def test_a_parameter_that_is_missing_is_refused(
    unharmed: Server, method: str, params: dict[str, Json]
) -> None:
    assert kind_of(unharmed, method, params) == "invalid_params"


@pytest.mark.parametrize("method", DOCUMENT["methods"], ids=bare)
def test_a_parameter_that_nobody_knows_is_refused(unharmed: Server, method: Json) -> None:
    assert kind_of(unharmed, bare(method), {**required(method), "colour": 1}) == "invalid_params"
    by_place = HEAD.replace("play_list", bare(method)) + '["x"]}'
    assert refusal(unharmed, by_place) == INVALID_PARAMS


PAGED = [
    method
    for method in DOCUMENT["methods"]
    if {"cursor", "limit"} <= {param["name"] for param in method["params"]}
]
CURSORS = [
    "",
    " ",
    "0",
    "-1",
    "nonsense",
    "../..",
    "é",
    "😀",
    "\0",
    "x" * 5_000,
    "01jqzzzzzzzzzzzzzzzzzzzzzz|",
]


@pytest.mark.parametrize("method", PAGED, ids=bare)
@pytest.mark.parametrize("limit", [0, 1_001, 2**32 - 1])
def test_a_page_has_at_least_one_item_and_at_most_a_thousand(
    unharmed: Server, method: Json, limit: int
) -> None:
    kind = kind_of(unharmed, bare(method), {**required(method), "limit": limit})
    not_there = {"play_not_found", "workflow_not_found", "schedule_not_found"}
    assert kind in {"invalid_params", *not_there}, "what is not there is as good a reason"


@pytest.mark.parametrize("method", ["play_list", "workflow_list", "inbox_list"])
@pytest.mark.parametrize("cursor", CURSORS, ids=lambda cursor: ascii(cursor)[:20])
def test_a_cursor_that_no_page_gave_is_refused(unharmed: Server, method: str, cursor: str) -> None:
    assert kind_of(unharmed, method, {"cursor": cursor}) == "invalid_params"
