"""Several servers are started on one data directory at once: one gets it, and the others say who."""

from collections.abc import Callable

from support.hero import Hero, Server
from support.waiting import eventually

from . import counts
from .checker import Tally, check_no_panic, check_nothing_is_left

CONTENDERS = 3
STORE_IN_USE = 2


def test_of_several_servers_started_at_once_one_gets_the_data_directory(
    hero: Hero, summary: Callable[[str], None]
) -> None:
    tally = Tally(counts.SERVER_RACES)
    for _ in range(tally.n_planned):
        tally.landed(in_flight=_race(hero))
        check_nothing_is_left(hero.home)
    check_no_panic(hero)
    summary(f"servers raced for a data directory: {tally}")
    tally.check()


def _race(hero: Hero) -> bool:
    """Starts some servers, each on a socket of its own; returns whether one won and the others lost to it."""
    log = hero.home / "hero_logic_server.log"
    log.unlink(missing_ok=True)
    servers = [
        hero.spawn("hero_logic_server", HERO_SOCKET_DIR=str(hero.home / f"sockets {number}"))
        for number in range(CONTENDERS)
    ]
    eventually(
        lambda: sum(server.poll() is not None for server in servers) >= CONTENDERS - 1,
        "all servers but one to give up",
    )
    (winner,) = [server for server in servers if server.poll() is None]
    assert [server.returncode for server in servers if server is not winner] == [STORE_IN_USE] * 2
    said = log.read_text()
    assert said.count(f"pid {winner.pid}") == CONTENDERS - 1, said
    return Server(hero, winner).stop() == 0
