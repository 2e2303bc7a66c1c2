"""The files of the child contract, broken in every way: a clear error, and never a run with half a memory.

The launch is real (`python -m pyhero._child`); the supervisor is this file, and acknowledges everything.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.hero import Json

STEPS, ANSWERS, ORDER = "HERO_REPLAY_STEP_OUTPUTS_FILE", "HERO_REPLAY_RESUMES_FILE", "HERO_INPUT_FILE"
KEY = "6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad"
MEMORY_BYTES_MAX = 2 * 1024**3

FLOW = """
from pathlib import Path
from pyhero import flow

@flow
def step() -> None:
    Path("ran").touch()

@flow
def root() -> str:
    step()
    return "done"
"""


@dataclass
class Launched:
    """How a launch ended.

    Attributes:
        events: The words of what it reported.
        result: What it reported as the result of the flow; None where it did not.
        ran: Whether the step of the flow was entered.
    """

    code: int
    stderr: str
    events: list[str]
    result: Json
    ran: bool


class Contract:
    """All that a launch is handed, whole at first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        bundle = directory / "bundle"
        bundle.mkdir()
        (bundle / "flow.py").write_text(FLOW)
        order = {"token": "t", "bundle_dir": str(bundle), "entry": "flow.py", "flow": "root", "inputs": {}}
        for name, content in {STEPS: {}, ANSWERS: {}, ORDER: order}.items():
            self.path(name).write_text(json.dumps(content))
        self.env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.env |= {name: str(self.path(name)) for name in (STEPS, ANSWERS, ORDER)}
        self.env |= {"HERO_PLAY_SID": "01play", "HERO_LAUNCH": "1", "HERO_WORKFLOW_VERSION_SID": "0001"}
        self.env["HERO_SPAN_SOCKET"] = str(directory / "s")

    def path(self, name: str) -> Path:
        return self.directory / name

    def launched(self) -> Launched:
        """Runs a launch to its end; what hangs is ended and fails the test."""
        said: list[Json] = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.directory / "s"))
            listener.listen()
            listens = threading.Thread(target=acknowledge, args=(listener, said), daemon=True)
            listens.start()
            done = subprocess.run(
                [sys.executable, "-m", "pyhero._child"],
                env=self.env,
                cwd=self.directory,
                capture_output=True,
                text=True,
                timeout=30,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX,) * 2),
            )
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # it may never have connected
            listens.join(timeout=10)
        words = [next(iter(frame["event"])) for frame in said]
        results = [frame["event"]["result"] for frame in said if "result" in frame["event"]]
        return Launched(
            done.returncode, done.stderr, words, results[0] if results else None, self.path("ran").exists()
        )


def acknowledge(listener: socket.socket, said: list[Json]) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:  # The launch ended without a word.
        return
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            frame = json.loads(line)
            said.append(frame)
            if next(iter(frame["event"])) in {"hello", "step_output", "pause"}:
                connection.sendall(json.dumps({"ack": {"seq": frame["seq"]}}).encode() + b"\n")


@pytest.fixture
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return Contract(tmp_path_factory.mktemp("c"))


def removed(path: Path) -> None:
    path.unlink()


def replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Puts something else in the place of the file."""

    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def written(content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def sparse(n_bytes: int) -> Callable[[Path], object]:
    return lambda path: os.truncate(path, n_bytes)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))


def memory(outcome: str) -> str:
    """A memory of one outcome."""
    return f'{{"{KEY}":{outcome}}}'


WHOLE = memory('{"returned":{"n":[1,2.5,"é"]}},"00":{"raised":{"class":"a:B"}}')

BROKEN_MEMORIES: dict[str, Callable[[Path], object]] = {
    "is not there": removed,
    "is a directory": replaced(Path.mkdir),
    "is a pipe": replaced(os.mkfifo),
    "is a socket": replaced(a_socket),
    "is a link to nothing": replaced(lambda path: path.symlink_to("nothing")),
    "is a link to itself": replaced(lambda path: path.symlink_to(path)),
    "is a link to a directory": replaced(lambda path: path.symlink_to("/")),
    "is a link to endless zeros": replaced(lambda path: path.symlink_to("/dev/zero")),
    "is a link to nothing at all": replaced(lambda path: path.symlink_to("/dev/null")),
    "is a link to a terminal": replaced(lambda path: path.symlink_to("/dev/tty")),
    "is a link into proc": replaced(lambda path: path.symlink_to("/proc/self/status")),
    "is empty": written(""),
    "is a line break": written("\n"),
    "is a brace": written("{"),
    "is null": written("null"),
    "is a list": written("[]"),
    "is a list of outcomes": written('[{"returned":1}]'),
    "is a number": written("7"),
    "is text": written('"{}"'),
    "is of a later version": written('{"version":2,"outcomes":{}}'),
    "is cut off after the first byte": written(WHOLE[:1]),
    "is cut off in a key": written(WHOLE[:20]),
    "is cut off behind a key": written(WHOLE[:43]),
    "is cut off in an outcome": written(WHOLE[:60]),
    "is cut off between outcomes": written(WHOLE[: WHOLE.index(',"00"')]),
    "is cut off before the last byte": written(WHOLE[:-1]),
    "has something behind": written(WHOLE + "x"),
    "is there twice": written(WHOLE + WHOLE),
    "has a NUL behind": written(WHOLE + "\0"),
    "has a byte order mark": written("\ufeff" + WHOLE),
    "is UTF-16": written(WHOLE.encode("utf-16")),
    "is not UTF-8": written(WHOLE.encode().replace("é".encode(), b"\xff")),
    "is all NULs": written(b"\0" * 4096),
    "is long and all NULs": sparse(256 * 1024**2),
    "is larger than the memory": sparse(4 * 1024**4),
    "is NaN": written(memory('{"returned":NaN}')),
    "has a trailing comma": written(memory('{"returned":1}').replace("}}", "},}")),
    "holds a bare value": written(memory("1")),
    "holds null": written(memory("null")),
    "holds a list": written(memory('["returned",1]')),
    "holds no outcome": written(memory("{}")),
    "holds another word": written(memory('{"lost":1}')),
    "holds two outcomes": written(memory('{"returned":1,"raised":{}}')),
    "holds a word": written(memory('"returned"')),
    "holds half an outcome": written(memory('{"returned"}')),
}


@pytest.mark.parametrize("name", [STEPS, ANSWERS])
@pytest.mark.parametrize("breaks", BROKEN_MEMORIES.values(), ids=BROKEN_MEMORIES.keys())
def test_a_launch_does_not_run_on_a_memory_that(
    contract: Contract, name: str, breaks: Callable[[Path], object]
) -> None:
    breaks(contract.path(name))
    launched = contract.launched()
    assert not launched.ran, "it ran as if nothing was remembered"
    assert launched.code == 2, launched
    assert str(contract.path(name)) in launched.stderr, launched
    assert "span_start" not in launched.events
    assert launched.result["is_definition_error"] and "raised" in launched.result["outcome"]


BROKEN_ORDERS = {
    what: breaks
    for what, breaks in BROKEN_MEMORIES.items()
    # An order is read as a stream: a pipe would be waited for, and what never ends read for ever.
    if not what.startswith(("holds", "is cut off", "is a pipe", "is larger", "is long"))
    if what != "is a link to endless zeros"
} | {
    "is an empty object": written("{}"),
    "holds no token": written('{"bundle_dir":"/","entry":"flow.py","flow":"root","inputs":{}}'),
    "holds no inputs": written('{"token":"t","bundle_dir":"/","entry":"flow.py","flow":"root"}'),
}


@pytest.mark.parametrize("breaks", BROKEN_ORDERS.values(), ids=BROKEN_ORDERS.keys())
def test_a_launch_does_not_begin_with_an_order_that(
    contract: Contract, breaks: Callable[[Path], object]
) -> None:
    breaks(contract.path(ORDER))
    launched = contract.launched()
    assert (launched.code, launched.events, launched.ran) == (2, [], False), launched
    assert launched.stderr.startswith("pyhero: the launch cannot begin: "), launched
    assert "Traceback" not in launched.stderr


VARIABLES: list[tuple[str, str | None]] = [
    (ORDER, None),
    (ORDER, ""),
    ("HERO_PLAY_SID", None),
    ("HERO_LAUNCH", None),
    ("HERO_LAUNCH", ""),
    ("HERO_LAUNCH", "one"),
    ("HERO_LAUNCH", "1.0"),
    ("HERO_SPAN_SOCKET", None),
    ("HERO_SPAN_SOCKET", ""),
    ("HERO_SPAN_SOCKET", "/"),
    ("HERO_SPAN_SOCKET", "/no/such/socket"),
    ("HERO_SPAN_SOCKET", "/" + "x" * 200),
]


@pytest.mark.parametrize(("name", "value"), VARIABLES, ids=str)
def test_a_launch_does_not_begin_with_a_variable(contract: Contract, name: str, value: str | None) -> None:
    del contract.env[name]
    if value is not None:
        contract.env[name] = value
    launched = contract.launched()
    assert (launched.code, launched.events, launched.ran) == (2, [], False), launched
    assert launched.stderr.startswith("pyhero: the launch cannot begin: "), launched


@pytest.mark.parametrize("name", [STEPS, ANSWERS])
def test_a_memory_that_is_set_to_nothing_is_no_empty_memory(contract: Contract, name: str) -> None:
    contract.env[name] = ""
    launched = contract.launched()
    assert (launched.code, launched.ran) == (2, False), launched


def test_a_memory_that_is_not_set_is_empty(contract: Contract) -> None:
    del contract.env[STEPS], contract.env[ANSWERS]
    launched = contract.launched()
    assert (launched.code, launched.ran, launched.result["outcome"]) == (0, True, {"returned": "done"})


@pytest.mark.parametrize("name", [STEPS, ANSWERS, ORDER])
def test_a_link_to_a_whole_file_is_as_good_as_the_file(contract: Contract, name: str) -> None:
    real = contract.path(name).rename(contract.path("elsewhere"))
    contract.path(name).symlink_to(real)
    launched = contract.launched()
    assert (launched.code, launched.ran) == (0, True), launched
