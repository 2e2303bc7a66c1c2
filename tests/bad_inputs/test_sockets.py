"""Sockets that cannot be bound or are not private: both programs refuse them, and remove nothing."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.hero import Finished, Hero

UNUSABLE = (-32018, "socket_unusable")
TOO_LONG = (-32017, "socket_path_too_long")


class Place:
    """Where the socket is to be: `s/hero_logic/rpc.sock`; nothing of it is there at first."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.parent = home / "s"
        self.directory = self.parent / "hero_logic"
        self.socket = self.directory / "rpc.sock"
        self.precious = home / "precious"
        self.precious.write_text("precious")

    def private(self) -> Path:
        """Makes the directory as a server would; returns the path of the socket in it."""
        self.directory.mkdir(parents=True, mode=0o700)
        return self.socket

    def open_to(self, mode: int) -> None:
        self.private()
        self.directory.chmod(mode)


def linked_directory(place: Place) -> None:
    place.parent.mkdir()
    (place.home / "real").mkdir(mode=0o700)
    place.directory.symlink_to(place.home / "real")


def file_as_directory(place: Place) -> None:
    place.parent.mkdir()
    place.directory.write_text("precious")


UNUSABLE_PLACES: dict[str, Callable[[Place], object]] = {
    "everyone may write": lambda place: place.open_to(0o777),
    "the group may write": lambda place: place.open_to(0o770),
    "everyone may write, but not remove": lambda place: place.open_to(0o1777),
    "others may write": lambda place: place.open_to(0o702),
    "the directory is a link": linked_directory,
    "the directory is a file": file_as_directory,
    "a file stands there": lambda place: place.private().write_text("precious"),
    "an empty file stands there": lambda place: place.private().touch(),
    "a directory stands there": lambda place: place.private().mkdir(),
    "a pipe stands there": lambda place: os.mkfifo(place.private()),
    "a link to nothing stands there": lambda place: place.private().symlink_to("nothing"),
    "a link to a file stands there": lambda place: place.private().symlink_to(place.precious),
    "a link to itself stands there": lambda place: place.private().symlink_to(place.socket),
    "a link to a device stands there": lambda place: place.private().symlink_to("/dev/null"),
}


def look(path: Path) -> list[tuple[str, int, str]]:
    """What there is below a directory, with modes and content."""
    found = []
    for below in sorted(path.rglob("*")):
        mode = below.lstat().st_mode
        content = below.read_text() if below.is_file() and not below.is_symlink() else ""
        found.append((str(below), mode, content))
    return found


def kind_in(refused: Finished) -> tuple[int, str]:
    """Code and kind of the error that `--json` prints."""
    error = json.loads(refused.stderr)["error"]
    assert error["message"] and error["hint"], error
    return error["code"], error["kind"]


@pytest.mark.parametrize("make", UNUSABLE_PLACES.values(), ids=UNUSABLE_PLACES.keys())
def test_no_socket_is_bound_where(hero: Hero, make: Callable[[Place], object]) -> None:
    place = Place(hero.home)
    make(place)
    before = look(place.parent)
    refused = hero("plays", "--json", HERO_SOCKET_DIR=str(place.parent))
    assert refused.code == 2 and refused.stdout == "", refused
    assert kind_in(refused) == UNUSABLE
    server = hero.spawn("hero_logic_server", HERO_SOCKET_DIR=str(place.parent))
    assert server.wait(timeout=30) == 2
    log = (hero.home / "hero_logic_server.log").read_text()
    assert str(place.directory) in log and "hint:" in log
    assert look(place.parent) == before, "it changed what it had refused"
    assert place.precious.read_text() == "precious"


@pytest.mark.parametrize("directory", ["/dev/null", "/proc", "/proc/self/fd", "/sys/none"])
def test_no_socket_is_bound_in_a_directory_that_takes_none(hero: Hero, directory: str) -> None:
    assert kind_in(hero("plays", "--json", HERO_SOCKET_DIR=directory)) == UNUSABLE


@pytest.mark.parametrize("directory", ["/dev/null", "/proc/hero", "/dev/full/below"])
def test_no_data_is_kept_in_a_directory_that_takes_none(hero: Hero, directory: str) -> None:
    refused = hero("plays", "--json", HERO_HOME=directory, HERO_SOCKET_DIR=str(hero.home / "s"))
    assert kind_in(refused) == (-32016, "store_unavailable")


def of_length(hero: Hero, n_bytes: int) -> str:
    """A directory whose longest socket has a path of so many bytes."""
    base, tail = f"{hero.home}/", "/hero_logic/span.sock"
    return base + "x" * (n_bytes - len(base) - len(tail))


def test_the_longest_path_that_a_socket_can_have_is_taken(hero: Hero) -> None:
    assert hero("plays", HERO_SOCKET_DIR=of_length(hero, 107)).code == 0


@pytest.mark.parametrize("n_bytes", [108, 109, 200, 5_000])
def test_a_path_that_no_socket_can_have_is_refused(hero: Hero, n_bytes: int) -> None:
    directory = of_length(hero, n_bytes)
    refused = hero("plays", "--json", HERO_SOCKET_DIR=directory)
    assert kind_in(refused) == TOO_LONG
    assert not (hero.data_dir / "store").exists(), "nothing is stored"


USABLE_PLACES: dict[str, Callable[[Place], object]] = {
    "nothing is there": lambda place: None,
    "others may read": lambda place: place.open_to(0o755),
    "a dead socket stands there": lambda place: bound(place.private()),
}


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


@pytest.mark.parametrize("make", USABLE_PLACES.values(), ids=USABLE_PLACES.keys())
def test_a_socket_is_bound_where(hero: Hero, make: Callable[[Place], object]) -> None:
    place = Place(hero.home)
    make(place)
    assert hero("plays", HERO_SOCKET_DIR=str(place.parent)).code == 0
    assert not place.socket.exists(), "and gone afterwards"


@pytest.mark.parametrize("name", ["a b", "a\nb", "é😀", "a'b", "$HOME", "-rf", "*", "\udcff"], ids=ascii)
def test_a_directory_may_be_called_anything(hero: Hero, name: str) -> None:
    home = f"{hero.home}/{name}"
    done = hero("plays", "--json", HERO_HOME=home, HERO_SOCKET_DIR=str(hero.home / "s"))
    assert done.code == 0 and Path(home, "store").is_dir(), done


def test_two_data_directories_do_not_mix_on_one_socket(hero: Hero) -> None:
    with hero.server() as server:
        home, sockets = str(hero.home / "other"), str(hero.socket.parent.parent)
        refused = hero("plays", "--json", HERO_HOME=home, HERO_SOCKET_DIR=sockets)
        assert kind_in(refused) == (-32020, "data_dir_mismatch")
        assert not (hero.home / "other").exists(), "nothing is stored there"
        assert server.call("play_list")["items"] == []
