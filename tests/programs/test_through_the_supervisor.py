"""Some of the random programs as real plays, whose process is killed while they run.

A launch dies by `kill -9` at effects that are chosen by chance: before the effect, or behind it and before it
is remembered. Half of the plays get their answers ahead, half are asked.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from faults.counts import SEED, chances, faults
from support.hero import Hero, Json, Server, items

from .generator import Program, program
from .test_random_programs import AGAIN, loaded, plainly

N_PLAYS = faults(20, 300)
DEATHS = 3


@pytest.fixture(scope="module")
def shared_server(module_hero: Hero) -> Json:
    with module_hero.server() as server:
        yield server


@pytest.mark.parametrize("number", range(N_PLAYS))
def test_a_play_whose_process_dies_ends_as_plain_python_does(
    shared_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    made = program(f"{SEED} play {number}")
    monkeypatch.chdir(tmp_path)
    expected = plainly(loaded(made, tmp_path), made)
    play, deaths = played(shared_server, made, tmp_path, is_asked=number % 2 == 1)
    assert play["status"] == "success", f"{play}; the program is `generator.py '{made.seed}'`; {AGAIN}"
    assert play["output_data"] == expected, f"the program is `generator.py '{made.seed}'`; {AGAIN}"
    spans = items(shared_server.call("play_spans", play_sid=play["sid"], limit=1000))
    check_effects(play, spans, tmp_path, deaths, made)


def played(server: Server, made: Program, directory: Path, *, is_asked: bool) -> tuple[Json, list[str]]:
    """Plays the program to its end; returns the play and what was to kill it."""
    chance = chances(f"deaths of {made.seed}")
    deaths = [f"{chance.choice(['before', 'behind'])} {at}" for at in chance.sample(range(12), DEATHS)]
    (directory / "deaths.txt").write_text("\n".join(deaths))
    play = server.call(
        "play_start",
        file=str(directory / "flow.py"),
        flow="root",
        input_data={"x": made.x},
        working_dir=str(directory),
        prefill_resumes={} if is_asked else made.prefill,
    )
    sid = play["sid"]
    while (play := server.settled(sid))["status"] == "awaiting_resume":
        for request in play["pending_resumes"]:
            answer = json.dumps(made.prefill[request["name"]])
            server.call("play_resume", play_sid=sid, resume_id=request["id"], payload_json=answer)
    return play, deaths


def check_effects(play: Json, spans: list[Json], directory: Path, deaths: list[str], made: Program) -> None:
    """No effect comes again once its step is remembered, and each comes at least once."""
    lines = (directory / "effects.txt").read_text().splitlines()
    effects = [line.split() for line in lines if line != "begins"]
    remembered_in = {
        idempotency_key(play["sid"], span["step_key"]): span["launch"]
        for span in spans
        if span.get("step_key") and span["status"] in {"ok", "failed"}
    }
    for key, launch in effects:
        assert key in remembered_in, "an effect of no step that ended"
        assert int(launch) <= remembered_in[key], f"an effect in launch {launch} of what was remembered"
    died = [death for death in deaths if (directory / f"died_{death.replace(' ', '_')}").exists()]
    assert play["launch"] > 1 or not died, "another launch follows a death"
    if not made.is_concurrent:
        assert play["launch"] > len(died), "each death is followed by another launch"
        again = sum(count - 1 for count in Counter(key for key, _ in effects).values())
        behind = sum(death.startswith("behind") for death in died)
        assert again == behind, "only a death between effect and acknowledgement repeats an effect"


def idempotency_key(play: str, step_key: str) -> str:
    return hashlib.sha1(f"{play}|{step_key}".encode()).hexdigest()
