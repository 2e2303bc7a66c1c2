"""Fixtures of the fault tests, and what they say at the end of a run."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .counts import IS_TORTURE, SEED
from .history import Ledger, running

_summary: list[str] = []


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger in a directory that the programs under test have no part in."""
    directory = Path(tempfile.mkdtemp(prefix="ledger_", dir="/tmp"))
    try:
        with running(directory) as ledger:
            yield ledger
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def summary() -> Callable[[str], None]:
    """Says a line at the end of the run."""
    return _summary.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells what was done to the programs, and how to do the same again."""
    failed = [report for report in terminalreporter.stats.get("failed", []) if "/faults/" in report.nodeid]
    if not _summary and not failed:
        return
    terminalreporter.section("faults")
    for line in _summary:
        terminalreporter.line(f"{line}; seed {SEED}")
    for report in failed:
        torture = "HERO_TORTURE=1 " if IS_TORTURE else ""
        terminalreporter.line(f"again: {torture}HERO_SEED={SEED} target/venv/bin/pytest '{report.nodeid}'")
