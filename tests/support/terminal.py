"""A terminal for the command line, as a person would have it."""

import os
import pty
import select
import subprocess
import time

from .hero import SCRIPTS, Hero


class Terminal:
    """`hero_logic` on a terminal of its own, as a person would use it."""

    def __init__(self, hero: Hero, *args: object) -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.seen = ""
        self.process = subprocess.Popen(
            [str(SCRIPTS / "hero_logic"), *map(str, args)],
            cwd=hero.work_dir,
            env=hero.env | {"TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, text: str) -> None:
        """Reads on until this was shown."""
        deadline = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} was not shown; seen:\n{self.seen}"
            if not self._read():
                break
        assert text in self.seen, f"{text!r} was not shown; seen:\n{self.seen}"

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def read_to_the_end(self) -> int:
        """Reads the rest and returns the exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return self.process.wait(timeout=30)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], 30)
        if not ready:
            return False
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:
            return False  # Linux says EIO once the other end is closed.
        self.seen += chunk.decode(errors="replace")
        return bool(chunk)
