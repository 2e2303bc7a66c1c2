"""Every example runs headless and prints what its `expected.txt` says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.hero import Hero, Server, items, request_named
from support.waiting import eventually

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def test_there_is_an_example_for_every_scenario() -> None:
    assert NAMES == [
        "multi_pause",
        "pause_resume",
        "release_approval",
        "saga",
        "save_and_reuse",
        "scheduled_report",
        "simple_play",
        "spawned_children",
        "sub_flow",
        "webhook_callback",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_complete(name: str) -> None:
    for file in ("flow.py", "README.md", "prefill.json", "expected.txt"):
        assert (EXAMPLES / name / file).read_text(), file


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_headless_and_prints_what_is_expected(hero: Hero, name: str) -> None:
    example = EXAMPLES / name
    finished = hero("run", example / "flow.py", "--prefill-file", example / "prefill.json", "--prefill-only")
    assert finished.code == 0, finished
    assert finished.stdout == (example / "expected.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_answered_question_by_question_ends_the_same(hero: Hero, name: str) -> None:
    example = EXAMPLES / name
    answers = json.loads((example / "prefill.json").read_text())
    play = hero("run", example / "flow.py", "--json").json()
    while play["status"] == "awaiting_resume":
        question = play["pending_resumes"][0]["name"]
        assert hero("resume", play["sid"], question, json.dumps(answers.pop(question))).code in {0, 75}
        play = hero.wait(play["sid"])
    assert (play["status"], answers) == ("success", {})
    headless = hero("run", example / "flow.py", "--prefill-file", example / "prefill.json", "--json").json()
    assert play["output_data"] == headless["output_data"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_uses_only_public_names(name: str) -> None:
    import pyhero

    for file in (EXAMPLES / name).glob("*.py"):
        source = file.read_text()
        assert not re.search(r"pyhero\._|from pyhero import .*\b_", source), file
        for names in re.findall(r"^from pyhero import (.+)$", source, re.MULTILINE):
            assert set(names.split(", ")) <= set(pyhero.__all__), file


def test_a_release_is_deployed_once_with_its_notes(hero: Hero) -> None:
    example = EXAMPLES / "release_approval"
    play = hero("run", example / "flow.py", "--json").json()
    draft = request_named(play, "notes")
    assert "feat" not in json.dumps(draft["ui"]) and "greet in French" in json.dumps(draft["ui"])
    for question, answer in [("notes", "v1.0.0 by hand"), ("approve", True), ("rollout", "half")]:
        hero("resume", play["sid"], question, json.dumps(answer))
    play = hero.wait(play["sid"])
    assert play["output_data"]["status"] == "deployed"
    order = json.loads((hero.work_dir / play["output_data"]["artefact"]).read_text())
    assert (order["notes"], order["percent_of_users"]) == ("v1.0.0 by hand", 50)
    assert order["idempotency_key"]


def test_a_rejected_release_is_not_deployed(hero: Hero) -> None:
    example = EXAMPLES / "release_approval"
    finished = hero(
        "run", example / "flow.py", "--json", "--prefill", 'notes="x"', "--prefill", "approve=false"
    )
    assert finished.json()["output_data"]["status"] == "rejected"
    assert not (hero.work_dir / "deployments").exists()


def test_a_repository_of_ones_own_can_be_released(hero: Hero) -> None:
    repository = hero.home / "mine"
    git = ["git", "-C", str(repository), "-c", "user.name=Me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True, env=hero.env)
    subprocess.run(
        [*git, "commit", "--quiet", "--allow-empty", "-m", "fix: everything"], check=True, env=hero.env
    )
    prefill = EXAMPLES / "release_approval/prefill.json"
    flow = EXAMPLES / "release_approval/flow.py"
    finished = hero("run", flow, "-i", f"repository={repository}", "--prefill-file", prefill, "--json")
    assert finished.json()["output_data"]["version"] == "v0.1.0"


def test_an_accepted_plan_is_reused_as_the_readme_says(hero: Hero) -> None:
    example = EXAMPLES / "save_and_reuse"
    accepted = hero(
        *("run", example / "flow.py", "-i", "topic=cats", "-i", "title=Cats at a glance"),
        *("--prefill", "accept=true", "--json"),
    ).json()
    assert (accepted["total_cost_usd"], accepted["total_input_tokens"]) == (0.03, 800)
    saved = hero(
        *("workflow", "save", "--from-play", accepted["sid"], "--name", "report", "--input", "animal:string"),
        *("--set", "topic={{inputs.animal}}", "--set", "title=All about {{inputs.animal}}", "--json"),
    )
    assert saved.json()["fully_frozen"] is True, saved
    again = hero("run", "report", "-i", "animal=dogs", "--prefill", "accept=true", "--json").json()
    lines = accepted["output_data"].replace("cats", "dogs").splitlines()
    assert again["output_data"].splitlines() == ["All about dogs", *lines[1:]]
    assert again["total_cost_usd"] == 0, "nobody planned again"


def test_a_trip_that_is_paid_stays_booked(hero: Hero) -> None:
    finished = hero("run", f"{EXAMPLES}/saga/flow.py:saga", "-i", "amount=900")
    assert json.loads(finished.stdout) == {"booked": ["flight", "hotel", "car"]}, finished
    alone = hero("run", f"{EXAMPLES}/saga/flow.py:trip", "-i", "amount=2000")
    assert (alone.code, "the card does not pay 2000" in alone.stderr) == (1, True), alone


def test_children_are_found_as_the_readme_says(hero: Hero) -> None:
    assert hero("run", EXAMPLES / "spawned_children/flow.py").code == 0
    assert len(items(hero("plays", "--started-by", "parent", "--json").json())) == 3
    (north,) = items(hero("plays", "--tag", "region=north", "--json").json())
    assert north["status"] == "success"


def test_a_farm_that_tells_everything_twice_is_heard_once(server: Server) -> None:
    example, hero = EXAMPLES / "webhook_callback", server.hero
    listener = hero.spawn("hero_logic_admin", "--port", "0")
    replies = hero.home / "farm.txt"
    with replies.open("w") as out:
        command = [sys.executable, str(example / "service.py"), "orders", "--twice"]
        farm = subprocess.Popen(command, cwd=hero.work_dir, stdout=out)
    try:
        eventually(server.socket.with_name("admin.url").exists, "the web UI to start")
        play = server.call("play_start", file=str(example / "flow.py"), working_dir=str(hero.work_dir))
        ended = server.ended(play["sid"])
        assert ended["output_data"] == [
            *("sunrise.png", "no picture of the storm: the camera got wet", "harbour.png"),
        ]
        eventually(lambda: len(replies.read_text().splitlines()) == 6, "both answers to each")
    finally:
        for process in (farm, listener):
            process.terminate()
            process.wait(timeout=30)
    told = [json.loads(line.partition(" ")[2]) for line in replies.read_text().splitlines()]
    assert all(reply["ok"] for reply in told[::2])
    assert told[1::2] == [{"noop": True, "reason": "answered"}] * 3
    answers = {request["name"]: request["resumed_by"] for request in ended["received_resumes"]}
    assert answers["rendered[storm]"] == {"by": "callback", "task_id": "farm-storm"}


def test_a_report_is_written_for_each_due_time(hero: Hero) -> None:
    reports = hero.work_dir / "reports"
    reports.mkdir()
    example = EXAMPLES / "scheduled_report"
    with hero.server() as server:
        assert hero("workflow", "save", example / "flow.py", "--name", "report").code == 0
        added = hero("schedule", "add", "report", "--every", "1s", "-i", f"directory={reports}")
        assert added.code == 0, added

        def reported() -> list[str]:
            shown = hero("schedule", "show", "report", "--json").json()
            return [
                item["firing"]["outcome"]["started"]["play_sid"]
                for item in shown["history"]
                if item["play_status"] == "success"
            ]

        eventually(lambda: len(reported()) >= 2, "two reports")
        hero("schedule", "pause", "report")
        for play in server.call("play_list")["items"]:
            server.ended(play["sid"])
        assert len(list(reports.iterdir())) == len(reported())
    for report in reports.iterdir():
        assert json.loads(report.read_text()) == {"chair": 85, "lamp": 80}
