"""What a step returns is equal in type and value on the first run and on replay."""

from __future__ import annotations

# ruff: noqa: UP007, UP045 (what authors may write, in both spellings)
import enum
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union
from uuid import UUID

import pytest
from pyhero import EncodeError, flow
from pyhero._codec import Misfit, codec_for, dumps, schema_of
from pyhero._native import check_answer
from pyhero.testing import run


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Mixed(enum.Enum):
    PAIR = (1, 2)
    ONE = 1


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Movie(TypedDict, total=False):
    title: str
    year: int


@dataclass
class Item:
    name: str
    price: Decimal
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


@dataclass
class Derived:
    n: int
    double: int = field(init=False)

    def __post_init__(self) -> None:
        self.double = 2 * self.n


T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    content: T
    others: list[T]


UserId = NewType("UserId", int)
PLUS_TWO = timezone(timedelta(hours=2))

VALUES: list[tuple[Any, Any]] = [
    (Any, {"a": [1, 2.5, None, True, "é😀", {"b": []}]}),
    (object, 2**53 + 1),
    (None, None),
    (bool, False),
    (int, -(10**40)),
    (int, 0),
    (float, 1.0),
    (float, -0.0),
    (float, 5e-324),
    (float, 0.1 + 0.2),
    (str, ""),
    (str, 'quote " backslash \\ newline \n null \0'),
    (list, [1, "a"]),
    (list[int], []),
    (list[list[float]], [[1.0], []]),
    (Sequence[int], [1, 2]),
    (tuple, (1, "a")),
    (tuple[()], ()),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (set[int], {3, 1, 2}),
    (frozenset[str], frozenset({"a"})),
    (dict, {"a": 1}),
    (dict[str, int], {"": 1, "é": 2}),
    (dict[int, str], {1: "a", -2: "b"}),
    (dict[float, int], {1.0: 1, 0.5: 2}),
    (dict[bool, int], {True: 1}),
    (dict[Colour, int], {Colour.RED: 1}),
    (dict[tuple[int, str], int], {(1, "a"): 2}),
    (dict[date, int], {date(2026, 1, 1): 1}),
    (dict[int | str, int], {1: 1, "1": 2}),
    (Mapping[str, tuple[int, ...]], {"a": (1, 2)}),
    (datetime, datetime(2026, 1, 31, 23, 59, 59, 999999)),
    (datetime, datetime(2026, 1, 1, tzinfo=timezone.utc)),
    (datetime, datetime(2026, 1, 1, 12, tzinfo=PLUS_TWO)),
    (date, date(1, 1, 1)),
    (time, time(23, 59, 59, 1)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (timedelta, timedelta.max),
    (timedelta, timedelta(0)),
    (Decimal, Decimal("12.50")),
    (Decimal, Decimal("1E+30")),
    (UUID, UUID(int=7)),
    (bytes, b"\0\xff"),
    (Path, Path("a/ü.txt")),
    (PurePosixPath, PurePosixPath("/x")),
    (Optional[int], None),
    (Optional[int], 3),
    (Union[int, str], "1"),
    (Union[int, float], 2.0),
    (Union[float, int], 2),
    (Union[int, bool], True),
    (Union[date, str], "2026-01-01"),
    (Union[date, str], date(2026, 1, 1)),
    (Union[str, date], date(2026, 1, 1)),
    (Union[Point, Item], Item("a", Decimal(1))),
    (Union[dict[str, Any], int], {"$member": 0, "value": 1}),
    (Union[list[int], tuple[int, ...]], (1,)),
    (Literal["a", 1, None, True], True),
    (Literal["a", 1], 1),
    (Literal[Colour.RED], Colour.RED),
    (Colour, Colour.BLUE),
    (Mixed, Mixed.PAIR),
    (Level, Level.HIGH),
    (Access, Access.READ | Access.WRITE),
    (Point, Point(1)),
    (Movie, {"title": "Alien"}),
    (Item, Item("a", Decimal("0.10"), {"x", "y"})),
    (list[Item], [Item("a", Decimal(1))]),
    (Tree, Tree(1, [Tree(2), Tree(3, [Tree(4)])])),
    (Derived, Derived(3)),
    (Box[date], Box(date(2026, 1, 1), [date(2026, 1, 2)])),
    (UserId, UserId(5)),
]


def names(values: list[tuple[Any, Any]]) -> list[str]:
    return [f"{annotation}-{value}"[:60] for annotation, value in values]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=names(VALUES))
def test_a_value_comes_back_equal_in_type_and_value(annotation: Any, value: Any) -> None:
    codec = codec_for(annotation)
    text = dumps(codec.encode(value))
    back = codec.decode(json.loads(text))
    assert back == value
    assert same_types(back, value)
    assert check_answer(dumps(schema_of(codec)), text) is None or "$member" in text, "its schema accepts it"


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=names(VALUES))
def test_a_step_returns_the_same_on_the_first_run_and_on_replay(annotation: Any, value: Any) -> None:
    seen = []

    def gives() -> Any:
        return value

    gives.__annotations__["return"] = annotation
    step = flow(gives)

    @flow(name="root")
    def root() -> None:
        seen.append(step())

    run(root, replay="after_every_step")
    first, *replays = seen
    assert first == value
    assert replays
    for replayed in replays:
        assert replayed == first
        assert same_types(replayed, value)


def same_types(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return all(same_types(a, b) for a, b in zip(one.items(), other.items(), strict=True))
    if isinstance(one, (list, tuple)):
        return all(same_types(a, b) for a, b in zip(one, other, strict=True))
    if hasattr(one, "__dataclass_fields__"):
        return all(same_types(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    return math.copysign(1, one) == math.copysign(1, other) if isinstance(one, float) else True


class Opaque:
    """A class that no codec knows."""


holds_itself: list[Any] = []
holds_itself.append(holds_itself)

MISFITS: list[tuple[Any, Any, str]] = [
    (Any, {"items": [1, 2, 3, Opaque()]}, 'return["items"][3]: Opaque has no JSON form'),
    (Any, {1: "a"}, "return: int as a key"),
    (Any, Colour.RED, "return: Colour has no JSON form"),
    (Any, {1, 2}, "return: set has no JSON form"),
    (Any, b"", "return: bytes has no JSON form"),
    (Any, float("nan"), "return: nan has no JSON form"),
    (Any, "\ud800", "return: str with half of a surrogate pair"),
    (Any, 10**5000, "is too long"),
    (Any, holds_itself, "holds itself"),
    (Opaque, Opaque(), "return: Opaque has no JSON form"),
    (int, "1", "return: str where int is expected"),
    (int, None, "return: None where int is expected"),
    (bool, 1, "return: int where bool is expected"),
    (float, 2**53 + 1, "return: int is not exact as a float"),
    (float, math.inf, "return: inf has no JSON form"),
    (list[int], [1, "2"], "return[1]: str where int is expected"),
    (tuple[int, str], (1,), "return: tuple of 1 where one of 2 is expected"),
    (date, datetime(2026, 1, 1), "return: datetime where date is expected"),
    (Item, Item("a", 1.5), "return.price: float where Decimal is expected"),  # type: ignore[arg-type]
    (Movie, {"titel": "?"}, 'return["titel"]: str is not declared in Movie'),
    (dict[str, list[Item]], {"a": [None]}, 'return["a"][0]: None where Item is expected; annotate'),
    (Literal["a"], "b", "return: 'b' is none of ['a']"),
    (Union[int, list[str]], [1], "return[0]: int where str is expected"),
]


@pytest.mark.parametrize(("annotation", "value", "message"), MISFITS, ids=[m for *_, m in MISFITS])
def test_what_cannot_be_stored_fails_its_step_and_names_the_place(
    annotation: Any, value: Any, message: str
) -> None:
    caught = []

    def gives() -> Any:
        return value

    gives.__annotations__["return"] = annotation
    step = flow(gives)

    @flow(name="root")
    def root() -> str:
        try:
            step()
        except EncodeError as error:
            caught.append(str(error))
        return "handled"

    assert run(root, replay="after_every_step").output == "handled"
    assert message in caught[0]
    assert set(caught) == {caught[0]}, "the same on replay"


def test_nesting_deeper_than_json_readers_allow_is_a_misfit() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]

    @flow
    def gives() -> Any:
        return deep

    with pytest.raises(EncodeError, match="nested deeper"):
        run(gives)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "true"),
        (int, "1.5"),
        (str, "1"),
        (date, '"2026-02-31"'),
        (Decimal, '"many"'),
        (Colour, '"green"'),
        (Item, "{}"),
        (Item, '{"name":"a","price":"1","colour":"red"}'),
        (tuple[int, int], "[1]"),
        (dict[int, int], '{"a":1}'),
        (Union[int, None], '"x"'),
        (bytes, '"é"'),
        (timedelta, '"P"'),
    ],
)
def test_json_of_another_shape_is_refused(annotation: Any, text: str) -> None:
    with pytest.raises(Misfit):
        codec_for(annotation).decode(json.loads(text))


def test_answers_from_outside_may_be_written_as_people_write_them() -> None:
    assert codec_for(int).decode(2.0) == 2
    assert codec_for(Decimal).decode(12.5) == Decimal("12.5")
    assert codec_for(datetime).decode("2026-01-01T00:00:00Z") == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert codec_for(timedelta).decode("P1DT2H") == timedelta(days=1, hours=2)
    assert codec_for(Item).decode({"name": "a", "price": "1"}) == Item("a", Decimal(1))


def test_a_recursive_class_has_a_schema_with_one_definition() -> None:
    schema = schema_of(codec_for(Tree))
    assert list(schema["$defs"]) == ["Tree"]
    assert check_answer(dumps(schema), '{"value":1,"children":[{"value":2}]}') is None
    assert check_answer(dumps(schema), '{"value":1,"children":[{"value":"x"}]}') is not None


def test_pydantic_models_come_back_as_themselves() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Order(pydantic.BaseModel):
        amount: Decimal
        at: datetime

    codec = codec_for(list[Order])
    orders = [Order(amount=Decimal("1.50"), at=datetime(2026, 1, 1, tzinfo=timezone.utc))]
    assert codec.decode(json.loads(dumps(codec.encode(orders)))) == orders
    with pytest.raises(Misfit):
        codec.decode([{"amount": "x"}])


OUTPUTS: list[tuple[Any, str | None]] = [
    ({"url": "u", "count": 1}, None),
    ({"url": "u"}, 'return["count"]: is missing'),
    ({"url": "u", "count": "1"}, 'return["count"]: str where int is expected'),
    ({"url": "u", "count": 1, "debug": 2}, 'return["debug"]: int is not declared'),
    (5, "return: int where a dict"),
]


@pytest.mark.parametrize(("value", "message"), OUTPUTS)
def test_declared_outputs_are_checked(value: Any, message: str | None) -> None:
    @flow(name="gives", outputs={"url": str, "count": int})
    def gives() -> Any:
        return value

    if message is None:
        assert run(gives).output == value
    else:
        with pytest.raises(EncodeError) as caught:
            run(gives)
        assert "flow `gives`" in str(caught.value)
        assert message in str(caught.value)
