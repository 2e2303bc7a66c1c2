"""What the README shows is what happens: its files are run by its commands, and print what it says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.hero import SCRIPTS, Hero

README = (Path(__file__).parents[1] / "README.md").read_text()

FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))

# A command with what it prints, indented as a block.
BLOCKS = re.findall(r"(?:^    \$ (.+)\n((?:(?:    (?!\$).*)?\n)*))", README, re.MULTILINE)

# What differs from run to run, or from machine to machine.
VARYING = [
    (r"\b01[0-9a-z]{24}\b", "SID"),
    (r"\b[0-9a-f]{40}\b", "VERSION"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "MOMENT"),
    (r"\b\d\d:\d\d:\d\d\.\d{3}\b", "TIME"),
    (r"(<1|\b\d+(\.\d+)?) (ms|s|min)\b", "DURATION"),
    (r"\b\d+ MiB\b", "SIZE"),
    (r"\b\d+ plays\b", "PLAYS"),
    (r"`/[\w/.]*`", "PATH"),
    (r"/callbacks/\S+", "/callbacks/TOKEN"),
    (r"\brpc:\d+", "rpc:UID"),
]


def test_every_file_of_the_readme_is_run() -> None:
    assert len(FILES) >= 5
    run = {word for command, _ in BLOCKS for word in command.split() if word.endswith(".py")}
    assert run == set(FILES)


def test_what_the_readme_shows_is_what_is_printed(hero: Hero) -> None:
    for name, source in FILES.items():
        (hero.work_dir / name).write_text(source)
    sids: dict[str, str] = {}
    for command, shown in BLOCKS:
        for told, real in sids.items():
            command = command.replace(told, real)
        printed = output(hero, command)
        shown = "\n".join(line[4:] for line in shown.rstrip().splitlines())
        assert even(printed) == even(shown), f"$ {command}\n{printed}"
        sids |= dict(zip(re.findall(VARYING[0][0], shown), re.findall(VARYING[0][0], printed), strict=True))


def output(hero: Hero, command: str) -> str:
    """What a shell shows that runs the command."""
    env = hero.env | {"PATH": f"{SCRIPTS}{os.pathsep}{hero.env['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=hero.work_dir,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.stdout.rstrip()


def even(text: str) -> str:
    """The text without what varies, and without the widths of columns that follow from it."""
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"^\| `(HERO_\w+)` \|", README, re.MULTILINE))))
def test_a_variable_of_the_readme_is_one_of_the_protocol(variable: str) -> None:
    protocol = (Path(__file__).parents[1] / "schema/PROTOCOL.md").read_text()
    assert f"| `{variable}` |" in protocol
