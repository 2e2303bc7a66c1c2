"""Launches without the start of an interpreter: `python -m pyhero._fork_server BUNDLE_DIR`, started by the
supervisor with a socket as standard input (`schema/PROTOCOL.md`, the fork server).

This process imports `pyhero` and what the files of a bundle import at their top, and then only forks. Each
fork waits on the shared socket for a launch and becomes its process; the files of the bundle themselves run
there, so what they keep at module level is new in every launch.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING

from . import _child, _native

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

READY_MAX = 2
"""How many forks wait for a launch, which then costs no fork. Each takes little memory."""

FORK_AGAIN_MS = 250
"""How long it waits before it forks again where the machine had no room for another process."""

FAILED_FORKS_MAX = 5
"""How many forks in a row may die before they take a launch. Then something is wrong with this process, such
as an installation that was replaced under it."""

MESSAGE_BYTES_MAX = 256 * 1024
"""The longest launch: environment and working directory."""


def main(bundle_dir: str) -> int:
    """Serves until the supervisor closes its end of the socket. In a launch it returns the exit code."""
    _child.close_inherited_files()
    control = socket.socket(fileno=os.dup(0))
    _replace(0, os.open(os.devnull, os.O_RDONLY))
    _import_ahead(bundle_dir)
    n_threads = len(os.listdir("/proc/self/task"))
    if n_threads > 1:
        _tell(control, unfit=f"what its files import has started {n_threads - 1} threads")
        return 0
    # What was imported is never freed: the collector need not touch it, so the forks go on sharing it.
    gc.collect()
    gc.freeze()
    _tell(control, ready=os.getpid())
    return Server(control).serve()


class Server:
    """Keeps forks ready, and tells the supervisor how those ended that became launches."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.ready: set[int] = set()
        self.n_failed = 0
        # A fork that has taken a launch writes its pid here, in one piece.
        self.taken, self.taking = os.pipe()
        self.died, self.dying = os.pipe()
        os.set_blocking(self.taken, False)
        os.set_blocking(self.died, False)
        os.set_blocking(self.dying, False)
        signal.set_wakeup_fd(self.dying, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> int:
        events = select.poll()
        events.register(self.taken, select.POLLIN)
        events.register(self.died, select.POLLIN)
        events.register(self.control, 0)  # its end is told without being asked for
        while True:
            while len(self.ready) < READY_MAX and self.n_failed <= FAILED_FORKS_MAX:
                try:
                    pid = os.fork()
                except OSError:  # no room for another process; launches that run must not end with this one
                    break
                if pid == 0:
                    return self._wait_for_launch()
                self.ready.add(pid)
            for fd, _ in events.poll(None if len(self.ready) == READY_MAX else FORK_AGAIN_MS):
                if fd == self.taken:
                    self._note_taken()
                elif fd == self.died:
                    self._reap()
                else:
                    return 0

    def _note_taken(self) -> None:
        try:
            pids = os.read(self.taken, 4096)
        except BlockingIOError:
            return
        for at in range(0, len(pids), 4):
            self.ready.discard(int.from_bytes(pids[at : at + 4], "little"))
            self.n_failed = 0

    def _reap(self) -> None:
        os.read(self.died, 4096)
        self._note_taken()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.ready:
                self.ready.discard(pid)
                self._note_failed()
            _tell(self.control, ended=pid, status=status)

    def _note_failed(self) -> None:
        """After too many it forks no more, and stays for the launches that run: they end with it."""
        self.n_failed += 1
        if self.n_failed == FAILED_FORKS_MAX + 1:
            _tell(self.control, unfit=f"{self.n_failed} of its forks in a row died before a launch")

    def _wait_for_launch(self) -> int:
        """In a fork: becomes the launch that comes. Returns its exit code."""
        _native.die_with_the_parent()
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        (number, cwd, *env), out, err = _receive(self.control)
        os.write(self.taking, os.getpid().to_bytes(4, "little"))
        _tell(self.control, launch=int(number), pid=os.getpid())
        self.control.close()
        for fd in (self.taken, self.taking, self.died, self.dying):
            os.close(fd)
        _replace(1, out)
        _replace(2, err)
        os.environ.clear()
        for name, _, value in (variable.partition(b"=") for variable in env):
            os.environb[name] = value
        os.chdir(cwd)
        return _child.main()


def _receive(control: socket.socket) -> tuple[list[bytes], int, int]:
    message, fds, _, _ = socket.recv_fds(control, MESSAGE_BYTES_MAX, 2)
    if not message:  # the supervisor is gone
        os._exit(0)
    return message.split(b"\0"), fds[0], fds[1]


def _replace(fd: int, by: int) -> None:
    os.dup2(by, fd)
    os.close(by)


def _tell(control: socket.socket, **fields: object) -> None:
    try:
        control.send(json.dumps(fields).encode())
    except OSError:  # the supervisor is gone, and takes this process with it
        os._exit(0)


def _import_ahead(bundle_dir: str) -> None:
    """Imports what a launch will, except the files of the bundle. What cannot be imported is left for the
    launch, which says so in its own words."""
    import importlib

    for name in (*_OWN_MODULES, *_imports_of(bundle_dir)):
        try:
            importlib.import_module(name)
        except BaseException:
            continue


_OWN_MODULES = (
    "pyhero._flow_api",
    "pyhero._ask_user",
    "pyhero._recorded",
    "pyhero._codec",
    "inspect",
    "linecache",
    "traceback",
    "typing",
)


def _imports_of(bundle_dir: str) -> list[str]:
    """The modules that the files of a bundle name at their top, and `asyncio` where a function is async."""
    import ast

    found: dict[str, None] = {}
    local: set[str] = set()
    for path in _files(bundle_dir):
        local.add(os.path.relpath(path, bundle_dir).split(os.sep)[0].removesuffix(".py"))
        with open(path, encoding="utf-8") as file:
            try:
                tree = ast.parse(file.read())
            except (SyntaxError, ValueError):
                continue
        found.update(dict.fromkeys(_named_in(tree.body)))
        if any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree)):
            found["asyncio"] = None
    return [name for name in found if name.split(".")[0] not in local]


def _files(bundle_dir: str) -> Iterator[str]:
    for folder, _, names in os.walk(bundle_dir):
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".py"))


def _named_in(body: list[ast.stmt]) -> Iterator[str]:
    import ast

    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
        elif isinstance(node, ast.Try):
            yield from _named_in(node.body)


if __name__ == "__main__":
    _child.end_process(main(sys.argv[1]))
