"""`hero_logic check`: what in a file will not be the same, or will happen again, in every launch."""

import json

from support.hero import Hero

CLEAN = """
from datetime import datetime
from pathlib import Path

@flow
def writes(text: str) -> float:
    Path("out.txt").write_text(text)
    return datetime.now().timestamp()

@flow
def main(text: str = "x", limit: int | None = None) -> float:
    return writes(text) + flow.random() + len(text.strip())

if __name__ == "__main__":
    print(datetime.now())
"""

SUSPICIOUS = """
import random, subprocess, uuid
from datetime import datetime as clock
import helper

STARTED = time.time()

@flow
def step(items: list = []) -> int:
    return random.randint(1, 6)

def tidy():
    os.remove("x")

@flow
def main(seed: float = random.random(), *, seen: set = set()) -> str:
    now = clock.now()
    time.sleep(1)
    tidy()
    step()
    with open("log.txt", "a") as log:
        log.write(str(now))
    open("log.txt")
    subprocess.run(["true"])
    return str(uuid.uuid4())
"""


def found(hero: Hero, source: str) -> list[tuple[str, str]]:
    """`(kind, the line of code)` of each finding."""
    file = hero.write(source)
    checked = hero("check", file, "--json")
    findings = checked.json()["findings"]
    assert checked.code == (1 if findings else 0), checked
    texts = {name: (file.parent / name).read_text().splitlines() for name in {f["file"] for f in findings}}
    assert all(finding["hint"] and finding["column"] > 0 for finding in findings), findings
    return [(f["kind"], texts[f["file"]][f["line"] - 1].strip()) for f in findings]


def test_a_file_that_leaves_the_world_to_its_steps_is_clean(hero: Hero) -> None:
    assert found(hero, CLEAN) == []
    said = hero("check", hero.write(CLEAN))
    assert (said.code, said.stdout) == (0, ""), said


def test_what_differs_or_happens_in_every_launch_is_told_by_its_line(hero: Hero) -> None:
    hero.write("import requests\nANSWER = requests.get('http://x')\n", "helper.py", preamble=False)
    assert found(hero, SUSPICIOUS) == [
        ("time", "STARTED = time.time()"),
        ("mutable_default", "def step(items: list = []) -> int:"),
        ("side_effect", 'os.remove("x")'),
        ("mutable_default", "def main(seed: float = random.random(), *, seen: set = set()) -> str:"),
        ("random", "def main(seed: float = random.random(), *, seen: set = set()) -> str:"),
        ("time", "now = clock.now()"),
        ("sleep", "time.sleep(1)"),
        ("side_effect", 'with open("log.txt", "a") as log:'),
        ("side_effect", 'subprocess.run(["true"])'),
        ("random", "return str(uuid.uuid4())"),
        ("side_effect", "ANSWER = requests.get('http://x')"),
    ]
    said = hero("check", hero.write(SUSPICIOUS))
    assert "flow.py:" in said.stdout and "hint: flow.now() is recorded" in said.stdout, said


def test_nothing_of_the_file_is_run_and_nothing_is_stored(hero: Hero) -> None:
    hero.write('from pathlib import Path\nPath("ran").touch()\n', "helper.py", preamble=False)
    assert found(hero, "import helper\n\n@flow\ndef main(): pass\n") == [
        ("side_effect", 'Path("ran").touch()')
    ]
    assert not (hero.work_dir / "ran").exists()
    assert json.loads(hero("workflow", "list", "--json").stdout)["items"] == []


def test_a_file_that_cannot_be_read_is_no_file_without_findings(hero: Hero) -> None:
    for source in ("def broken(:", "x = 1"):
        refused = hero("check", hero.write(source))
        assert refused.code == 2 and "hint:" in refused.stderr, refused
    assert hero("check", "no_such.py").code == 2
    assert hero("check", "nothing").code == 2
