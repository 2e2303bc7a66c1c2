"""Installs the peers from the registries, each into a throw-away environment.

What cannot be installed is a `Missing` with the reason: the report names it instead of dropping it.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import postgres

REQUIREMENTS = Path(__file__).parent / "requirements"
RESTATE_SERVER = "@restatedev/restate-server@1.7.12"


@dataclass(frozen=True)
class Peer:
    """How one peer is run: `python -m bench.peers.<module> <arguments>`."""

    name: str
    environment: str
    module: str
    arguments: tuple[str, ...] = ()
    needs_postgres: bool = False
    needs_restate_server: bool = False


PEERS = (
    Peer("dbos-sqlite", "dbos", "dbos_peer", ("sqlite",)),
    Peer("dbos-postgres", "dbos", "dbos_peer", ("postgres",), needs_postgres=True),
    Peer("absurd", "absurd", "absurd_peer", needs_postgres=True),
    Peer("absurd-tuned", "absurd", "absurd_peer", ("tuned",), needs_postgres=True),
    Peer("restate", "restate", "restate_peer", needs_restate_server=True),
    Peer("langgraph-functional", "langgraph", "langgraph_peer", ("functional",)),
    Peer("langgraph-graph", "langgraph", "langgraph_peer", ("graph",)),
    Peer("prefect", "prefect", "prefect_peer"),
)


class Missing(Exception):
    """The peer cannot be installed here; the text says why."""


def install(peer: Peer, root: Path) -> Path:
    """Installs what the peer needs under *root*, unless it is there; returns its interpreter.

    Raises:
        Missing: a registry, a program or a package is not to be had.
    """
    if peer.needs_postgres:
        try:
            postgres.programs()
        except FileNotFoundError as error:
            raise Missing(str(error)) from error
    home = root / peer.environment
    if peer.needs_restate_server:
        _install_restate_server(home)
    return _environment(peer.environment, home)


def restate_server(home: Path) -> Path:
    """The server program inside the environment of Restate.

    Raises:
        Missing: the package holds none for this machine.
    """
    pattern = "npm/node_modules/@restatedev/restate-server-*/bin/restate-server"
    for program in sorted(home.glob(pattern)):
        return program
    raise Missing(f"{RESTATE_SERVER} holds no server for this machine")


def _environment(name: str, home: Path) -> Path:
    requirements = REQUIREMENTS / f"{name}.txt"
    python, installed = home / "venv/bin/python", home / "installed.txt"
    if installed.exists() and installed.read_text() == requirements.read_text():
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(home / "venv")])
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    shutil.copy(requirements, installed)
    return python


def _install_restate_server(home: Path) -> None:
    if next(home.glob("npm/node_modules/@restatedev/restate-server-*"), None):
        return
    prefix = home / "npm"
    prefix.mkdir(parents=True, exist_ok=True)
    # The programs are inside the packages: no script of a package has to run.
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
    _run(["npm", "install", "--prefix", str(prefix), *quiet, RESTATE_SERVER])
    restate_server(home)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"`{' '.join(command[:4])} …`: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"`{' '.join(command[:4])} …`: {said[-1] if said else f'exit {done.returncode}'}")
