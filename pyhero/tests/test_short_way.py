"""The short way of a plain call (`pyhero/rust/recognizer.rs`) is the long one (`_step.py`), only shorter."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from .support import Supervisor

ANNOTATIONS = {
    "": ["Any"],
    "int": ["int"],
    "float": ["float"],
    "str": ["str"],
    "bool": ["bool"],
    "None": ["None"],
    "int | None": ["int", "None"],
    "list[float]": ["floats"],
    "dict[str, int]": ["ints by name"],
    "tuple[int, ...]": ["tuple"],
    "set[str]": ["set"],
    "str | int": ["int", "str"],
}
"""An annotation, and what is drawn for it; now and then anything else is."""

TEXTS = ["", "a", "é", "😀", '"\\/', "\n\x00\x1f\x7f", "\u2028", "_" * 300]
INTEGERS = [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 10**30]
FLOATS = [0.0, -0.0, 1.0, 1e15, 1e16, 1e-4, 1e-5, 0.1 + 0.2, 1.5e300, 5e-324, 896490845381430.25]


class Drawer:
    """Draws flows, and calls of them, as source."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def value(self, kind: str, depth: int = 0) -> Any:
        """A value of this kind, seldom one of another."""
        chance = self.chance
        if chance.random() < 0.05:
            kind = "Any"
        if kind == "Any":
            kinds = ["int", "float", "str", "bool", "None"] + ["list", "dict"] * (depth < 3)
            kind = chance.choice(kinds)
        items = range(chance.randrange(4))
        drawn: Any = {
            "int": lambda: chance.choice([*INTEGERS, chance.randrange(-1000, 1000)]),
            "float": lambda: chance.choice([*FLOATS, chance.random(), chance.uniform(-1e20, 1e20)]),
            "str": lambda: chance.choice(TEXTS) + chance.choice(TEXTS),
            "bool": lambda: chance.random() < 0.5,
            "None": lambda: None,
            "floats": lambda: [self.value("float", depth + 1) for _ in items],
            "ints by name": lambda: {self.value("str", 9): self.value("int", depth + 1) for _ in items},
            "tuple": lambda: tuple(self.value("int", depth + 1) for _ in items),
            "set": lambda: {chance.choice(TEXTS) for _ in items},
            "list": lambda: [self.value("Any", depth + 1) for _ in items],
            "dict": lambda: {chance.choice(TEXTS): self.value("Any", depth + 1) for _ in items},
        }[kind]()
        return drawn

    def flow(self, name: str) -> tuple[str, list[str]]:
        """The definition of a flow, and calls of it."""
        chance = self.chance
        annotated = [
            (f"{chance.choice('pqé')}{n}", chance.choice(list(ANNOTATIONS)))
            for n in range(chance.randrange(4))
        ]
        n_by_position = chance.randrange(len(annotated) + 1)
        n_without_default = chance.randrange(len(annotated) + 1)
        spelled = []
        for n, (parameter, annotation) in enumerate(annotated):
            default = (
                f" = {self.value(chance.choice(ANNOTATIONS[annotation]))!r}" if n >= n_without_default else ""
            )
            spelled.append(f"{parameter}{annotation and ': ' + annotation}{default}")
        if n_by_position < len(spelled):
            spelled.insert(n_by_position, "*")
        if n_by_position and chance.random() < 0.3:
            spelled.insert(chance.randrange(1, n_by_position + 1), "/")
        returns = chance.choice(list(ANNOTATIONS))
        arrow = f" -> {returns}" if returns else ""
        results = [self.value(chance.choice(ANNOTATIONS[returns])) for _ in range(3)]
        failure = "if n % 13 == 12:\n        raise ValueError(n)"
        body = f"n = next(counter)\n    {failure}\n    return {results!r}[n % 3]"
        calls = [self.call(name, annotated, n_by_position) for _ in range(3)]
        return f"@flow\ndef {name}({', '.join(spelled)}){arrow}:\n    {body}\n", calls

    def call(self, name: str, annotated: list[tuple[str, str]], n_by_position: int) -> str:
        """A call, which mostly fits."""
        chance = self.chance
        given = []
        n_positional = chance.randrange(n_by_position + 1)
        for n, (parameter, annotation) in enumerate(annotated):
            value = repr(self.value(chance.choice(ANNOTATIONS[annotation])))
            if n < n_positional:
                given.append(value)
            elif chance.random() < 0.9:
                given.append(f"{parameter}={value}")
        return f"{name}({', '.join(given)})"


def program(seed: int) -> str:
    """A flow that calls others, each call twice, and notes what they return or raise."""
    drawer = Drawer(seed)
    drawn = [drawer.flow(f"f{n}") for n in range(20)]
    calls = [call for _, calls in drawn for call in calls for _ in range(2)]
    drawer.chance.shuffle(calls)
    definitions = "\n\n".join(definition for definition, _ in drawn)
    body = "".join(f"    note(lambda: {call})\n" for call in calls)
    return f"""
import os
from itertools import count

from pyhero import _arguments, _codec, _native, flow

if os.environ.get("LONG_WAY"):
    _arguments.Parameters.native = None
    _codec.Codec.plain = property(lambda codec: _native.PlainForm(""))

counter = count()
notes = []

def note(call):
    try:
        value = call()
        notes.append(f"{{type(value)}} {{sorted(value) if isinstance(value, set) else value!r}}")
    except Exception as error:
        notes.append(f"{{type(error).__name__}}: {{error}}")

{definitions}

@flow
def inner():
{body}
    return len(notes)

@flow
def main():
{body}
    told = notes.copy()
    inner()
    return told
"""


def without_times(events: list[Any]) -> list[Any]:
    """The events with what differs between any two runs left out."""
    return [(word, {k: v for k, v in event.items() if k != "at"}) for word, event in events]


@pytest.mark.parametrize("seed", range(2))
def test_both_ways_give_the_same_keys_frames_and_values(tmp_path: Path, seed: int) -> None:
    seen = []
    for way in ("short", "long"):
        supervisor = Supervisor(tmp_path / way)
        supervisor.environment = {"LONG_WAY": "1" if way == "long" else None, "PYTHONHASHSEED": "0"}
        supervisor.write(program(seed))
        first = supervisor.launch()
        again = supervisor.launch()
        assert again.output == first.output
        assert sum(event.get("replayed", False) for event in again.of("span_start")) > 50
        seen.append([without_times(first.events), without_times(again.events)])
    short, long = seen
    for one, other in zip(short, long, strict=True):
        for event, same in zip(one, other, strict=True):
            assert _comparable(event) == _comparable(same)


def _comparable(event: Any) -> str:
    # The order of the members means nothing, the spelling of a number does.
    text = json.dumps(event, sort_keys=True)
    return text.replace("/short/", "/long/")
