"""One server for each file, and the proof after each case that nothing has changed."""

from collections.abc import Iterator

import pytest

from support.hero import Hero, Json, Server


@pytest.fixture(scope="module")
def shared_server(module_hero: Hero) -> Iterator[Server]:
    """A server that all cases of a file send to."""
    with module_hero.server() as server:
        yield server


@pytest.fixture
def unharmed(shared_server: Server) -> Iterator[Server]:
    """The shared server: afterwards it must hold what it held before, and still answer."""
    before = stored(shared_server)
    yield shared_server
    assert shared_server.process.poll() is None, "the server has ended"
    assert stored(shared_server) == before, "a refusal has left something behind"


def stored(server: Server) -> Json:
    """All plays and workflows, as they are shown."""
    return [server.call("play_list"), server.call("workflow_list")]
