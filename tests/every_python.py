"""Runs the unit tests of pyhero under every CPython from 3.10 on that this machine has.

    python every_python.py WHEELS ENVIRONMENTS TESTS

There is one wheel for all of them; each gets an environment of its own under ENVIRONMENTS.
"""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 10), (3, 13)
VERSIONS = [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]


def interpreters() -> dict[str, Path]:
    """Version → interpreter: the one that runs this, else what is on the PATH, else pyenv's."""
    found: dict[str, Path] = {}
    for python in [Path(sys.executable), *_on_path(), *_of_pyenv()]:
        if (version := _version_of(python)) in VERSIONS:
            found.setdefault(version, python)
    return found


def _on_path() -> list[Path]:
    paths = [shutil.which(f"python{version}") for version in VERSIONS]
    return [Path(path) for path in paths if path]


def _of_pyenv() -> list[Path]:
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))]
    # The interpreter that runs this may itself be one of pyenv's, installed under another home.
    roots += [parent for parent in Path(os.path.realpath(sys.executable)).parents if parent.name == ".pyenv"]
    return [python for root in roots for python in sorted(root.glob("versions/3.*/bin/python3"))]


def _version_of(python: Path) -> str | None:
    ask = "import platform; print(*platform.python_version_tuple()[:2], platform.python_implementation())"
    try:
        told = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=30)
    except OSError:
        return None
    if told.returncode != 0:
        return None  # A pyenv shim of a version that is not switched on.
    major, minor, implementation = told.stdout.split()
    return f"{major}.{minor}" if implementation == "CPython" else None


def environment(python: Path, version: str, wheel: Path, under: Path) -> Path:
    """An environment with pytest and this wheel; returns its interpreter."""
    directory = under / version
    inside = directory / "bin/python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", directory], check=True)
    installed = directory / "pyhero.whl"
    if not (installed.exists() and filecmp.cmp(wheel, installed, shallow=False)):
        for what in (["pytest", "pydantic"], ["--force-reinstall", "--no-deps", str(wheel)]):
            subprocess.run([inside, "-m", "pip", "install", "--quiet", *what], check=True)
        shutil.copyfile(wheel, installed)
    return inside


def main() -> int:
    wheels, under, tests = (Path(argument) for argument in sys.argv[1:])
    (wheel,) = wheels.glob("pyhero-*.whl")
    failed: list[str] = []
    for version, python in sorted(interpreters().items(), key=lambda item: VERSIONS.index(item[0])):
        print(f"--- pyhero under CPython {version}", flush=True)
        inside = environment(python, version, wheel.resolve(), under)
        if (
            subprocess.run([inside, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", tests]).returncode
            != 0
        ):
            failed.append(version)
    missing = sorted(set(VERSIONS) - set(interpreters()))
    if missing:
        print(f"not on this machine, and therefore not tested: CPython {', '.join(missing)}")
    if failed:
        print(f"failed under CPython {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
