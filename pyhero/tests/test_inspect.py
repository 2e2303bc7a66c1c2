"""The inspector: what it reads off a file, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from pyhero._inspect.__main__ import inspect
from pyhero._inspect.problem import Problem
from pyhero._inspect.sources import sources_of
from pyhero._native import check_answer


def write(directory: Path, files: dict[str, str]) -> str:
    for name, source in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
    return str(directory / "flow.py")


FLOW = "from pyhero import flow\n"

ROOTS = {
    "the only flow": (FLOW + "@flow\ndef only(): ...\n", None, "only"),
    "an async flow": (FLOW + "@flow\nasync def only(): ...\n", None, "only"),
    "a name of its own": (FLOW + "@flow(name='its-own')\ndef only(): ...\n", None, "its-own"),
    "what is not called": (FLOW + "@flow\ndef step(): ...\n@flow\ndef root(): step()\n", None, "root"),
    "what is not passed on": (
        FLOW + "@flow\ndef step(): ...\n@flow\ndef root(): return map(step, [])\n",
        None,
        "root",
    ),
    "what is not invoked": (
        FLOW + "@flow\ndef step(): ...\n@flow\ndef root(): flow.invoke('step')\n",
        None,
        "root",
    ),
    "recursion does not count": (FLOW + "@flow\ndef root(n): return root(n - 1)\n", None, "root"),
    "the main guard does not count": (
        FLOW + "@flow\ndef root(): ...\nif __name__ == '__main__':\n    root()\n",
        None,
        "root",
    ),
    "a parameter of the name does not count": (
        FLOW
        + "@flow\ndef root(step): return step\n@flow\ndef step(root): return root\n@flow\ndef main(): ...",
        None,
        "main",
    ),
    "main of several": (FLOW + "@flow\ndef a(): ...\n@flow\ndef main(): ...\n", None, "main"),
    "what is asked for": (FLOW + "@flow\ndef step(): ...\n@flow\ndef root(): step()\n", "step", "step"),
    "by either name": (FLOW + "@flow(name='x')\ndef one(): ...\n@flow\ndef two(): ...\n", "one", "x"),
    "import pyhero": ("import pyhero\n@pyhero.flow\ndef only(): ...\n", None, "only"),
    "import pyhero as": ("import pyhero as p\n@p.flow(outputs={})\ndef only(): ...\n", None, "only"),
    "import flow as": ("from pyhero import flow as f\n@f\ndef only(): ...\n", None, "only"),
    "import star": ("from pyhero import *\n@flow\ndef only(): ...\n", None, "only"),
    "another decorator on top": (
        FLOW + "import functools\n@functools.cache\n@flow\ndef only(): ...\n",
        None,
        "only",
    ),
    "only the other's flow": (
        FLOW + "from x import flow as g\n@g\ndef no(): ...\n@flow\ndef yes(): ...\n",
        None,
        "yes",
    ),
    "in a branch": (FLOW + "try:\n    @flow\n    def only(): ...\nexcept E: ...\n", None, "only"),
    "a cycle with main": (FLOW + "@flow\ndef main(): a()\n@flow\ndef a(): main()\n", None, "main"),
}


@pytest.mark.parametrize("what", ROOTS)
def test_the_root_flow_is_found(tmp_path: Path, what: str) -> None:
    source, wanted, name = ROOTS[what]
    assert inspect(write(tmp_path, {"flow.py": source}), wanted)["bundle"]["flow"] == name


PROBLEMS = {
    "no file": (None, None, "failed to read", "check the path"),
    "a syntax error": ("def (:\n", None, "line 1: invalid syntax", "correct the syntax"),
    "not utf-8": (b"\xff", None, "is not UTF-8", None),
    "a nul byte": ("a = '\0'", None, "", None),
    "no flow": ("x = 1\n", None, "there is no flow in", "decorate a function"),
    "no flow of ours": ("from prefect import flow\n@flow\ndef f(): ...\n", None, "there is no flow in", None),
    "two roots": (
        FLOW + "@flow\ndef a(): ...\n@flow\ndef b(): ...\n",
        None,
        "2 flows that could be meant: `a`, `b`",
        ":a",
    ),
    "an unknown name": (FLOW + "@flow\ndef a(): ...\n", "b", "there is no flow `b`", "its flows are `a`"),
    "twins": (
        FLOW + "@flow(name='x')\ndef a(): ...\n@flow(name='x')\ndef b(): ...\n",
        None,
        "on lines 3 and 5",
        "name one",
    ),
    "a relative import": (
        FLOW + "from . import x\n@flow\ndef a(): ...\n",
        None,
        "imports relatively",
        "by its name",
    ),
}


@pytest.mark.parametrize("what", PROBLEMS)
def test_what_cannot_be_run_is_told_with_a_hint(tmp_path: Path, what: str) -> None:
    source, wanted, message, hint = PROBLEMS[what]
    path = tmp_path / "flow.py"
    if source is not None:
        path.write_bytes(source.encode() if isinstance(source, str) else source)
    with pytest.raises(Problem) as caught:
        inspect(str(path), wanted)
    assert message in caught.value.message
    assert hint is None or (caught.value.hint and hint in caught.value.hint)


def test_the_program_prints_one_json_object_and_never_runs_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"flow.py": "raise SystemExit('ran')\n" + FLOW + "@flow\ndef only(): ...\n"})
    command = [sys.executable, "-m", "pyhero._inspect", path]
    good = subprocess.run(command, capture_output=True, text=True)
    assert (good.returncode, good.stderr, json.loads(good.stdout)["bundle"]["entry"]) == (0, "", "flow.py")
    bad = subprocess.run([*command, "nothing"], capture_output=True, text=True)
    assert (bad.returncode, bad.stderr) == (2, "")
    assert json.loads(bad.stdout)["error"].keys() == {"message", "hint"}
    assert subprocess.run(command[:-1], capture_output=True).returncode == 2


def test_the_bundle_is_what_the_file_imports_and_what_that_imports(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "flow.py": FLOW
            + "import json, helper\nfrom pkg.deep import tool\n@flow\ndef root(): import late\n",
            "helper.py": "from pkg import sibling\n",
            "late.py": "",
            "unused.py": "",
            "json/__init__.py": "",
            "pkg/__init__.py": "",
            "pkg/sibling.py": "from . import cousin\n",
            "pkg/cousin.py": "from .deep.tool import x\n",
            "pkg/unused.py": "",
            "pkg/deep/tool.py": "from .. import up\nx = 1\n",
            "pkg/up.py": "",
        },
    )
    bundle = inspect(path, None)["bundle"]
    assert sorted(bundle["files"]) == [
        "flow.py",
        "helper.py",
        "json/__init__.py",
        "late.py",
        "pkg/__init__.py",
        "pkg/cousin.py",
        "pkg/deep/tool.py",
        "pkg/sibling.py",
        "pkg/up.py",
    ]
    assert bundle["files"]["pkg/deep/tool.py"] == "from .. import up\nx = 1\n"


def test_a_flow_that_another_file_uses_is_no_root(tmp_path: Path) -> None:
    files = {
        "flow.py": FLOW + "import helper\n@flow\ndef used(): ...\n@flow\ndef root(): helper.go()\n",
        "helper.py": "def go():\n    import flow\n    flow.used()\n",
    }
    assert inspect(write(tmp_path, files), None)["bundle"]["flow"] == "root"


def test_a_syntax_error_in_a_module_names_that_file(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"flow.py": FLOW + "import helper\n@flow\ndef f(): ...\n", "helper.py": "def (:\n"}
    )
    with pytest.raises(Problem, match=r"helper.py` line 1"):
        inspect(path, None)


# --- Signatures ---------------------------------------------------------------------------------

TYPES = """
from __future__ import annotations
import datetime as dt, enum, typing as t
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal, NamedTuple, Optional, TypedDict, Union
from pyhero import flow
from models import Order

Size = Literal["s", "m"]
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
class Movie(TypedDict):
    title: str
    year: t.NotRequired[int]
class Point(NamedTuple):
    x: int
    y: int = 0
@dataclass
class Node:
    value: int
    next: Node | None = None
    hidden: int = field(init=False)
    tags: list[str] = field(default_factory=list)
@dataclass
class Sub(Node):
    more: int

@flow
def root(value: %s): ...
"""

ANNOTATIONS: list[tuple[str, list[Any], list[Any]]] = [
    ("int", [1, -5], [1.5, "1", None, True]),
    ("float", [1, 1.5], ["1", None]),
    ("str", [""], [1]),
    ("bool", [True], [1, "true"]),
    ("None", [None], [0]),
    ("list[int]", [[], [1]], [["a"], {}]),
    ("t.List[int]", [[1]], [["a"]]),
    ("dict[str, int]", [{"a": 1}], [{"a": "b"}, []]),
    ("tuple[int, str]", [[1, "a"]], [[1], [1, 2], [1, "a", 2]]),
    ("tuple[int, ...]", [[], [1, 2]], [["a"]]),
    ("set[str]", [["a"]], [[1]]),
    ("Optional[int]", [None, 1], ["a"]),
    ("int | str | None", [None, 1, "a"], [1.5]),
    ("Union[int, list[str]]", [1, ["a"]], ["a", [1]]),
    ("'int | None'", [None, 1], ["a"]),
    ("Literal['a', 1]", ["a", 1], ["b", 2]),
    ("Size", ["s"], ["xl"]),
    ("Colour", ["red"], ["green"]),
    ("Movie", [{"title": "a"}, {"title": "a", "year": 1}], [{}, {"title": 1}, {"title": "a", "x": 1}]),
    ("Point", [{"x": 1}], [{"y": 1}]),
    (
        "Node",
        [{"value": 1}, {"value": 1, "next": {"value": "anything"}}],
        [{}, {"value": "a"}, {"value": 1, "x": 1}],
    ),
    ("Order", [{"amount": 1.5, "item": {"name": "a"}}], [{"amount": 1.5, "item": {"name": 1}}]),
    ("list[Order]", [[]], [[{}]]),
    ("Sub", [{"anything": 1}], [1]),
    ("Path", ["a"], [1]),
    ("dt.datetime", ["2026-01-01"], [1]),
    ("Decimal", ["1.5", 1.5], [[]]),
    ("Unknown", [1, "a", None, {}], []),
    ("Unknown | None", [1, "a", None], []),
    ("t.Any", [1, None], []),
    ("object", [1, None], []),
]


@pytest.mark.parametrize(("annotation", "fitting", "misfits"), ANNOTATIONS, ids=[a for a, *_ in ANNOTATIONS])
def test_an_annotation_becomes_a_schema(
    tmp_path: Path, annotation: str, fitting: list[Any], misfits: list[Any]
) -> None:
    models = """
    import dataclasses
    import typing as t
    class Item(t.TypedDict):
        name: str
    @dataclasses.dataclass
    class Order:
        amount: float
        item: Item
    """
    path = write(tmp_path, {"flow.py": TYPES % annotation, "models.py": models})
    schema = json.dumps(inspect(path, "root")["signature"]["input_schema"])
    for value in fitting:
        assert check_answer(schema, json.dumps({"value": value})) is None, value
    for value in misfits:
        assert check_answer(schema, json.dumps({"value": value})) is not None, value


def test_a_signature_tells_parameters_defaults_and_outputs(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "flow.py": '''
            from pyhero import flow
            LIMIT = 3

            @flow(outputs={"url": str, "count": int})
            def root(a: int, /, b: str = "x", *more: float, c: list[int] | None = None, d=LIMIT, **r: bool):
                """Does
                it all.

                At length.

                Args:
                    a: How many
                        there are.
                    b (str): What.
                """
            '''
        },
    )
    signature = inspect(path, None)["signature"]
    assert signature["description"] == "Does it all."
    assert signature["inputs"] == [
        {"name": "a", "field_type": "integer", "description": "How many there are.", "required": True},
        {"name": "b", "field_type": "string", "description": "What.", "required": False, "default": "x"},
        {"name": "c", "field_type": "array", "description": "", "required": False, "default": None},
        {"name": "d", "field_type": None, "description": "", "required": False},
        {"name": "more", "field_type": "array", "description": "", "required": False},
    ]
    assert [(o["name"], o["field_type"], o["required"]) for o in signature["outputs"]] == [
        ("url", "string", True),
        ("count", "integer", True),
    ]
    schema = signature["input_schema"]
    assert schema["required"] == ["a"]
    assert schema["additionalProperties"] == {"type": "boolean"}
    assert signature["output_schema"] == {
        "type": "object",
        "properties": {"url": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["url", "count"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("returns", "schema"),
    [("-> list[int]", {"type": "array", "items": {"type": "integer"}}), ("-> Unknown", None), ("", None)],
)
def test_a_signature_tells_what_is_returned(
    tmp_path: Path, returns: str, schema: dict[str, object] | None
) -> None:
    path = write(tmp_path, {"flow.py": f"{FLOW}@flow\ndef root(){returns}: ...\n"})
    assert inspect(path, None)["signature"]["output_schema"] == schema


SOURCES = """
from pyhero import flow
import other

@flow(
    name="given",
)
def first():
    @flow
    def inner(): return 1
    return inner()

if True:
    async def helper(): pass

@flow
def last(): pass"""


def test_the_hash_of_a_source_is_that_of_a_launch(tmp_path: Path) -> None:
    path = write(tmp_path, {"flow.py": SOURCES, "other.py": "class A:\n    def method(self): pass\n"})
    sources = sources_of(path)
    assert set(sources) == {"given", "first.inner", "helper", "last", "other.A.method"}
    spec = importlib.util.spec_from_file_location("flow_of_hashes", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["other"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["other"]
    assert [module.first.source_hash] == sources["given"]
    assert [module.last.source_hash] == sources["last"]


ENVS = {
    "none": ("@flow", []),
    "a list": ("@flow(env=['API_KEY', 'b', 'API_KEY'])", ["API_KEY", "b"]),
    "a tuple": ("@flow(env=('A',))", ["A"]),
}


@pytest.mark.parametrize("env", ENVS)
def test_a_signature_tells_the_variables_that_are_asked_for(tmp_path: Path, env: str) -> None:
    decorator, names = ENVS[env]
    path = write(tmp_path, {"flow.py": f"{FLOW}NAMES = []\n{decorator}\ndef root(): ...\n"})
    assert inspect(path, None)["signature"]["env"] == names


@pytest.mark.parametrize("env", ["NAMES", "'A'", "[1]", "['A', NAMES]", "['A=b']", "['A'] + ['B']", "None"])
def test_variables_that_are_not_written_out_are_refused(tmp_path: Path, env: str) -> None:
    path = write(tmp_path, {"flow.py": f"{FLOW}NAMES = []\n@flow(env={env})\ndef root(): ...\n"})
    with pytest.raises(Problem, match="`env` of flow `root` is no list of the names of variables") as caught:
        inspect(path, None)
    assert 'env=["API_KEY"]' in (caught.value.hint or "")


def test_without_variable_keywords_unknown_inputs_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"flow.py": FLOW + "@flow\ndef root(a=1): ...\n"})
    schema = inspect(path, None)["signature"]["input_schema"]
    assert schema == {
        "type": "object",
        "properties": {"a": {}},
        "required": [],
        "additionalProperties": False,
    }
