"""Random programs come to the same result however often they are interrupted, and do everything once.

`HERO_TORTURE=1` makes up 10,000 and not 320; `HERO_SEED=n` repeats the run that printed it.
"""

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pyhero import testing

from faults.counts import SEED, faults

from .effects import check_replays, launches
from .generator import Program, program

N_PROGRAMS = faults(320, 10_000)
CHUNKS = 16
AGAIN = f"again: HERO_SEED={SEED} target/venv/bin/pytest tests/programs"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs_end_the_same_and_do_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    for number in range(chunk, N_PROGRAMS, CHUNKS):
        directory = tmp_path / str(number)
        directory.mkdir()
        monkeypatch.chdir(directory)
        check(program(f"{SEED} {number}"), directory)


def check(made: Program, directory: Path) -> None:
    """Plain Python, a run in one go and a run that is interrupted everywhere must agree."""
    try:
        module = loaded(made, directory)
        expected = plainly(module, made)
        result = testing.run(module.root, {"x": made.x}, made.prefill, replay="after_every_step")
        assert result.output == expected
        n_remembered = len(result.steps) + len(result.pauses)
        check_replays(launches(directory), n_remembered, is_concurrent=made.is_concurrent)
    except Exception as error:
        raise AssertionError(f"of the program that `generator.py '{made.seed}'` prints; {AGAIN}") from error


def loaded(made: Program, directory: Path) -> ModuleType:
    """The program as a module."""
    file = directory / "flow.py"
    file.write_text(made.source)
    spec = importlib.util.spec_from_file_location("made_up_program", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def plainly(module: ModuleType, made: Program) -> object:
    """What the program returns where nothing is a play."""
    output = module.root.function(made.x)
    return asyncio.run(output) if asyncio.iscoroutine(output) else output


def test_the_programs_are_of_every_kind() -> None:
    made = [program(f"kinds {number}") for number in range(200)]
    sources = "".join(program.source for program in made)
    for word in ("gather(", "in_threads(pool", "to_thread(", "except", "finally", "while "):
        assert sources.count(word) > 20, word
    for word in (
        "flow.map(",
        "flow.parallel(",
        'ask("q',
        "flow.invoke(",
        "falls(x - 1)",
        "flow.now()",
        "for i",
        "create_task(",
    ):
        assert sources.count(word) > 20, word
    assert 50 < sum(program.is_concurrent for program in made) < 190
