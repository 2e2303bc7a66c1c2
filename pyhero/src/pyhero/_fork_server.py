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
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING

from . import _child, _native
from ._rehearsal import rehearse

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

READY_MAX = 2
"""How many forks wait for a launch, which then costs no fork. Each takes little memory."""

BUSY_MAX = 8
"""How many there may be while launches wait for forks: these come in turn with what runs already."""

QUIET_MS = 5
"""How long nothing happens before it forks for launches to come: those that begin need the processors now."""

REHEARSALS = 20
"""How often it rehearses: the interpreter changes code that runs often, which is better done once for all
forks than by each in memory of its own."""

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
    _compile_ahead(bundle_dir)
    for _ in range(REHEARSALS):
        rehearse(n_steps=2)
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
        is_quiet = True
        while True:
            has_room = True
            while len(self.ready) < self._wanted(is_quiet=is_quiet):
                try:
                    pid = os.fork()
                except OSError:  # no room for another process; launches that run must not end with this one
                    has_room = False
                    break
                if pid == 0:
                    return self._wait_for_launch()
                self.ready.add(pid)
            news = events.poll(self._wait_ms(has_room=has_room))
            is_quiet = not news
            for fd, _ in news:
                if fd == self.taken:
                    self._note_taken()
                elif fd == self.died:
                    self._reap()
                else:
                    return 0

    def _wait_ms(self, *, has_room: bool) -> int | None:
        """How long nothing may happen before it looks whether to fork; None where that waits for news."""
        if self.n_failed > FAILED_FORKS_MAX or len(self.ready) >= READY_MAX:
            return None
        return QUIET_MS if has_room else FORK_AGAIN_MS

    def _wanted(self, *, is_quiet: bool) -> int:
        """How many forks there are to be that have taken no launch, as far as it has heard."""
        if self.n_failed > FAILED_FORKS_MAX:
            return 0
        if _is_waiting(self.control):
            return BUSY_MAX
        return READY_MAX if is_quiet else 1

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
        _child.leave_last_words()
        if not _is_waiting(self.control):
            rehearse(n_steps=1)
            _set_environment(dict(os.environb))
        (number, cwd, *env), out, err = _receive(self.control)
        os.write(self.taking, os.getpid().to_bytes(4, "little"))
        _tell(self.control, launch=int(number), pid=os.getpid())
        self.control.close()
        for fd in (self.taken, self.taking, self.died, self.dying):
            os.close(fd)
        _replace(1, out)
        _replace(2, err)
        _set_environment(dict(variable.split(b"=", 1) for variable in env))
        os.chdir(cwd)
        return _child.launch()


def _set_environment(variables: dict[bytes, bytes]) -> None:
    """Most of them are those of the fork server."""
    environ = os.environb
    for name in environ.keys() - variables.keys():
        del environ[name]
    for name, value in variables.items():
        if environ.get(name) != value:
            environ[name] = value


def _is_waiting(control: socket.socket) -> bool:
    """Whether a launch waits for a fork. Another one may be quicker to take it."""
    try:
        return bool(control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:  # nothing is there, or nobody
        return False


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


def _compile_ahead(bundle_dir: str) -> None:
    """Compiles the files of the bundle. One that cannot be is left for the launch."""
    for path in _files(bundle_dir):
        try:
            code = SourceFileLoader("", path).get_code("")
        except BaseException:
            continue
        if code is not None:
            _child.compiled[path] = code


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
