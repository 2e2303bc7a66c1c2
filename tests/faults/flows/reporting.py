"""How a flow tells the ledger what it did. Each call returns once the ledger has it on disk."""

import json
import os
import socket
import uuid
from typing import Any

from pyhero import flow

_path = ""


def open_ledger(path: str) -> None:
    """Says where the ledger listens; the first thing that a flow does."""
    global _path
    _path = path


def effect(step: str) -> str:
    """From the body of a step: it has its effect on the world now. Returns the number of this effect."""
    nonce = uuid.uuid4().hex
    _report("effect", step=step, nonce=nonce)
    return nonce


def acked(step: str, nonce: str) -> None:
    """From behind a step: the call has returned, so its outcome is durable."""
    _report("acked", step=step, nonce=nonce)


def answered(pause: str, answer: Any) -> None:
    """From behind a pause: this is the answer it gave."""
    _report("answered", pause=pause, answer=answer)


def reached(place: str) -> None:
    """The flow stands here."""
    _report("reached", place=place)


def _report(what: str, **details: Any) -> None:
    play = flow.current()
    event = {"what": what, "play": play.sid, "launch": play.launch, "pid": os.getpid(), **details}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(_path)
        connection.sendall(json.dumps(event).encode() + b"\n")
        if connection.recv(1) != b"\n":
            raise ConnectionError("the ledger has ended")
