"""Bad input: one clear line, a hint, the documented code, and nothing stored."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support import rpc
from support.hero import Finished, Hero, Json, Server, request_named
from support.rpc import RpcFailure

GOOD = """
@flow
def greets(name: str, n: int = 1) -> str:
    return name * n
"""


def assert_refused(finished: Finished, *words: str) -> None:
    """Exit 2, one line that holds these words, one hint, and no traceback."""
    assert finished.code == 2, finished
    assert finished.stdout == "", finished
    lines = finished.stderr.rstrip("\n").splitlines()
    message = [line for line in lines if not line.startswith("hint:")]
    hints = [line for line in lines if line.startswith("hint:")]
    assert len(message) == 1 and len(hints) == 1, finished
    for word in words:
        assert word in message[0], f"{word!r} is not in {message[0]!r}"


# --- Files ---------------------------------------------------------------------------------------

BAD_FILES = {
    "syntax error": ("def broken(:\n    pass\n", ["line 1"]),
    "no flow": ("def plain():\n    return 1\n", ["no flow"]),
    "empty": ("", ["no flow"]),
    "two root flows": (
        "from pyhero import flow\n@flow\ndef one(): ...\n@flow\ndef two(): ...\n",
        ["one", "two"],
    ),
    "not utf-8": (b"# \xff\xfe\n", ["flow.py"]),
    "a NUL byte": (b"x = 1\0\n", ["flow.py"]),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_without_a_runnable_flow_is_refused(
    hero: Hero, content: str | bytes, words: list[str]
) -> None:
    file = hero.home / "flow.py"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    assert_refused(hero("run", file), *words)
    assert hero.plays() == []


def test_a_missing_file_is_refused(hero: Hero) -> None:
    assert_refused(hero("run", "nowhere.py"), "nowhere.py")
    assert hero.plays() == []


def test_a_directory_is_refused(hero: Hero) -> None:
    directory = hero.home / "flow.py"
    directory.mkdir()
    assert_refused(hero("run", directory), "flow.py")
    assert hero.plays() == []


def test_an_unknown_flow_of_a_file_is_refused(hero: Hero) -> None:
    assert_refused(hero("run", f"{hero.write(GOOD)}:farewells"), "farewells")
    assert hero.plays() == []


def test_an_unknown_workflow_is_refused(hero: Hero) -> None:
    assert_refused(hero("run", "no_such_workflow"), "no_such_workflow")
    assert hero.plays() == []


# --- Inputs --------------------------------------------------------------------------------------

BAD_INPUTS = {
    "missing": ([], "name"),
    "wrong type": (["-i", "name=a", "-i", "n=many"], "n"),
    "unknown": (["-i", "name=a", "-i", "colour=red"], "colour"),
    "float for int": (["-i", "name=a", "-i", "n=1.5"], "n"),
}


@pytest.mark.parametrize(("inputs", "word"), BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
def test_inputs_that_do_not_fit_the_signature_are_refused(hero: Hero, inputs: list[str], word: str) -> None:
    assert_refused(hero("run", hero.write(GOOD), *inputs), word)
    assert hero.plays() == []


def test_an_input_that_is_no_pair_is_refused(hero: Hero) -> None:
    finished = hero("run", hero.write(GOOD), "-i", "name")
    assert finished.code == 2 and "name" in finished.stderr, finished
    assert hero.plays() == []


@pytest.mark.parametrize("content", ["{", "[]", "", "{'name': 1}", '{"name": NaN}'])
def test_an_input_file_that_is_no_json_object_is_refused(hero: Hero, content: str) -> None:
    file = hero.home / "inputs.json"
    file.write_text(content)
    assert_refused(hero("run", hero.write(GOOD), "--input-file", file), "inputs.json")
    assert hero.plays() == []


@pytest.mark.parametrize(
    "args", [["no-such-command"], ["run"], ["--no-such-flag"], ["resume"], ["plays", "--status", "sleeping"]]
)
def test_a_wrong_command_line_exits_2(hero: Hero, args: list[str]) -> None:
    finished = hero(*args)
    assert (finished.code, finished.stdout) == (2, ""), finished
    assert finished.stderr


# --- Plays and requests --------------------------------------------------------------------------

ASKS = """
@flow
def asks() -> int:
    return flow.pause("amount", schema={"type": "integer"})
"""

NO_PLAY = "01jqzzzzzzzzzzzzzzzzzzzzzz"


@pytest.mark.parametrize("command", ["show", "wait", "logs", "cancel"])
@pytest.mark.parametrize("play", [NO_PLAY, "no-sid", "../../etc/passwd"])
def test_an_unknown_play_is_refused(hero: Hero, command: str, play: str) -> None:
    assert_refused(hero(command, play), play)


def test_resuming_an_unknown_play_is_refused(hero: Hero) -> None:
    assert_refused(hero("resume", NO_PLAY, "approve", "true"), NO_PLAY)


BAD_ANSWERS = {
    "unknown request": (["colour", "1"], "colour"),
    "malformed JSON": (["amount", "{"], "JSON"),
    "does not fit": (["amount", '"much"'], "amount"),
}


@pytest.mark.parametrize(("answer", "word"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_answer_is_refused_and_the_play_goes_on_waiting(
    hero: Hero, answer: list[str], word: str
) -> None:
    before = hero.run(ASKS).json()
    assert_refused(hero("resume", before["sid"], *answer), word)
    after = hero("show", before["sid"], "--json").json()
    assert after["status"] == "awaiting_resume"
    assert request_named(after, "amount") == request_named(before, "amount")


def test_a_second_different_answer_is_refused_and_the_first_stands(hero: Hero) -> None:
    play = hero.run(ASKS).json()
    request = request_named(play, "amount")["id"]
    assert hero("resume", play["sid"], request, "1").code == 0
    assert_refused(hero("resume", play["sid"], request, "2"), "answered")
    assert hero.wait(play["sid"])["output_data"] == 1
    again = hero("resume", play["sid"], request, "1")
    assert again.code == 0, f"the same answer again is no error: {again}"


# --- The data directory and the socket -----------------------------------------------------------


def test_a_store_that_is_already_open_is_refused_and_the_holder_named(hero: Hero) -> None:
    with hero.server() as server:
        elsewhere = hero.home / "elsewhere"
        second = hero.spawn("hero_logic_server", HERO_SOCKET_DIR=str(elsewhere))
        assert second.wait(timeout=30) == 2
        log = (hero.home / "hero_logic_server.log").read_text()
        assert "in use" in log and str(server.process.pid) in log and "hint:" in log, log
        refused = hero("plays", HERO_SOCKET_DIR=str(elsewhere))
        assert_refused(refused, "in use", str(server.process.pid))
        assert server.call("play_list")["items"] == [], "the first server goes on"


def test_a_second_server_on_a_live_socket_is_refused(hero: Hero) -> None:
    with hero.server() as server:
        second = hero.spawn(
            "hero_logic_server",
            HERO_HOME=str(hero.home / "other"),
            HERO_SOCKET_DIR=str(hero.socket.parent.parent),
        )
        assert second.wait(timeout=30) == 2
        assert server.answers_or_died() and server.process.poll() is None


def test_a_stale_socket_is_taken_over(hero: Hero) -> None:
    first = hero.start_server()
    first.kill()
    assert hero.socket.exists(), "a killed server leaves its socket behind"
    with hero.server() as second:
        assert second.call("play_list")["items"] == []


def test_a_socket_path_that_is_too_long_is_refused(hero: Hero) -> None:
    deep = hero.home / ("x" * 100)
    refused = hero("plays", HERO_HOME=str(deep))
    assert_refused(refused, "107")
    assert "HERO_SOCKET_DIR" in refused.stderr, "the hint says how to shorten it"
    assert not (deep / "store").exists(), "nothing is stored"


def test_a_long_data_directory_works_with_a_short_socket_directory(hero: Hero) -> None:
    deep = hero.home / ("x" * 100)
    finished = hero.run(GOOD, "-i", "name=a", HERO_HOME=str(deep), HERO_SOCKET_DIR=str(hero.home / "s"))
    assert (finished.code, finished.json()["output_data"]) == (0, "a"), finished


def test_a_data_directory_that_cannot_be_written_is_refused(hero: Hero) -> None:
    file = hero.home / "file"
    file.touch()
    assert_refused(hero("plays", HERO_HOME=str(file / "below")), "below")


def test_an_interpreter_that_is_missing_or_has_no_pyhero_is_refused(hero: Hero) -> None:
    bare = hero.home / "bare_python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    for python in ("/no/such/python", str(bare)):
        assert_refused(hero("run", hero.write(GOOD), "-i", "name=a", HERO_PYTHON=python), python)
    assert hero.plays() == []


# --- RPC -----------------------------------------------------------------------------------------


def kind_of(server: Server, method: str, **params: Json) -> str:
    with pytest.raises(RpcFailure) as failure:
        server.call(method, **params)
    assert failure.value.message and "\n" not in failure.value.message
    return failure.value.kind


MALFORMED = {
    "no JSON": (b"{", -32700),
    "empty": (b"", -32700),
    "not UTF-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700),
    "no object": (b"3", -32600),
    "no method": (b'{"jsonrpc":"2.0","id":1}', -32600),
    "another version": (b'{"jsonrpc":"1.0","id":1,"method":"LogicService.play_list"}', -32600),
    "unknown method": (b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_dance","params":{}}', -32601),
    "without the prefix": (b'{"jsonrpc":"2.0","id":1,"method":"play_list","params":{}}', -32601),
    "unknown parameter": (
        b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_list","params":{"colour":1}}',
        -32602,
    ),
    "missing parameter": (b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_get","params":{}}', -32602),
    "wrong type": (
        b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_list","params":{"limit":"x"}}',
        -32602,
    ),
    "deep nesting": (
        b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_start","params":'
        + b"[" * 5000
        + b"]" * 5000
        + b"}",
        None,
    ),
}


@pytest.mark.parametrize(("body", "code"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_gets_the_documented_code(server: Server, body: bytes, code: int | None) -> None:
    response = rpc.post_rpc(server.socket, body)
    assert response["jsonrpc"] == "2.0"
    assert code in {None, response["error"]["code"]}, response
    assert response["error"]["data"]["kind"] and response["error"]["message"]
    assert server.call("play_list")["items"] == []


def test_a_body_that_is_too_large_is_refused_and_the_server_goes_on(server: Server) -> None:
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"LogicService.play_list","params":"'
        + b"x" * (17 * 1024 * 1024)
        + b'"}'
    )
    try:
        answer = rpc.http_request(server.socket, "POST", "/rpc", body, {"Content-Type": "application/json"})
    except (BrokenPipeError, ConnectionResetError):
        pass  # The server may hang up before it has read it all.
    else:
        assert answer.status == 413 or answer.json()["error"]["data"]["kind"] == "too_large"
    assert server.call("play_list")["items"] == []


def test_bytes_that_are_no_http_do_not_hurt_the_server(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(server.socket))
        raw.sendall(b"\x00\xff not http \r\n\r\n" * 100)
    assert server.call("play_list")["items"] == []


def test_every_error_of_a_play_has_its_own_kind(server: Server) -> None:
    play = server.settled(server.start(ASKS)["sid"])
    sid, request = play["sid"], request_named(play, "amount")["id"]
    answer = {"play_sid": sid, "resume_id": request}
    assert kind_of(server, "play_get", play_sid=NO_PLAY) == "play_not_found"
    assert (
        kind_of(server, "play_resume", play_sid=NO_PLAY, resume_id=request, payload_json="1")
        == "play_not_found"
    )
    assert (
        kind_of(server, "play_resume", play_sid=sid, resume_id="0" * 40, payload_json="1")
        == "request_not_found"
    )
    assert kind_of(server, "play_resume", **answer, payload_json="{") == "payload_not_json"
    assert kind_of(server, "play_resume", **answer, payload_json='"x"') == "payload_mismatch"
    assert server.call("play_get", play_sid=sid) == play, "nothing changed"
    server.call("play_resume", **answer, payload_json="1")
    assert kind_of(server, "play_resume", **answer, payload_json="2") == "resume_conflict"
    server.ended(sid)
    assert kind_of(server, "play_prefill", play_sid=sid, prefill_resumes={"a": 1}) == "play_ended"
    assert kind_of(server, "play_cancel", play_sid=sid) == "play_ended"


def test_every_error_of_a_start_has_its_own_kind(server: Server) -> None:
    hero = server.hero
    good, broken = str(hero.write(GOOD)), str(hero.write("def x(:", "broken.py"))
    assert kind_of(server, "play_start", file="/no/such/file.py") == "file_unreadable"
    assert kind_of(server, "play_start", file=broken) == "flow_definition"
    assert kind_of(server, "play_start", file=good, input_data={"name": 5}) == "input_mismatch"
    assert kind_of(server, "play_start", file=good, input_data=[]) == "input_mismatch"
    assert kind_of(server, "play_start", workflow_sid="nothing") == "workflow_not_found"
    assert kind_of(server, "play_start") == "invalid_params"
    assert kind_of(server, "play_start", file=good, workflow_sid="both") == "invalid_params"
    assert kind_of(server, "play_start", file="relative.py") in {"file_unreadable", "invalid_params"}
    assert (
        kind_of(server, "play_start", file=good, input_data={"name": "a"}, python="/no/python")
        == "interpreter_unusable"
    )
    assert kind_of(server, "workflow_save", name="a/b", file=good) == "invalid_name"
    assert kind_of(server, "workflow_save", name="fine", file=broken) == "flow_definition"
    assert kind_of(server, "workflow_get", workflow="fine") == "workflow_not_found"
    assert server.call("play_list")["items"] == []
    assert server.call("workflow_list")["items"] == []


def test_a_cursor_that_no_page_gave_is_refused(server: Server) -> None:
    assert kind_of(server, "play_list", cursor="nonsense") == "invalid_params"


# --- The definitions of flows --------------------------------------------------------------------

BAD_DEFINITIONS = {
    "a method": (
        "class A:\n    @flow\n    def method(self): ...\n\n@flow\ndef root():\n    return A().method()\n",
        "method",
    ),
    "a name that is no name": (
        "@flow(name='a/b')\ndef step(): ...\n\n@flow\ndef root():\n    return step()\n",
        "a/b",
    ),
}


@pytest.mark.parametrize(("source", "word"), BAD_DEFINITIONS.values(), ids=BAD_DEFINITIONS.keys())
def test_a_wrong_definition_is_told_before_anything_runs(hero: Hero, source: str, word: str) -> None:
    finished = hero("run", hero.write(source))
    assert finished.code in {1, 2}, finished
    assert word in finished.stderr, finished


def test_a_pause_outside_a_flow_is_an_error_that_says_so(hero: Hero) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pyhero import flow; flow.pause('q')"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "NotInFlowError" in done.stderr


def test_the_store_is_never_left_locked_by_a_refusal(hero: Hero) -> None:
    for _ in range(3):
        assert hero("run", "nowhere.py").code == 2
    finished = hero.run(GOOD, "-i", "name=a")
    assert json.loads(finished.stdout)["output_data"] == "a"
    assert Path(hero.data_dir / "store").is_dir()
