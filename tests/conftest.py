"""Fixtures: every test gets a data directory of its own, and leaves no process behind."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hero import Hero, Server

# The longest path of a Unix socket has 107 bytes, and pytest's own directories are deep.
SHORT_TEMP_DIR = "/tmp"


@pytest.fixture
def hero() -> Iterator[Hero]:
    """The programs on a fresh data directory, without a server."""
    yield from _hero()


@pytest.fixture(scope="module")
def module_hero() -> Iterator[Hero]:
    """As `hero`, shared by the tests of a file that only look at what one play did."""
    yield from _hero()


@pytest.fixture
def server(hero: Hero) -> Iterator[Server]:
    """A running `hero_logic_server` on the data directory of `hero`."""
    with hero.server() as server:
        yield server


@pytest.fixture(scope="module")
def module_server(module_hero: Hero) -> Iterator[Server]:
    """A running `hero_logic_server` on the data directory of `module_hero`."""
    with module_hero.server() as server:
        yield server


def _hero() -> Iterator[Hero]:
    home = Path(tempfile.mkdtemp(prefix="hero_", dir=SHORT_TEMP_DIR))
    hero = Hero(home)
    try:
        yield hero
    finally:
        hero.tidy_up()
        shutil.rmtree(home, ignore_errors=True)
