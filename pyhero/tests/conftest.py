"""Fixtures of the package's own tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyhero import Client

from .support import Supervisor

SERVER = Path(sysconfig.get_path("scripts")) / "hero_logic_server"


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    """A supervisor with an empty memory."""
    return Supervisor(tmp_path)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server that is really there, with a data directory of its own."""
    home = tmp_path_factory.mktemp("hero")
    environment = {"HERO_HOME": str(home), "HERO_PYTHON": sys.executable}
    with open(home / "log", "w") as log:
        server = subprocess.Popen([SERVER], env={**os.environ, **environment}, stdout=log, stderr=log)
    client = Client(home / "var/sockets/hero_logic/rpc.sock")
    deadline = time.monotonic() + 30
    while not Path(client.socket).exists():
        assert server.poll() is None, (home / "log").read_text()
        assert time.monotonic() < deadline, "the server does not listen"
    yield client
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=30)
