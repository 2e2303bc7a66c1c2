"""What `pip install` of the one wheel brings."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pyhero
import pytest

from support.hero import SCRIPTS, Hero

PROGRAMS = ["hero_logic", "hero_logic_server", "hero_logic_admin"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_wheel_brings_the_program(program: str) -> None:
    path = SCRIPTS / program
    assert path.read_bytes()[:4] == b"\x7fELF" or sys.platform != "linux", "a native program"
    installed = {(Path(str(file.locate()))).resolve() for file in metadata.files("pyhero") or []}
    assert path.resolve() in installed


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_and_package_have_one_version(program: str) -> None:
    told = subprocess.run([SCRIPTS / program, "--version"], capture_output=True, text=True, check=True).stdout
    assert metadata.version("pyhero") in told


def test_the_package_is_typed_and_its_names_are_sorted() -> None:
    assert (Path(pyhero.__file__).parent / "py.typed").exists()
    assert list(pyhero.__all__) == sorted(pyhero.__all__)
    assert all(hasattr(pyhero, name) for name in pyhero.__all__)


def test_the_extension_serves_every_python_from_3_10() -> None:
    (native,) = Path(pyhero.__file__).parent.glob("_native*.so")
    assert ".abi3." in native.name


def test_importing_is_light() -> None:
    """Every launch pays for the import: nothing heavy may come with it."""
    code = "import sys, pyhero; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pydantic", "numpy", "http.client", "ssl"} & set(modules)


def test_a_flow_is_plain_python_outside_a_play() -> None:
    code = "from pyhero import flow\n@flow\ndef double(n: int) -> int:\n    return 2 * n\nprint(double(21))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"


def test_a_play_runs_on_the_python_beside_the_program(hero: Hero) -> None:
    finished = hero.run("@flow\ndef where() -> str:\n    return sys.executable\n")
    assert Path(finished.json()["output_data"]).parent == Path(sys.executable).parent


def test_hero_python_chooses_the_interpreter(hero: Hero) -> None:
    chosen = hero.home / "chosen_python"
    chosen.write_text(f'#!/bin/sh\ntouch "{hero.home}/was_chosen"\nexec "{sys.executable}" "$@"\n')
    chosen.chmod(0o755)
    finished = hero.run("@flow\ndef one() -> int:\n    return 1\n", HERO_PYTHON=str(chosen))
    assert finished.json()["output_data"] == 1
    assert (hero.home / "was_chosen").exists()


def test_a_launch_inherits_no_secret_of_its_supervisor(hero: Hero) -> None:
    finished = hero.run(
        "@flow\ndef looks() -> list:\n    return sorted(os.environ)\n", MY_SECRET="x", PYTHONPATH="/nowhere"
    )
    names = finished.json()["output_data"]
    assert "MY_SECRET" not in names and "PATH" in names and "HERO_PLAY_SID" in names
