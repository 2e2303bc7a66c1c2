"""`hero_logic` with odd words, odd surroundings and nobody to read: exit codes, one line, and no colours."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.hero import SCRIPTS, Hero, Server

FLOW = """
@flow
def greets(name: str = "wörld 😀") -> str:
    flow.log("grüß 😀")
    return f"hello {name}"
"""


@pytest.fixture(scope="module")
def greeted(shared_server: Server) -> Hero:
    """The data directory of the server, with a file of flows and one play in it."""
    hero = shared_server.hero
    assert hero("run", hero.write(FLOW)).code == 0
    return hero


PLAY = "01jqzzzzzzzzzzzzzzzzzzzzzz"
WRONG_WORDS: list[list[str]] = [
    [""],
    ["--"],
    ["-"],
    ["--no-such-flag"],
    ["dance"],
    ["RUN"],
    ["plays", "extra"],
    ["plays", "--limit", "0"],
    ["plays", "--limit", "-1"],
    ["plays", "--limit", "1001"],
    ["plays", "--limit", "1.5"],
    ["plays", "--limit", "many"],
    ["plays", "--limit"],
    ["plays", "--status", ""],
    ["plays", "--status", "SUCCESS"],
    ["plays", "--cursor", "nonsense"],
    ["plays", "--json=maybe"],
    ["show"],
    ["show", ""],
    ["show", "."],
    ["show", "--", "-rf"],
    ["show", "a\nb"],
    ["show", PLAY, PLAY],
    ["logs", PLAY, "--level", "loud"],
    ["wait", PLAY, "--timeout", "-1"],
    ["wait", PLAY, "--timeout", "0"],
    ["wait", PLAY, "--timeout", "nan"],
    ["wait", PLAY, "--timeout", "inf"],
    ["wait", PLAY, "--timeout", "1e400"],
    ["wait", PLAY, "--timeout", ""],
    ["resume"],
    ["resume", PLAY],
    ["resume", PLAY, "q"],
    ["resume", PLAY, "q", ""],
    ["resume", PLAY, "q", "true", "false"],
    ["cancel"],
    ["cancel", PLAY],
    ["run"],
    ["run", ""],
    ["run", "."],
    ["run", "/"],
    ["run", "/dev/null"],
    ["run", "no_such_file.py"],
    ["run", "flow.py:"],
    ["run", ":greets"],
    ["run", "FLOW", "-i", "=x"],
    ["run", "FLOW", "-i", "name"],
    ["run", "FLOW", "-i", ""],
    ["run", "FLOW", "-i", "colour=red"],
    ["run", "FLOW", "-i", "na\nme=x"],
    ["run", "FLOW", "-i", "name=1", "-i"],
    ["run", "FLOW", "--input-file", "no_such_file.json"],
    ["run", "FLOW", "--input-file", "/"],
    ["run", "FLOW", "--prefill", "q"],
    ["run", "FLOW", "--prefill", "=1"],
    ["run", "FLOW", "--prefill", "q=NaN"],
    ["run", "FLOW", "--prefill", "q=yes"],
    ["run", "FLOW", "--prefill", "q={"],
    ["run", "FLOW", "--prefill-file", "/dev/null"],
    ["run", "FLOW", "--python", "/no/such/python"],
    ["save", "a/b", "FLOW"],
    ["save", "FLOW"],
]


@pytest.mark.parametrize("words", WRONG_WORDS, ids=lambda words: ascii(" ".join(words))[:50])
def test_words_that_cannot_be_carried_out_exit_2(greeted: Hero, unharmed: Server, words: list[str]) -> None:
    file = str(greeted.home / "flows/flow.py")
    done = greeted(*(file if word == "FLOW" else word for word in words))
    assert (done.code, done.stdout) == (2, ""), done
    assert done.stderr.strip() and "panicked" not in done.stderr and "\x1b" not in done.stderr, done


NO_TEXT = [b"\xff", b"a\xfe", b"\xed\xa0\x80", "é".encode("latin-1")]


@pytest.mark.parametrize("word", NO_TEXT, ids=repr)
@pytest.mark.parametrize("before", [["show"], ["run"], ["resume", PLAY, "q"], ["run", "x.py", "-i"], []])
def test_words_that_are_no_text_exit_2(unharmed: Server, before: list[str], word: bytes) -> None:
    done = ran([SCRIPTS / "hero_logic", *before, word], unharmed.hero)
    assert (done.returncode, done.stdout) == (2, b""), done
    assert b"hint: " in done.stderr and b"panicked" not in done.stderr, done


SURROUNDINGS: list[dict[str, str | None]] = [
    {"COLUMNS": "0"},
    {"COLUMNS": "1"},
    {"COLUMNS": "-5"},
    {"COLUMNS": "99999999999"},
    {"COLUMNS": "wide"},
    {"TERM": "dumb"},
    {"TERM": "no-such-terminal"},
    {"TERM": ""},
    {"TERM": None},
    {"NO_COLOR": "1"},
    {"NO_COLOR": ""},
    {"HERO_LOG": "debug", "NO_COLOR": None},
    {"HERO_LOG": "!!!"},
    {"HERO_LOG": ""},
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX"},
    {"LC_ALL": "no_SUCH.locale"},
    {"LANG": "de_DE.ISO-8859-1"},
    {"TZ": "Nowhere/City"},
    {"TZ": ":/etc/passwd"},
    {"HOME": None},
    {"HOME": ""},
    {"HOME": "/no/such/home"},
    {"PATH": None},
    {"PATH": ""},
    {"RUST_BACKTRACE": "full"},
    {"PYTHONPATH": "/no/such/directory"},
    {"PYTHONHOME": "/no/such/directory"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONUTF8": "0", "LC_ALL": "C"},
    {"HERO_PYTHON": ""},
]


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=str)
def test_odd_surroundings_change_nothing(hero: Hero, surroundings: dict[str, str | None]) -> None:
    """Without a server, so that the play itself runs in them too."""
    done = ran([SCRIPTS / "hero_logic", "run", hero.write(FLOW)], hero, surroundings)
    assert (done.returncode, done.stdout.decode()) == (0, "hello wörld 😀\n"), done
    assert b"\x1b" not in done.stderr, done


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=str)
def test_a_table_for_nobody_has_no_colours(
    greeted: Hero, unharmed: Server, surroundings: dict[str, str | None]
) -> None:
    done = ran([SCRIPTS / "hero_logic", "plays"], greeted, surroundings)
    assert done.returncode == 0 and b"greets" in done.stdout, done
    assert b"\x1b" not in done.stdout + done.stderr, done


# How the shell says it, and the exit code.
STREAMS = {
    "nobody reads": ("hero_logic plays | true", 0),
    "no standard output": ("hero_logic plays >&-", 0),
    "no standard error": ("hero_logic plays 2>&-", 0),
    "no standard input": ("hero_logic plays <&-", 0),
    "no stream at all": ("hero_logic plays <&- >&- 2>&-", 0),
    "a refusal, and no standard error": ("hero_logic show nothing 2>&-", 2),
    "a refusal, and a full disk for it": ("hero_logic show nothing 2>/dev/full", 2),
    "a full disk for the output": ("hero_logic plays >/dev/full", 2),
    "a full disk for JSON": ("hero_logic plays --json >/dev/full", 2),
    "help that nobody reads": ("hero_logic --help | true", 0),
    "a directory that is gone": ("mkdir gone && cd gone && rmdir ../gone && hero_logic plays", 0),
    "a file in a directory that is gone": (
        "mkdir gone && cd gone && rmdir ../gone && hero_logic run x.py",
        2,
    ),
}


@pytest.mark.parametrize(("words", "code"), STREAMS.values(), ids=STREAMS.keys())
def test_odd_streams_are_no_crash(unharmed: Server, words: str, code: int) -> None:
    script = f"set -o pipefail; PATH={SCRIPTS}:$PATH; {words}"
    done = ran(["bash", "-c", script], unharmed.hero)
    assert done.returncode == code, done
    assert b"panicked" not in done.stderr, done


@pytest.mark.parametrize("n_files", [9, 12])
def test_too_few_open_files_are_told(hero: Hero, n_files: int) -> None:
    done = ran(["bash", "-c", f"ulimit -n {n_files}; exec {SCRIPTS / 'hero_logic'} plays --json"], hero)
    assert (done.returncode, done.stdout) == (2, b""), done
    assert "Too many open files" in json.loads(done.stderr)["error"]["message"]


def ran(
    command: Sequence[str | bytes | Path], hero: Hero, changes: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command to its end, in the surroundings of a test with these changes; None takes one away."""
    changed = {**hero.env, **(changes or {})}
    env = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run(command, env=env, cwd=hero.work_dir, capture_output=True, timeout=60)
