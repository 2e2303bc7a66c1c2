"""A child that keeps the child contract, or breaks it, byte by byte; see `schema/PROTOCOL.md`, section 6.

It stands in for the interpreter: what is not a launch is handed on to the real one. Which conversation it
holds, is the input `says`; all of them are functions of this file.
"""

import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Json = Any


class Conversation:
    """The connection of a launch."""

    def __init__(self, order: Json) -> None:
        self.order = order
        self.inputs = order["inputs"]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["HERO_SPAN_SOCKET"])
        self.replies = self.socket.makefile("rb")
        self.seq = 0

    def hello(self, **other: Json) -> None:
        """Says who speaks, or that it is someone else."""
        who = {
            "protocol": 1,
            "play": os.environ["HERO_PLAY_SID"],
            "launch": int(os.environ["HERO_LAUNCH"]),
            "token": self.order["token"],
        }
        self.send("hello", **(who | other))

    def send(self, event: str, **details: Json) -> None:
        self.socket.sendall(self.frame(event, **details))

    def frame(self, event: str, **details: Json) -> bytes:
        """The next frame."""
        line = json.dumps({"seq": self.seq, "event": {event: details}}).encode() + b"\n"
        self.seq += 1
        return line

    def reply(self) -> Json:
        """The next reply; None where the supervisor has closed the connection."""
        line = self.replies.readline()
        return json.loads(line) if line else None

    def begin(self) -> None:
        """A hello that is taken."""
        self.hello()
        assert "ack" in self.reply()

    def step(self, number: int) -> bytes:
        """A frame with the outcome of a step."""
        key = f"{number:040x}"
        return self.frame(
            "step_output",
            key=key, parent_path="f", name="s", arguments_hash=key, source_hash=key, span_id=key[-16:],
            outcome={"returned": number}, at=number,
        )  # fmt: skip

    def end(self) -> int:
        """The flow has returned."""
        self.send("result", outcome={"returned": "well"}, left_over=[])
        return 0


# --- Conversations: each returns the exit code ----------------------------------------------------


def as_it_should(talk: Conversation) -> int:
    talk.begin()
    talk.socket.sendall(talk.step(1))
    assert talk.reply() == {"ack": {"seq": 1}}
    return talk.end()


def byte_by_byte(talk: Conversation) -> int:
    talk.begin()
    for byte in talk.step(1):
        talk.socket.sendall(bytes([byte]))
        time.sleep(0.001)
    assert "ack" in talk.reply()
    return talk.end()


def half_a_frame(talk: Conversation) -> int:
    talk.begin()
    talk.socket.sendall(talk.step(1)[:50])
    return 0


def half_a_hello(talk: Conversation) -> int:
    talk.socket.sendall(b'{"seq":0,"event":{"hel')
    return 0


def never_reads(talk: Conversation) -> int:
    talk.begin()
    talk.socket.sendall(b"".join(talk.step(number) for number in range(1, 100)))
    return talk.end()


def garbage_between_frames(talk: Conversation) -> int:
    talk.begin()
    chances = random.Random(1)
    for number in range(200):
        talk.socket.sendall(bytes(chances.randrange(256) for _ in range(300)).replace(b"\n", b"") + b"\n")
        if number % 50 == 0:
            talk.socket.sendall(talk.step(number))
            assert "ack" in talk.reply()
    return talk.end()


ODD_LINES = [
    b"", b"null", b"0", b"[]", b"{}", b'"', b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{" * 100_000,
    b"[" * 1_000_000, b'{"seq":1}', b'{"event":{}}', b'{"seq":-1,"event":{"span_end":{}}}', b'{"seq":1e999}',
    b'{"seq":18446744073709551616,"event":{}}', b'{"seq":1,"event":{"unheard_of":{}}}',
    b'{"seq":1,"event":{"pause":{"id":"x"}}}', b'{"seq":1,"seq":2,"event":null}',
    b'{"seq":1,"event":"hello"}', b'{"seq":null,"event":{"result":{}}}', b'\xed\xa0\x80',
    b'{"seq":1,"event":{"span_log":{"text":"\\ud800"}}}',
]  # fmt: skip


def odd_lines(talk: Conversation) -> int:
    talk.begin()
    for line in ODD_LINES:
        talk.socket.sendall(line + b"\n")
    return talk.end()


def counts_wrong(talk: Conversation) -> int:
    talk.begin()
    for seq in (5, 5, 1, 0, 1_000, 7):
        talk.seq = seq
        talk.socket.sendall(talk.step(seq))
        assert talk.reply() == {"ack": {"seq": seq}}
    return talk.end()


def counts_to_the_limit(talk: Conversation) -> int:
    talk.begin()
    talk.seq = 2**64 - 1
    talk.socket.sendall(talk.step(1))
    talk.reply()
    talk.seq = 2
    return talk.end()


def greets_twice(talk: Conversation) -> int:
    talk.begin()
    talk.hello()
    return talk.end()


def spans_that_are_not(talk: Conversation) -> int:
    talk.begin()
    talk.send("span_end", span_id="0" * 16, status="ok", at=1)
    talk.send("span_tag", span_id="0" * 16, tags={"a": 1})
    talk.send("span_log", span_id="0" * 16, level="info", text="\x1b]0;title\x07", at=-1)
    for _ in range(2):
        talk.send(
            "span_start", span_id="1" * 16, parent_id="1" * 16, name="own parent", kind="step", at=2**62
        )
    return talk.end()


def two_results(talk: Conversation) -> int:
    talk.begin()
    talk.send("result", outcome={"returned": "first"}, left_over=[])
    return talk.end()


def too_long_a_line(talk: Conversation) -> int:
    talk.begin()
    try:
        for _ in range(65):
            talk.socket.sendall(b"x" * 1024 * 1024)
    except OSError:
        pass
    return 3


def too_long_a_hello(talk: Conversation) -> int:
    try:
        for _ in range(65):
            talk.socket.sendall(b"x" * 1024 * 1024)
    except OSError:
        pass
    return 3


def refused(talk: Conversation) -> int:
    """A hello that has to be refused, and a step all the same."""
    talk.hello(**talk.inputs["other"])
    reply = talk.reply()
    assert "refused" in reply, reply
    try:
        talk.socket.sendall(talk.step(1))
        assert talk.reply() is None
    except OSError:
        pass
    return 3


def many_connections(talk: Conversation) -> int:
    talk.begin()
    others = []
    for _ in range(300):
        other = socket.socket(socket.AF_UNIX)
        other.connect(os.environ["HERO_SPAN_SOCKET"])
        others.append(other)
    talk.socket.sendall(talk.step(1))
    assert "ack" in talk.reply()
    return talk.end()


def never_reads_and_never_ends(talk: Conversation) -> int:
    talk.begin()
    number = 1
    while True:
        talk.socket.sendall(talk.step(number))
        number += 1


def fuzzed(talk: Conversation) -> int:
    """A good conversation with some bytes of it changed, dropped, doubled or cut off."""
    chances = random.Random(talk.inputs["seed"])
    talk.hello()
    good = [talk.step(number) for number in range(1, 6)]
    good += [
        talk.frame("span_start", span_id="1" * 16, name="s", kind="step", at=1),
        talk.frame("pause", id="a" * 40, name="q", kind="pause", span_id="1" * 16),
        talk.frame("span_end", span_id="1" * 16, status="ok", at=2),
        talk.frame("result", outcome={"returned": 1}, left_over=[]),
    ]
    try:
        for line in _mutated(good, chances):
            talk.socket.sendall(line)
    except OSError:
        pass
    return chances.choice([0, 1, 2, 3, 75])


def _mutated(lines: list[bytes], chances: random.Random) -> Iterator[bytes]:
    for line in lines:
        kind = chances.randrange(8)
        at = chances.randrange(len(line))
        if kind == 0:
            yield line[:at] + bytes([chances.randrange(256)]) + line[at + 1 :]
        elif kind == 1:
            yield line[:at] + line[at + chances.randrange(20) :]
        elif kind == 2:
            yield line[:at] + chances.choice(ODD_LINES) + line[at:]
        elif kind == 3:
            yield line + line
        elif kind == 4:
            yield line[:at]
            if chances.random() < 0.3:
                return
        else:
            yield line


def main() -> int:
    order = json.loads(Path(os.environ["HERO_INPUT_FILE"]).read_text())
    says: Callable[[Conversation], int] = globals()[order["inputs"]["says"]]
    return says(Conversation(order))


if __name__ == "__main__":
    if "pyhero._child" in sys.argv:
        os._exit(main())
    if "pyhero._fork_server" in sys.argv:
        sys.exit("a raw child is not forked")
    os.execv(os.environ["REAL_PYTHON"], [os.environ["REAL_PYTHON"], *sys.argv[1:]])
