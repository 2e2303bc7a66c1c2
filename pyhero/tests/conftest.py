"""Fixtures of the package's own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    """A supervisor with an empty memory."""
    return Supervisor(tmp_path)
