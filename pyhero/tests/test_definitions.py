"""What can be a flow, and what flows do outside of a play."""

from __future__ import annotations

import asyncio
import functools
import pickle
import subprocess
import sys
from datetime import timezone
from typing import Any

import pyhero
import pytest
from pyhero import ArgumentError, DefinitionError, FlowNotFound, NotInFlowError, ask_user, flow
from pyhero.testing import run


@flow
def doubled(n: int) -> int:
    """Doubles."""
    return 2 * n


def test_outside_a_play_a_flow_is_plain_python() -> None:
    assert doubled(4) == 8
    assert flow.invoke(doubled, n=2) == 4
    assert flow.invoke(doubled.name, n=2) == 4
    assert flow(sorted)([2, 1]) == [1, 2]
    with flow.step("block"):
        flow.annotate(cost_usd=1, a="b")
        flow.progress(1, 2)
    assert flow.now().tzinfo is timezone.utc
    assert flow.uuid4() != flow.uuid4()
    assert 0 <= flow.random() < 1
    assert flow.idempotency_key() != flow.idempotency_key()


def test_an_async_flow_is_a_coroutine_function() -> None:
    @flow
    async def later(n: int) -> int:
        return n

    assert asyncio.run(later(3)) == 3
    assert later.is_async


def test_logs_outside_a_play_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    flow.log("one\ntwo", "warning")
    assert capsys.readouterr().err == "warning: one\nwarning: two\n"
    with pytest.raises(ArgumentError, match="no log level"):
        flow.log("x", "loud")  # type: ignore[arg-type]


def test_a_flow_keeps_what_its_function_says_of_itself() -> None:
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Doubles.")
    assert doubled.name == f"{__name__}.doubled"
    assert repr(doubled) == f"<flow {__name__}.doubled>"
    assert pickle.loads(pickle.dumps(doubled)) is doubled


def test_what_needs_a_play_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(NotInFlowError, match="no current play"):
        flow.current()
    with pytest.raises(NotInFlowError, match="pause `q` has nobody to ask") as caught:
        flow.pause("q")
    assert isinstance(caught.value, RuntimeError)
    assert "\nhint: run the flow with" in str(caught.value)


class Terminal:
    """A terminal on which someone types."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.lines.pop(0) + "\n"


TYPED: list[tuple[Any, tuple[str, ...], Any]] = [
    (lambda: flow.pause("q"), ('{"a":1}',), {"a": 1}),
    (lambda: flow.pause("q", schema=int), ("many", "4"), 4),
    (lambda: flow.pause("q", schema=str), ("4",), "4"),
    (lambda: ask_user.text("q", "Name?"), ("true",), "true"),
    (lambda: ask_user.number("q", "Age?", min=1), ("0", "2"), 2),
    (lambda: ask_user.confirm("q", "Sure?"), ("maybe", "Yes"), True),
    (lambda: ask_user.choice("q", "Which?", options=["red", "blue"]), ("3", "2"), "blue"),
    (lambda: ask_user.multi_choice("q", "When?", options=["mon", "tue"]), ("1, tue",), ["mon", "tue"]),
]


@pytest.mark.parametrize(("ask", "lines", "answer"), TYPED)
def test_outside_a_play_a_pause_asks_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, ask: Any, lines: tuple[str, ...], answer: Any
) -> None:
    terminal = Terminal(*lines)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert ask() == answer
    assert terminal.lines == []


# --- Definition errors --------------------------------------------------------------------------


def test_methods_are_refused() -> None:
    with pytest.raises(DefinitionError, match="`self` would be part"):

        class Service:
            @flow
            def call(self) -> None: ...

    class Holder:
        @staticmethod
        @flow
        def fine(n: int) -> int:
            return n

        def bound(self) -> None: ...

    assert Holder.fine(1) == 1
    with pytest.raises(DefinitionError, match="`self` would be part"):
        flow(Holder().bound)

    @flow
    def self_is_only_a_name(self: int) -> int:
        return self

    assert self_is_only_a_name(1) == 1


def _generator() -> Any:
    yield 1


async def _async_generator() -> Any:
    yield 1


REFUSED: list[tuple[Any, str]] = [
    (_generator, "generator"),
    (_async_generator, "generator"),
    (doubled, "is a flow already"),
    ("name", "is no function"),
    (lambda: None, "a flow cannot be called"),
    (functools.partial(print, "x"), "a flow cannot be called"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_what_cannot_be_a_flow_is_refused_at_its_definition(function: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        flow(function)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("name", ["a b", "a/b", "a|b", "1a", "é", "a" * 129, "a[0]"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="a flow cannot be called"):
        flow(name=name)(lambda: None)
    if name != "a[0]":
        with pytest.raises(ArgumentError, match="a pause cannot be called"):
            flow.pause(name)


def test_two_flows_of_one_name_are_refused_and_one_flow_defined_again_is_not() -> None:
    def define() -> Any:
        @flow(name="taken")
        def once() -> None: ...

        return once

    assert define().name == define().name

    @flow(name="twin")
    def one() -> None: ...

    with pytest.raises(DefinitionError, match=r"two flows are called `twin`: .*test_definitions.py:\d+ and"):

        @flow(name="twin")
        def other() -> None: ...

    assert one.name == "twin"


# --- Arguments ----------------------------------------------------------------------------------


@flow
def takes(path: Any, n: int = 0) -> None:
    """Takes anything."""


ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((sys.stderr,), {}, "cannot be recognised by its argument `path`: path: TextIOWrapper|EncodedFile"),
    (({"a": [1, {2}]},), {}, r'argument `path`: path\["a"\]\[1\]: set has no JSON form'),
    ((float("nan"),), {}, "argument `path`: path: nan has no JSON form"),
    ((), {}, "missing a required argument: 'path'"),
    ((1,), {"m": 2}, "unexpected keyword argument 'm'"),
]


@pytest.mark.parametrize(("args", "kwargs", "message"), ARGUMENTS, ids=[m for *_, m in ARGUMENTS])
def test_an_argument_without_a_canonical_form_is_named(args: Any, kwargs: Any, message: str) -> None:
    @flow(name="root")
    def root() -> None:
        takes(*args, **kwargs)

    with pytest.raises(ArgumentError, match=message):
        run(root)


def test_an_argument_that_is_json_may_break_its_annotation() -> None:
    @flow
    def loose(n: int = None) -> str:  # type: ignore[assignment]  # noqa: RUF013
        return f"{n}"

    @flow(name="root")
    def root() -> list[str]:
        return [loose(), loose("x")]  # type: ignore[arg-type]

    assert run(root).output == ["None", "x"]


def test_an_unknown_flow_is_told_with_those_that_are_known() -> None:
    with pytest.raises(FlowNotFound, match="there is no flow `nowhere`"):
        flow.invoke("nowhere")


# --- The package --------------------------------------------------------------------------------


def test_public_names_are_sorted_and_all_there() -> None:
    assert pyhero.__all__ == sorted(pyhero.__all__)
    assert all(getattr(pyhero, name) is not None for name in pyhero.__all__)
    with pytest.raises(AttributeError, match="no attribute `nothing`"):
        _ = pyhero.nothing  # type: ignore[attr-defined]


def test_every_error_is_in_the_tree_and_in_its_drawing() -> None:
    from pyhero import _errors

    classes = {n: c for n, c in vars(_errors).items() if isinstance(c, type) and issubclass(c, Exception)}
    drawing = _errors.__doc__ or ""
    drawn = {line.split("── ")[1].split()[0] for line in drawing.splitlines() if "── " in line}
    assert classes.keys() - {"HeroError"} == drawn
    assert classes.keys() <= set(pyhero.__all__)
    assert all(issubclass(error, pyhero.HeroError) for error in classes.values())


HEAVY = (
    "asyncio",
    "inspect",
    "dataclasses",
    "pydantic",
    "datetime",
    "decimal",
    "traceback",
    "logging",
    "socket",
)


def test_importing_flow_imports_nothing_heavy() -> None:
    code = f"import sys; from pyhero import flow, ask_user; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
