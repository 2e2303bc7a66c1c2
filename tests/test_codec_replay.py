"""Every type of the codec: equal in type and value on the first run and on replay.

One flow holds a step a row of the table, asks a question, and compares what the steps gave with what
they were told to give: before the question on the first run, after it from memory.
"""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from support.hero import Hero

DEFINITIONS = '''
import enum
import json
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Dict, FrozenSet, List, Literal, NamedTuple, Optional, Set, Tuple, TypedDict, Union
from uuid import UUID
from zoneinfo import ZoneInfo

class Colour(enum.Enum):
    RED = "red"
    BLUE = ("b", 1)

class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2

class Plain(TypedDict):
    id: int
    price: Decimal

@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5

@dataclass
class Shape:
    name: str
    points: list[Point]
    colour: Colour | None = None
    tags: set[str] = field(default_factory=set)

def same(a, b):
    """Equal in type and value, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a.hex() == b.hex()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(x, y) for x, y in zip(a.values(), b.values()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return a == b
'''

# annotation → values of it. Every value is one step.
TABLE: list[tuple[str, list[str]]] = [
    ("None", ["None"]),
    ("bool", ["True", "False"]),
    ("int", ["0", "-1", "2**53 + 1", "-(2**63)", "2**64", "10**40"]),
    ("float", ["0.0", "-0.0", "1.0", "0.1 + 0.2", "1e300", "5e-324", "1e16"]),
    ("str", ["''", "'é'", "'\\U0001f600'", "'\\x00'", "'\\u2028'", "'line\\nline'", "'null'"]),
    ("list", ["[]", "[1, 'a', None, [2.0]]"]),
    ("dict", ["{}", "{'b': 1, 'a': {'c': [True]}}"]),
    ("object", ["{'any': [1, 1.0, 'x', None]}"]),
    ("Any", ["[1, {'a': None}]", "'text'", "3"]),
    ("list[int]", ["[1, 2]"]),
    ("dict[str, float]", ["{'a': 1.0}"]),
    ("dict[int, str]", ["{1: 'a', -2: 'b'}"]),
    ("dict[str, Decimal]", ["{'a': Decimal('1.10')}"]),
    ("tuple[int, str]", ["(1, 'a')"]),
    ("tuple[int, ...]", ["()", "(1, 2, 3)"]),
    ("Tuple[int, Tuple[str, ...]]", ["(1, ('a', 'b'))"]),
    ("set[int]", ["set()", "{3, 1, 2}"]),
    ("set[str]", ["{'b', 'a'}"]),
    ("frozenset[str]", ["frozenset({'a'})"]),
    ("set[tuple[int, str]]", ["{(1, 'a'), (2, 'b')}"]),
    ("Colour", ["Colour.RED", "Colour.BLUE"]),
    ("Level", ["Level.HIGH"]),
    ("Plain", ["{'id': 1, 'price': Decimal('9.99')}"]),
    ("Point", ["Point(1)", "Point(2, 3.0)"]),
    ("Shape", ["Shape('s', [Point(1), Point(2)], Colour.BLUE, {'a'})", "Shape('empty', [])"]),
    ("list[Shape]", ["[Shape('s', [Point(1)])]"]),
    ("dict[str, tuple[Point, ...]]", ["{'a': (Point(1),)}"]),
    (
        "datetime",
        [
            "datetime(2026, 3, 1, 12, 30, 15, 123456)",
            "datetime(2026, 3, 1, tzinfo=timezone.utc)",
            "datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))",
        ],
    ),
    ("date", ["date(2026, 2, 28)"]),
    ("timedelta", ["timedelta(0)", "timedelta(days=-1, microseconds=1)", "timedelta(days=400, seconds=1)"]),
    ("Decimal", ["Decimal('1.10')", "Decimal('-0')", "Decimal('1E+40')"]),
    ("UUID", ["UUID('12345678-1234-5678-1234-567812345678')"]),
    ("bytes", ["b''", "bytes(range(256))"]),
    ("Path", ["Path('a/b.txt')", "Path('/')"]),
    ("int | None", ["None", "5"]),
    ("Optional[Decimal]", ["None", "Decimal('1.0')"]),
    ("Union[int, str]", ["1", "'1'"]),
    ("Point | None", ["None", "Point(1)"]),
    ("Literal['a', 2]", ["'a'", "2"]),
    ("'list[Point]'", ["[Point(7)]"]),
]

PYDANTIC = """
from pydantic import BaseModel

class Model(BaseModel):
    id: int
    price: Decimal
    colour: Colour = Colour.RED
"""
PYDANTIC_TABLE: list[tuple[str, list[str]]] = [
    ("Model", ["Model(id=1, price=Decimal('1.10'))"]),
    ("list[Model]", ["[Model(id=1, price=Decimal('2'), level=Level.HIGH)]"]),
]


@dataclass(frozen=True)
class Row:
    """One step of the flow."""

    annotation: str
    value: str

    def __str__(self) -> str:
        return f"{self.annotation} = {self.value}"


def rows(table: list[tuple[str, list[str]]]) -> list[Row]:
    return [Row(annotation, value) for annotation, values in table for value in values]


def source_of(table: list[Row], definitions: str) -> str:
    """The flow that gives every value, asks, and reports `(before, after)` a row."""
    steps = "\n".join(
        f"@flow\ndef give_{i}() -> {row.annotation}:\n    return {row.value}\n" for i, row in enumerate(table)
    )
    pairs = ", ".join(f"(give_{i}, {row.value})" for i, row in enumerate(table))
    return f"""{definitions}
{steps}
@flow
def gives_all() -> list:
    given = [(step(), value) for step, value in [{pairs}]]
    report = [[same(got, value), f"{{type(got).__name__}}: {{got!r}}"] for got, value in given]
    mark("reported")
    launch = len(Path("marks.txt").read_text().splitlines())
    Path(f"report_{{launch}}.json").write_text(json.dumps(report))
    flow.pause("again")
    return report
"""


def reports_of(hero: Hero, table: list[Row], definitions: str) -> list[list[Any]]:
    """What the first run and the replay saw, row by row."""
    paused = hero.run(source_of(table, definitions))
    assert paused.code == 75, paused
    sid = paused.json()["sid"]
    hero("resume", sid, "again", "true")
    play = hero.wait(sid)
    assert play["status"] == "success", play
    spans = hero.spans(sid)
    replayed = [s for s in spans if s["launch"] == 2 and s["name"].startswith("give_")]
    assert [s["status"] for s in replayed] == ["replayed"] * len(table)
    return [json.loads((hero.work_dir / f"report_{launch}.json").read_text()) for launch in (1, 2)]


@pytest.fixture(scope="module")
def reports(module_hero: Hero) -> list[list[Any]]:
    return reports_of(module_hero, rows(TABLE), DEFINITIONS)


@pytest.mark.parametrize(("index", "row"), list(enumerate(rows(TABLE))), ids=lambda value: str(value))
@pytest.mark.parametrize("launch", ["first run", "replay"])
def test_a_value_is_equal_in_type_and_value(
    reports: list[list[Any]], launch: str, index: int, row: Row
) -> None:
    is_same, got = reports[["first run", "replay"].index(launch)][index]
    assert is_same, f"{row} came back as {got}"


def test_pydantic_models_where_pydantic_is_installed(hero: Hero) -> None:
    pytest.importorskip("pydantic")
    table = rows(PYDANTIC_TABLE)
    for report in reports_of(hero, table, DEFINITIONS + PYDANTIC):
        assert [is_same for is_same, _ in report] == [True] * len(table), report


UNENCODABLE = [
    ("dict", "{'items': [1, 2, 3, __import__('socket').socket()]}", 'return["items"][3]', "socket"),
    ("list[int]", "[1, object()]", "return[1]", "object"),
    ("float", "math.nan", "return", "nan"),
    ("dict", "{'a': math.inf}", 'return["a"]', "inf"),
    ("dict", "{1: 'a'}", "return", "int"),
    ("object", "(x for x in [])", "return", "generator"),
    ("Shape", "Shape('s', [Point(1), 'no point'])", "return.points[1]", "str"),
    ("str", "'\\ud800'", "return", "surrogate"),
]


@pytest.mark.parametrize(
    ("annotation", "value", "place", "what"), UNENCODABLE, ids=[row[1] for row in UNENCODABLE]
)
def test_what_cannot_be_encoded_fails_its_step_and_names_the_place(
    hero: Hero, annotation: str, value: str, place: str, what: str
) -> None:
    finished = hero.run(f"""{DEFINITIONS}
@flow
def gives() -> {annotation}:
    return {value}

@flow
def fails() -> None:
    gives()
""")
    assert finished.code == 1, finished
    message = finished.json()["error"]["message"]
    assert place in message and what in message.lower() and "gives" in message, message


def test_a_cycle_fails_its_step(hero: Hero) -> None:
    finished = hero.run("""
    @flow
    def gives() -> list:
        cycle = []
        cycle.append(cycle)
        return cycle

    @flow
    def fails() -> None:
        gives()
    """)
    assert finished.code == 1, finished
    assert "gives" in finished.json()["error"]["message"]


def test_a_step_that_cannot_be_encoded_may_be_handled_like_any_failure(hero: Hero) -> None:
    finished = hero.run("""
    @flow
    def gives() -> object:
        return object()

    @flow
    def handles() -> str:
        try:
            gives()
        except TypeError as error:
            return str(error)
    """)
    assert finished.code == 0, finished
    assert "object" in finished.json()["output_data"]
