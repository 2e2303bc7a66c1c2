"""Steps, in real launches: how a call is recognised, and what is remembered of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from pyhero import _native

from .support import VERSION, Supervisor


def key(parent_path: str, name: str, arguments: dict[str, Any], occurrence: int = 1) -> str:
    """DESIGN's formula in the words of the standard library."""
    canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    text = f"{VERSION}|{parent_path}|{name}|{canonical}" + (f"|#{occurrence}" if occurrence > 1 else "")
    return hashlib.sha1(text.encode()).hexdigest()


def keys_of(supervisor: Supervisor, body: str, steps: str) -> list[str]:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    supervisor.write(f"from pyhero import flow\n{steps}\n@flow\ndef main():\n{lines}\n")
    launch = supervisor.launch()
    assert launch.code == 0, launch.stderr
    return [start["step_key"] for start in launch.of("span_start") if start["kind"] == "step"]


FETCH = """
@flow
def fetch(id: int, q: str = "é") -> None: pass

@flow
def takes(x: object) -> None: pass
"""


def test_the_published_vectors() -> None:
    assert (
        _native.step_key("0001", "main", "fetch", '{"q":"é","id":1}', 1)
        == "6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad"
    )
    assert _native.step_key("0001", "", "main", "{}", 1) == "e4f443fcd52b38f3163d747e5737de2cb3ce6f72"


def test_positional_keyword_and_default_are_one_call_and_equal_calls_are_counted(
    supervisor: Supervisor,
) -> None:
    keys = keys_of(supervisor, 'fetch(1)\nfetch(id=1)\nfetch(q="é", id=1)\nfetch(2)', FETCH)
    same = [key("main", "fetch", {"id": 1, "q": "é"}, n) for n in (1, 2, 3)]
    assert keys == [*same, key("main", "fetch", {"id": 2, "q": "é"})]
    assert keys[0] == "6ba0210c95a2fc08a5dd7d7d8b23dc8841deb7ad"


def test_values_that_differ_are_different_calls(supervisor: Supervisor) -> None:
    values = ["2**53", "2**53 + 1", "1", "1.0", "True", "'1'", "None", "-0.0", "0", "[1]", "(2,)", "{'a': 1}"]
    keys = keys_of(supervisor, "\n".join(f"takes({value})" for value in values), FETCH)
    assert keys == [key("main", "takes", {"x": eval(value)}) for value in values]
    assert len(set(keys)) == len(values)


def test_variable_arguments_are_recognised_by_their_names(supervisor: Supervisor) -> None:
    steps = "@flow\ndef many(*args: int, **named: str) -> None: pass"
    keys = keys_of(supervisor, 'many(1, 2, b="x")', steps)
    assert keys == [key("main", "many", {"args": [1, 2], "b": "x"})]


def test_the_path_of_a_call_names_the_calls_around_it(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def inner() -> None: pass

    @flow
    def outer(n: int) -> None:
        with flow.step("a block is not in the path"):
            inner()

    @flow
    def main() -> None:
        outer(1)
        outer(2)
    """)
    launch = supervisor.launch()
    outers = [key("main", "outer", {"n": n}) for n in (1, 2)]
    outputs = {output["key"]: output for output in launch.of("step_output")}
    for outer in outers:
        inner = outputs[key(f"main/outer:{outer[:8]}", "inner", {})]
        assert inner["parent_path"] == f"main/outer:{outer[:8]}"
        assert inner["span_id"] == inner["key"][:16]
        assert inner["arguments_hash"] == hashlib.sha1(b"{}").hexdigest()
    spans = {start["span_id"]: start for start in launch.of("span_start")}
    inner_span = next(span for span in spans.values() if span["name"] == "inner")
    assert spans[spans[inner_span["parent_id"]]["parent_id"]]["name"] == "outer"
    assert (inner_span["source_file"], inner_span["source_line"]) == ("flow.py", 4)


def test_a_flow_of_another_file_carries_its_module_in_its_name(supervisor: Supervisor) -> None:
    supervisor.write(
        "from pyhero import flow\n@flow\ndef help() -> str:\n    return 'h'\n", "tools/helper.py"
    )
    supervisor.write("""
    from pyhero import flow
    from tools.helper import help

    def factory():
        @flow
        def local() -> str:
            return "l"
        return local

    @flow
    def main() -> str:
        return help() + factory()() + str(flow(sum)([1, 1]))
    """)
    launch = supervisor.launch()
    assert launch.output == "hl2"
    assert launch.steps() == ["tools.helper.help", "factory.local", "builtins.sum"]


# --- What is remembered -------------------------------------------------------------------------


def test_a_replayed_step_is_not_entered_and_neither_is_what_it_calls(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def inner() -> None:
        print("inner")

    @flow
    def outer() -> list:
        print("outer")
        return [inner()]

    @flow
    def main() -> list:
        return [outer(), flow.pause("q")]
    """)
    first = supervisor.launch()
    assert (first.code, first.stdout) == (75, "outer\ninner\n")
    supervisor.answer("q", None)
    second = supervisor.launch()
    assert (second.output, second.stdout) == ([[None], None], "")
    assert second.steps(replayed=True) == ["outer"]
    assert second.steps() == []
    assert second.of("step_output") == []


EXCEPTIONS = [
    ("KeyError('k')", "KeyError", "'k'"),
    ("OSError(2, 'gone', 'a.txt')", "FileNotFoundError", "[Errno 2] gone: 'a.txt'"),
    ("Coded(404, 'lost')", "Coded", "lost (404)"),
    ("Bare()", "Bare", ""),
    ("Odd(handle=object())", "StepFailed", None),
    ("UnicodeDecodeError('utf-8', b'x', 0, 1, 'why')", "StepFailed", None),
    ("local_class()('x')", "StepFailed", "local_class.<locals>.Local: x"),
]


@pytest.mark.parametrize(("expression", "class_name", "message"), EXCEPTIONS, ids=[e for e, *_ in EXCEPTIONS])
def test_an_exception_is_the_same_on_the_first_run_and_on_replay(
    supervisor: Supervisor, expression: str, class_name: str, message: str | None
) -> None:
    supervisor.write(f"""
    from pyhero import flow

    class Bare(Exception): pass

    class Coded(Exception):
        def __init__(self, code, why):
            super().__init__(why)
            self.code = code
        def __str__(self):
            return f"{{self.args[0]}} ({{self.code}})"

    class Odd(Exception):
        def __init__(self, *, handle):
            super().__init__(handle)

    def local_class():
        class Local(Exception): pass
        return Local

    @flow
    def fails() -> None:
        print("fails")
        raise {expression}

    @flow
    def main() -> list:
        try:
            fails()
        except Exception as error:
            print(type(error).__name__, error)
            caught = [type(error).__name__, str(error), getattr(error, "code", None)]
        flow.pause("q")
        return caught
    """)
    first = supervisor.launch()
    supervisor.answer("q", 1)
    second = supervisor.launch()
    assert second.output[0] == class_name
    assert message is None or second.output[1] == message
    assert second.output[2] == (404 if class_name == "Coded" else None)
    assert first.stdout == "fails\n" + second.stdout


@pytest.mark.parametrize(("word", "call"), [("def", "fails()"), ("async def", "await fails()")])
def test_an_unhandled_exception_fails_the_launch_and_tells_where(
    supervisor: Supervisor, word: str, call: str
) -> None:
    supervisor.write(f"""
    from pyhero import flow

    @flow
    {word} fails() -> None:
        raise ValueError("no")

    @flow
    {word} main() -> None:
        {call}
    """)
    for launch in (supervisor.launch(), supervisor.launch()):
        assert launch.code == 1
        assert launch.error["class"] == "builtins:ValueError"
        assert "raise ValueError" in launch.error["traceback"], "also on replay"
        assert "ValueError: no" in launch.stderr
        assert "_step.py" not in launch.stderr
        assert "During handling" not in launch.stderr and "StopIteration" not in launch.stderr


@pytest.mark.parametrize("how", ["raise KeyboardInterrupt", "raise SystemExit(3)", "import os; os._exit(3)"])
def test_what_ends_a_step_from_outside_is_not_remembered(supervisor: Supervisor, how: str) -> None:
    supervisor.write(f"""
    from pyhero import flow

    @flow
    def dies() -> None:
        {how}

    @flow
    def main() -> None:
        dies()
    """)
    launch = supervisor.launch()
    assert launch.code not in (0, 1)
    assert launch.of("step_output") == launch.of("result") == []


def test_time_and_chance_are_recorded(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def main() -> str:
        drawn = f"{flow.now().isoformat()} {flow.uuid4()} {flow.random()!r}"
        print(drawn)
        return flow.pause("q")
    """)
    first = supervisor.launch()
    supervisor.answer("q", "a")
    assert supervisor.launch().stdout == first.stdout


def test_the_idempotency_key_belongs_to_the_step_and_the_play(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def step(n: int) -> str:
        with flow.step("block"):
            assert flow.idempotency_key() == flow.idempotency_key()
        return flow.idempotency_key()

    @flow
    def main() -> list:
        return [flow.idempotency_key(), step(1), step(2), step(1)]
    """)
    keys = supervisor.launch().output
    assert len(set(keys)) == 4
    supervisor.steps.clear()
    assert supervisor.launch().output == keys


def test_what_no_call_asked_for_is_reported(supervisor: Supervisor) -> None:
    supervisor.write("from pyhero import flow\n@flow\ndef main() -> int:\n    return flow.current().launch\n")
    supervisor.steps["never asked for"] = {"returned": 1}
    launch = supervisor.launch()
    assert launch.of("result")[0]["left_over"] == ["never asked for"]


def test_current_tells_the_play(supervisor: Supervisor) -> None:
    supervisor.write("""
    from dataclasses import asdict
    from pyhero import flow

    @flow
    def step() -> int:
        return 1

    @flow
    def main() -> dict:
        before = flow.current().replaying
        step()
        flow.pause("q")
        return {**asdict(flow.current()), "before": before}
    """)
    supervisor.launch()
    supervisor.answer("q", 1)
    assert supervisor.launch().output == {
        "sid": "01play",
        "workflow": "main",
        "version": VERSION,
        "launch": 2,
        "replaying": False,
        "attempt": None,
        "before": True,
    }


# --- Branches -----------------------------------------------------------------------------------


def test_async_steps_overlap_and_keep_their_memory_apart(supervisor: Supervisor) -> None:
    supervisor.write("""
    import asyncio
    from pyhero import flow

    at_once = 0

    @flow
    async def inner(n: int) -> int:
        global at_once
        at_once += 1
        print("inner", n)
        while at_once < 3:
            await asyncio.sleep(0.001)
        return n

    @flow
    async def outer(n: int) -> int:
        return 10 * await inner(n)

    @flow
    async def later(n: int) -> int:
        return n

    @flow
    async def main() -> list:
        tens = await asyncio.gather(*(outer(n) for n in (3, 1, 2)))
        return [*tens, flow.pause("q"), await flow.invoke("later", n=4)]
    """)
    supervisor.launch()
    supervisor.answer("q", 0)
    second = supervisor.launch()
    assert second.output == [30, 10, 20, 0, 4]
    assert second.steps(replayed=True) == ["outer"] * 3
    (subflow,) = [start for start in second.of("span_start") if start["kind"] == "subflow"]
    assert subflow["name"] == "later"


def test_a_plain_thread_stands_in_the_root_flow(supervisor: Supervisor) -> None:
    supervisor.write("""
    from concurrent.futures import ThreadPoolExecutor
    from pyhero import flow

    @flow
    def work(n: int) -> int:
        return n * n

    @flow
    def main() -> list[int]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(work, range(50)))
    """)
    launch = supervisor.launch()
    assert launch.output == [n * n for n in range(50)]
    assert {output["parent_path"] for output in launch.of("step_output")} == {"main"}


def test_a_forked_process_is_no_part_of_the_play(supervisor: Supervisor) -> None:
    supervisor.write("""
    import os
    from pyhero import flow

    @flow
    def work() -> int:
        return 7

    @flow
    def main() -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(work())
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """)
    launch = supervisor.launch()
    assert (launch.output, launch.steps()) == (7, [])


# --- What a flow says ---------------------------------------------------------------------------


def test_logs_tags_and_blocks_belong_to_their_span(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def main() -> None:
        try:
            with flow.step("load"):
                flow.log("one\\ntwo", "warning")
                flow.annotate(cost_usd=0.25, model="m")
                flow.progress(1, 2)
                raise ValueError("x")
        except ValueError:
            pass
    """)
    launch = supervisor.launch()
    block = next(start for start in launch.of("span_start") if start["name"] == "load")
    assert "step_key" not in block
    assert [(log["text"], log["level"], log["span_id"]) for log in launch.of("span_log")] == [
        ("one", "warning", block["span_id"]),
        ("two", "warning", block["span_id"]),
    ]
    tags = [tag["tags"] for tag in launch.of("span_tag")]
    assert tags == [{"model": "m", "cost_usd": 0.25}, {"progress": {"done": 1, "total": 2}}]
    (end,) = launch.of("span_end")
    assert (end["status"], end["error"]["message"]) == ("failed", "x")
