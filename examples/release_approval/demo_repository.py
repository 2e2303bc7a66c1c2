"""A small repository with a history to release, the same on every machine."""

import os
import tempfile
from pathlib import Path

from git import git

LAST_RELEASE = "v0.3.0"

BEFORE_THE_LAST_RELEASE = [
    ("Ada", "feat: greet people by their name"),
    ("Ben", "fix: greet people without a name too"),
]
SINCE_THEN = [
    ("Cleo", "feat(cli): greet in French"),
    ("Ben", "fix: a name may hold an apostrophe"),
    ("Ada", "docs: say how to greet"),
    ("Cleo", "feat!: greetings end without a full stop"),
]

# What the machine's own git settings say (signing, hooks, templates) stays out of it.
NO_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def create_demo_repository(at: Path) -> Path:
    """Creates the repository, or takes the one that is there.

    It is built elsewhere and moved into place, so that a crash in the middle leaves no half of it.
    """
    if at.exists():
        return at
    with tempfile.TemporaryDirectory(dir=at.parent, prefix=f".{at.name}_") as scratch:
        half = Path(scratch) / at.name
        half.mkdir()
        git(half, "init", "--quiet", env=NO_SETTINGS)
        commit_all(half, BEFORE_THE_LAST_RELEASE, month="2026-03")
        git(half, "tag", LAST_RELEASE, env=NO_SETTINGS)
        commit_all(half, SINCE_THEN, month="2026-04")
        half.rename(at)
    return at


def commit_all(repository: Path, commits: list[tuple[str, str]], month: str) -> None:
    """Adds one empty commit a day. With the dates and authors fixed, so are the hashes."""
    for day, (author, subject) in enumerate(commits, start=1):
        who = {
            "NAME": author,
            "EMAIL": f"{author.lower()}@example.org",
            "DATE": f"{month}-{day:02}T09:00:00Z",
        }
        env = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in who.items()}
        git(repository, "commit", "--quiet", "--allow-empty", "--message", subject, env=NO_SETTINGS | env)
