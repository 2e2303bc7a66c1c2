"""Runs git. A module beside the flow travels with it, into the same stored version."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(repository: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a git command, without the last line end.

    Args:
        env: Variables for git beside those of this process.
    Raises:
        RuntimeError: git refused; the message says what was tried and what git said.
    """
    command = ["git", "-C", str(repository), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | (env or {}))
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")
