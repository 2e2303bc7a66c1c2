"""Takes a release from its commits to its deployment, with a person in the middle.

The machine reads the commits since the last tag, proposes a version and drafts the notes. A person edits
the notes, approves, and says how fast to roll out: today, or next week. Then the machine deploys. Between
the questions no process runs, and whatever happened before a question happens only once.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyhero import ask_user, flow

from demo_repository import create_demo_repository
from git import git

PERCENT_OF_USERS = {"canary": 5, "half": 50, "everyone": 100}


@dataclass
class Commit:
    """One line of the log, split after the conventions of conventionalcommits.org."""

    sha: str
    author: str
    kind: str
    subject: str

    @property
    def is_breaking(self) -> bool:
        return self.kind.endswith("!")


@dataclass
class Release:
    """What came of it: the result of the play."""

    version: str
    status: Literal["deployed", "rejected", "nothing to release"]
    n_commits: int
    percent_of_users: int = 0
    artefact: Path | None = None


# --- Before the questions: read, propose, draft -------------------------------------------------


@flow
def find_repository(repository: Path | None) -> Path:
    """The repository to release; without one, a small one is created to play with."""
    return repository or create_demo_repository(Path("demo_repository"))


@flow
def last_version(repository: Path) -> str | None:
    """The latest tag that looks like `v1.2.3`; None before the first release."""
    tags = git(repository, "tag", "--list", "v*.*.*", "--merged", "HEAD", "--sort=-version:refname")
    return tags.splitlines()[0] if tags else None


@flow
def collect_commits(repository: Path, since: str | None) -> list[Commit]:
    """The commits after *since*, oldest first; all of them where *since* is None."""
    commit_range = f"{since}..HEAD" if since else "HEAD"
    log = git(
        repository, "log", "--reverse", "--no-merges", "--abbrev=7", "--format=%h%x09%an%x09%s", commit_range
    )
    return [parse_commit(line) for line in log.splitlines()]


def parse_commit(line: str) -> Commit:
    """Reads `sha<TAB>author<TAB>kind(scope)!: subject`; a subject without a kind is an `other`."""
    sha, author, subject = line.split("\t", 2)
    conventional = re.fullmatch(r"(\w+)(?:\([^)]*\))?(!?): (.+)", subject)
    if not conventional:
        return Commit(sha, author, "other", subject)
    kind, breaking, what = conventional.groups()
    return Commit(sha, author, kind + breaking, what)


@flow
def propose_version(since: str | None, commits: list[Commit]) -> str:
    """The next version by semver.org: breaking changes, features and fixes each move their number."""
    if since is None:
        return "v0.1.0"
    major, minor, patch = (int(number) for number in since.removeprefix("v").split(".")[:3])
    if any(commit.is_breaking for commit in commits):
        return f"v{major + 1}.0.0"
    if any(commit.kind == "feat" for commit in commits):
        return f"v{major}.{minor + 1}.0"
    return f"v{major}.{minor}.{patch + 1}"


@flow
def draft_notes(version: str, commits: list[Commit]) -> str:
    """Sorts the commits under headings, what users must know first."""
    sections = {
        "Breaking": [commit for commit in commits if commit.is_breaking],
        "New": [commit for commit in commits if commit.kind == "feat"],
        "Fixed": [commit for commit in commits if commit.kind == "fix"],
    }
    blocks = [
        f"{heading}\n" + "\n".join(f"- {c.subject} ({c.sha}, {c.author})" for c in members)
        for heading, members in sections.items()
        if members
    ]
    return "\n\n".join([version, *blocks])


# --- After the questions: act -------------------------------------------------------------------


@flow
def deploy(version: str, notes: str, rollout: str) -> Path:
    """Hands the release to its users; here, by writing the order that a deployer would pick up.

    The key is the same however often this step has to be started again, so a deployer that knows it
    deploys once, even if the power fails between the deployment and the moment we remember it.
    """
    percent = PERCENT_OF_USERS[rollout]
    order = {"version": version, "percent_of_users": percent, "notes": notes}
    artefact = Path("deployments") / f"{version}.json"
    artefact.parent.mkdir(exist_ok=True)
    artefact.write_text(json.dumps(order | {"idempotency_key": flow.idempotency_key()}, indent=2))
    flow.log(f"{version} goes to {percent} % of the users")
    return artefact


# --- The flow -----------------------------------------------------------------------------------


@flow
def release_approval(repository: Path | None = None) -> Release:
    """Proposes a release, asks a person, and deploys it."""
    repository = find_repository(repository)
    since = last_version(repository)
    commits = collect_commits(repository, since)
    if not commits:
        return Release(since or "", "nothing to release", 0)
    version = propose_version(since, commits)

    draft = draft_notes(version, commits)
    notes = ask_user.text("notes", f"Edit the notes of {version}.", default=draft, multiline=True)
    if not ask_user.confirm("approve", f"Ship {version} with {len(commits)} commits?\n\n{notes}"):
        return Release(version, "rejected", len(commits))
    rollout = ask_user.choice("rollout", f"Who gets {version} first?", options=list(PERCENT_OF_USERS))

    artefact = deploy(version, notes, rollout)
    return Release(version, "deployed", len(commits), PERCENT_OF_USERS[rollout], artefact)
