"""The contract between a launch and its supervisor, over a real socket."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pyhero import _native

from .support import Supervisor

ADDS = """
from pyhero import flow

@flow
def add(a: int, b: int = 2) -> int:
    return a + b

@flow
def main(a: int, *rest: int, note: str = "") -> int:
    print("output of the flow")
    return add(a) + sum(rest)
"""


def test_a_launch_says_who_it_is_and_what_came_of_it(supervisor: Supervisor) -> None:
    supervisor.write(ADDS)
    supervisor.inputs = {"a": 1, "rest": [10, 20]}
    launch = supervisor.launch()
    assert launch.events[0] == (
        "hello",
        {"protocol": _native.PROTOCOL, "play": "01play", "launch": 1, "token": "secret"},
    )
    words = [word for word, _ in launch.events]
    assert words == ["hello", "span_start", "span_start", "step_output", "result"]
    root = launch.of("span_start")[0]
    assert (root["name"], root["kind"], "parent_id" in root) == ("main", "flow_root", False)
    assert root["arguments"] == {"a": 1, "note": "", "rest": [10, 20]}
    assert launch.output == 33
    assert launch.stdout == "output of the flow\n"


BAD_INPUTS: list[tuple[dict[str, Any], str]] = [
    ({}, "flow `main` needs the input `a`"),
    ({"a": "one"}, "a: str where int is expected"),
    ({"a": 1, "b": 2}, "flow `main` takes no input `b`"),
]


@pytest.mark.parametrize(("inputs", "message"), BAD_INPUTS, ids=[m for _, m in BAD_INPUTS])
def test_inputs_that_do_not_fit_fail_the_launch(
    supervisor: Supervisor, inputs: dict[str, Any], message: str
) -> None:
    supervisor.write(ADDS)
    supervisor.inputs = inputs
    launch = supervisor.launch()
    assert (launch.code, launch.error["class"]) == (1, "pyhero:ArgumentError")
    assert message in launch.error["message"]


MAIN = "from pyhero import flow\n@flow\ndef main() -> None: pass\n"

BROKEN_DEFINITIONS = {
    "a syntax error in a module that is imported late": (
        "import importlib\nimportlib.import_module('ba' + 'd')\n",
        "SyntaxError",
    ),
    "two flows of one name": (
        "@flow(name='twin')\ndef one(): pass\n@flow(name='twin')\ndef two(): pass\n",
        "two flows are called `twin`",
    ),
    "a call while the file is imported": (
        "@flow\ndef step(): pass\nstep()\n",
        "while its file is being imported",
    ),
}


@pytest.mark.parametrize("what", BROKEN_DEFINITIONS)
def test_a_definition_error_exits_2_and_is_reported_as_such(supervisor: Supervisor, what: str) -> None:
    source, message = BROKEN_DEFINITIONS[what]
    supervisor.write("def broken(:\n", "bad.py")
    supervisor.write("from pyhero import flow\n" + source, "more.py")
    # The inspector would refuse some of this, so it is hidden from it.
    supervisor.write(f"import importlib\n{MAIN}\nimportlib.import_module('more')\n")
    launch = supervisor.launch()
    assert launch.code == 2, launch.stderr
    assert launch.of("result")[0]["is_definition_error"] is True
    assert message in launch.error["message"] + launch.error["class"]


def test_an_error_of_the_file_itself_is_the_flows_failure(supervisor: Supervisor) -> None:
    supervisor.write(MAIN + "raise ImportError('no such thing')\n")
    launch = supervisor.launch()
    assert (launch.code, launch.error["message"]) == (1, "no such thing")


def test_the_entry_is_a_module_of_its_own_name(supervisor: Supervisor) -> None:
    supervisor.write("import flow as me\ndef name() -> str:\n    return me.__name__\n", "helper.py")
    supervisor.write("""
    from pyhero import flow

    import helper

    @flow
    def main() -> list[str]:
        return [__name__, helper.name()]

    if __name__ == "__main__":
        raise SystemExit("not a launch")
    """)
    assert supervisor.launch().output == ["flow", "flow"]


BROKEN_LAUNCHES: list[tuple[str, str | None, str | None]] = [
    ("HERO_REPLAY_STEP_OUTPUTS_FILE", "/does/not/exist", None),
    ("HERO_REPLAY_STEP_OUTPUTS_FILE", "", '{"key": {"returned": 1}'),
    ("HERO_REPLAY_STEP_OUTPUTS_FILE", "", '{"key": "not an outcome"}'),
    ("HERO_REPLAY_RESUMES_FILE", "", "[]"),
    ("HERO_REPLAY_RESUMES_FILE", "/dev/null", None),
    ("HERO_REPLAY_RESUMES_FILE", "", ""),
    ("HERO_INPUT_FILE", "/does/not/exist", None),
    ("HERO_INPUT_FILE", "", "{}"),
    ("HERO_PLAY_SID", None, None),
    ("HERO_LAUNCH", "many", None),
    ("HERO_SPAN_SOCKET", "/does/not/exist", None),
]


@pytest.mark.parametrize(("name", "value", "content"), BROKEN_LAUNCHES)
def test_a_launch_without_its_memory_or_order_does_not_run(
    supervisor: Supervisor, name: str, value: str | None, content: str | None
) -> None:
    supervisor.write("from pyhero import flow\n@flow\ndef main() -> None:\n    print('ran')\n")
    if content is not None:
        file = supervisor.directory / "broken.json"
        file.write_text(content)
        value = str(file)
    supervisor.environment = {name: value}
    supervisor.is_conversing = name.startswith("HERO_REPLAY")
    launch = supervisor.launch()
    assert (launch.code, launch.stdout) == (2, "")
    assert launch.stderr
    if supervisor.is_conversing:
        assert launch.of("result")[0]["is_definition_error"] is True
        assert "failed to read the memory file" in launch.error["message"]


# --- Without a supervisor -----------------------------------------------------------------------

STEPS = """
from pyhero import flow

@flow
def step(n: int) -> int:
    print("step", n)
    return n

@flow
def main() -> None:
    try:
        for n in range(5):
            step(n)
    finally:
        print("finally")
"""


@pytest.mark.parametrize("reply", ['{"refused":{"seq":4,"message":"launch 1 is over"}}', "", "gibberish"])
def test_a_launch_that_is_refused_or_cut_off_ends_at_once(supervisor: Supervisor, reply: str) -> None:
    def answer(word: str, event: dict[str, Any], seq: int) -> str | None:
        return reply if seq == 4 else supervisor.acknowledge(word, event, seq)

    supervisor.write(STEPS)
    supervisor.reply_to = answer
    launch = supervisor.launch()
    assert launch.code == 70
    assert "this launch must end" in launch.stderr
    reasons = (
        "launch 1 is over",
        "closed the connection",
        "connection .* broke",
        "does not listen",
        "is no reply",
    )
    assert re.search("|".join(reasons), launch.stderr)
    assert "finally" not in launch.stdout
    assert "step 2" not in launch.stdout, "nothing goes on after the step that was not acknowledged"


def test_a_launch_dies_with_its_parent(tmp_path: Path) -> None:
    """The parent connects a child, and is killed while the child waits."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "span.sock"))
        listener.listen()
        child = f"from pyhero._native import Channel; Channel({str(tmp_path / 'span.sock')!r}).wait(0)"
        parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
        process = subprocess.Popen([sys.executable, "-c", parent])
        connection, _ = listener.accept()
        process.kill()
        connection.settimeout(10)
        assert connection.recv(1) == b"", "the kernel has closed the socket of the child"
        process.wait()


# --- The channel --------------------------------------------------------------------------------


def test_many_threads_wait_for_acknowledgements_that_come_in_any_order(tmp_path: Path) -> None:
    n_threads = 40
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "span.sock"))
        listener.listen()
        answers: dict[int, str | None] = {}

        def request(channel: _native.Channel) -> None:
            seq = channel.send('{"x":1}')
            answers[seq] = channel.wait(seq)

        pid = os.fork()  # the channel ties the life of its process to this one
        if pid == 0:
            channel = _native.Channel(str(tmp_path / "span.sock"))
            threads = [threading.Thread(target=request, args=(channel,)) for _ in range(n_threads)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            is_right = answers == {seq: f'{{"returned":{seq}}}' for seq in range(n_threads)}
            os._exit(0 if is_right else 1)
        connection, _ = listener.accept()
        with connection, connection.makefile("r") as lines:
            seqs = [json.loads(lines.readline())["seq"] for _ in range(n_threads)]
            assert seqs == list(range(n_threads))
            for seq in reversed(seqs):
                ack = {"ack": {"seq": seq, "answer": {"returned": seq}}}
                connection.sendall(json.dumps(ack, separators=(",", ":")).encode() + b"\n")
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_memory_gives_text_and_knows_what_nobody_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    path.write_text('{"a": {"returned":1.50}, "b": {"returned":null}, "c":{"raised":{}}}')
    memory = _native.ReplayCache(str(path))
    assert memory.take("a") == '{"returned":1.50}'
    assert memory.take("missing") is None
    assert (memory.n_left(), memory.left_over()) == (2, ["b", "c"])
    assert (_native.ReplayCache().n_left(), _native.ReplayCache(None).take("a")) == (0, None)
