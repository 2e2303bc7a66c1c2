"""A PostgreSQL server of the distribution, on loopback, in a directory of its own.

Its settings are those of `initdb`: `fsync` and `synchronous_commit` are on.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..measuring import free_port

CONNECTIONS_MAX = 200
PROGRAMS = ("initdb", "pg_ctl", "psql")


@dataclass(frozen=True)
class Postgres:
    """A running server with one database."""

    directory: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://bench@127.0.0.1:{self.port}/bench"

    @property
    def pid(self) -> int:
        """The first of its processes."""
        return int((self.directory / "postmaster.pid").read_text().split()[0])

    def ask(self, query: str, database: str = "bench") -> str:
        """The answer of one query, as plain text."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "-d", database]
        asked = [str(programs() / "psql"), *where, "-Atc", query]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    def data_bytes(self) -> int:
        """The size of the database, its log of writes not counted."""
        self.ask("checkpoint")
        return int(self.ask("select pg_database_size('bench')"))


def programs() -> Path:
    """The directory of the server programs.

    Raises:
        FileNotFoundError: PostgreSQL's server is not installed.
    """
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), Path(shutil.which("initdb") or "/nowhere").parent]
    usable = [folder for folder in found if all((folder / name).exists() for name in PROGRAMS)]
    if not usable:
        raise FileNotFoundError("no server programs of PostgreSQL (Debian: apt install postgresql)")
    return usable[0]


@contextmanager
def running(directory: Path) -> Iterator[Postgres]:
    """A fresh server in *directory*, which ends with the block."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    _own(directory)
    server = Postgres(directory, free_port())
    _as_owner("initdb", "-D", str(directory), "-A", "trust", "-U", "bench")
    options = (
        f"-c listen_addresses=127.0.0.1 -c port={server.port} "
        f"-c unix_socket_directories= -c max_connections={CONNECTIONS_MAX}"
    )
    control = ("pg_ctl", "-D", str(directory), "-w")
    _as_owner(*control, "-l", str(directory / "server.log"), "-o", options, "start")
    try:
        server.ask("create database bench", database="postgres")
        yield server
    finally:
        _as_owner(*control, "-m", "immediate", "stop")


def _owner() -> str:
    """The server refuses to run as root."""
    return "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def _own(directory: Path) -> None:
    if os.getuid() == 0:
        owner = pwd.getpwnam(_owner())
        os.chown(directory, owner.pw_uid, owner.pw_gid)


def _as_owner(program: str, *arguments: str) -> None:
    command = [str(programs() / program), *arguments]
    if os.getuid() == 0:
        command = ["runuser", "-u", _owner(), "--", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
