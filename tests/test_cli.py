"""The command line: words for people, JSON for programs, exit codes for scripts."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import processes
from support.hero import SCRIPTS, Hero, Server, items
from support.terminal import Terminal
from support.waiting import eventually

GREETS = """
@flow
def greets(name: str = "world", n: int = 1) -> str:
    flow.log("greeting")
    return f"hello {name} " * n
"""

ASKS = """
@flow
def asks() -> str:
    return flow.pause("q")
"""

WAITS = """
@flow
def waits() -> str:
    mark("begun")
    wait_for("go")
    return "done"
"""

ENDS = [
    ("success", GREETS, 0),
    ("failed", "@flow\ndef fails():\n    raise ValueError('no')\n", 1),
    ("awaiting_resume", ASKS, 75),
]


@pytest.mark.parametrize(("status", "source", "code"), ENDS, ids=[row[0] for row in ENDS])
def test_the_exit_code_tells_how_the_play_stands(hero: Hero, status: str, source: str, code: int) -> None:
    finished = hero.run(source)
    assert (finished.code, finished.json()["status"]) == (code, status)
    waited = hero("wait", finished.json()["sid"], "--json")
    assert (waited.code, waited.json()["status"]) == (code, status)


def test_a_cancelled_play_is_130_for_everyone_who_carries_or_awaits_it(hero: Hero) -> None:
    carrier = hero.spawn("hero_logic", "run", hero.write(WAITS), "--json")
    hero.saw("begun")
    (play,) = hero.plays()
    assert hero("cancel", play["sid"]).code == 0
    assert carrier.wait(timeout=60) == 130
    assert hero("wait", play["sid"], "--json").code == 130


def test_without_json_run_prints_what_a_person_wants_to_see(hero: Hero) -> None:
    finished = hero("run", hero.write(GREETS), "-i", "name=Ada")
    assert finished.code == 0
    assert "hello Ada" in finished.stdout
    assert "\x1b" not in finished.stdout + finished.stderr, "no colours where nobody looks"


def test_a_failure_is_told_with_its_place(hero: Hero) -> None:
    finished = hero("run", hero.write("@flow\ndef fails():\n    raise ValueError('too bad')\n"))
    assert finished.code == 1
    told = finished.stdout + finished.stderr
    assert "ValueError: too bad" in told


def test_a_pause_tells_how_to_answer(hero: Hero) -> None:
    finished = hero("run", hero.write(ASKS))
    told = finished.stdout + finished.stderr
    assert finished.code == 75
    assert "hero_logic resume" in told and " q " in told


def test_inputs_are_json_where_they_parse_and_else_strings(hero: Hero) -> None:
    finished = hero.run(GREETS, "-i", "name=3 musketeers", "-i", "n=2")
    assert finished.json()["input_data"] == {"name": "3 musketeers", "n": 2}
    assert finished.json()["output_data"] == "hello 3 musketeers hello 3 musketeers "


def test_a_string_parameter_takes_a_number_as_text(hero: Hero) -> None:
    finished = hero.run(GREETS, "-i", 'name="42"')
    assert finished.json()["input_data"]["name"] == "42"


def test_inputs_come_from_a_file_and_single_ones_win(hero: Hero) -> None:
    file = hero.home / "inputs.json"
    file.write_text('{"name": "file", "n": 1}')
    finished = hero.run(GREETS, "--input-file", file, "-i", "name=line")
    assert finished.json()["input_data"] == {"name": "line", "n": 1}


def test_a_flow_of_a_file_is_chosen_by_name(hero: Hero) -> None:
    file = hero.write("@flow\ndef one():\n    return 1\n\n@flow\ndef two():\n    return 2\n")
    finished = hero("run", f"{file}:two", "--json")
    assert finished.json()["output_data"] == 2


def test_plays_lists_and_filters(hero: Hero) -> None:
    done = hero.run(GREETS, "--name", "the good one").json()["sid"]
    asking = hero.run(ASKS).json()["sid"]
    assert [play["sid"] for play in hero.plays()] == [asking, done]
    listed = items(hero("plays", "--status", "success", "--json").json())
    assert [(play["sid"], play["name"]) for play in listed] == [(done, "the good one")]
    table = hero("plays").stdout
    assert "the good one" in table and "awaiting_resume" in table


def test_show_and_logs_tell_what_a_play_did(hero: Hero) -> None:
    sid = hero.run(GREETS).json()["sid"]
    shown = hero("show", sid)
    assert shown.code == 0 and "success" in shown.stdout and "hello world" in shown.stdout
    assert "greeting" in hero("logs", sid).stdout


def test_the_inbox_is_for_people_too(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def asks() -> str:
        return ask_user.text("colour", "Which colour?")
    """).json()["sid"]
    told = hero("inbox").stdout
    assert "colour" in told and "Which colour?" in told and sid in told


def test_detached_from_a_server_a_play_goes_on_alone(server: Server) -> None:
    hero = server.hero
    finished = hero("run", hero.write(WAITS), "--detach", "--json")
    assert finished.code == 0, finished
    hero.saw("begun")
    hero.touch("go")
    assert server.ended(finished.json()["sid"])["output_data"] == "done"


def test_commands_talk_to_the_server_that_is_there(server: Server) -> None:
    sid = server.hero.run(ASKS).json()["sid"]
    assert [play["sid"] for play in server.call("play_list")["items"]] == [sid]
    assert server.hero("resume", sid, "q", '"yes"').code == 0
    assert server.ended(sid)["output_data"] == "yes"


def test_a_second_run_joins_the_first(hero: Hero) -> None:
    carrier = hero.spawn("hero_logic", "run", hero.write(WAITS), "--json")
    hero.saw("begun")
    joined = hero("run", hero.write(GREETS, "other.py"), "--json")
    assert (joined.code, joined.json()["output_data"]) == (0, "hello world ")
    assert carrier.poll() is None
    hero.touch("go")
    assert carrier.wait(timeout=60) == 0


def test_runs_that_begin_together_share_the_data_directory(hero: Hero) -> None:
    file = hero.write(GREETS)
    with ThreadPoolExecutor(6) as pool:
        finished = list(pool.map(lambda n: hero("run", file, "-i", f"n={n}", "--json"), range(1, 7)))
    assert [one.code for one in finished] == [0] * 6, "\n".join(map(str, finished))
    assert len(hero.plays()) == 6


def test_start_status_and_stop(hero: Hero) -> None:
    assert hero("--status").code != 0
    assert hero("--start").code == 0
    try:
        assert hero("--status").code == 0
        assert hero("--start").code == 0, "again is no error"
        sid = hero.run(GREETS).json()["sid"]
    finally:
        assert hero("--stop").code == 0
    assert hero("--status").code != 0
    eventually(lambda: processes.belonging_to(hero.home) == [], "everything to be gone")
    assert hero.plays()[0]["sid"] == sid


@pytest.mark.parametrize("program", ["hero_logic", "hero_logic_server", "hero_logic_admin"])
def test_info_prints_the_manifest_and_binds_nothing(hero: Hero, program: str) -> None:
    done = subprocess.run(
        [SCRIPTS / program, "--info", "--no-such-flag"],
        env=hero.env,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done
    assert program in done.stdout and "HERO_HOME" in done.stdout
    assert not hero.data_dir.exists()


@pytest.mark.parametrize("program", ["hero_logic", "hero_logic_server", "hero_logic_admin"])
@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_exit_0(hero: Hero, program: str, flag: str) -> None:
    done = subprocess.run([SCRIPTS / program, flag], env=hero.env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout


def test_a_closed_stdout_is_no_crash(hero: Hero) -> None:
    hero.run(GREETS)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [SCRIPTS / "hero_logic", "plays"],
            env=hero.env,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    finally:
        os.close(writer)
    assert "panicked" not in done.stderr


def test_ctrl_c_leaves_the_play_for_later(hero: Hero) -> None:
    carrier = hero.spawn("hero_logic", "run", hero.write(WAITS))
    hero.saw("begun")
    carrier.send_signal(signal.SIGINT)
    assert carrier.wait(timeout=60) == 130
    eventually(lambda: processes.belonging_to(hero.home) == [], "everything to be gone")
    hero.touch("go")
    (listed,) = hero.plays()
    assert listed["status"] == "running"
    play = hero.wait(listed["sid"])
    assert (play["status"], play["output_data"]) == ("success", "done")


def test_errors_are_one_object_for_programs(hero: Hero) -> None:
    refused = hero("show", "01jqzzzzzzzzzzzzzzzzzzzzzz", "--json")
    assert (refused.code, refused.stdout) == (2, "")
    error = json.loads(refused.stderr)["error"]
    assert (error["kind"], error["code"]) == ("play_not_found", -32001)
    assert error["message"] and error["hint"]


# --- On a terminal -------------------------------------------------------------------------------


def test_a_terminal_shows_the_tree_and_asks_there(hero: Hero) -> None:
    file = hero.write("""
    @flow
    def prepares() -> int:
        return 1

    @flow
    def chats() -> str:
        prepares()
        name = ask_user.text("name", "What is your name?")
        sure = ask_user.confirm("sure", "Are you sure?")
        return f"{name} is {'sure' if sure else 'not sure'}"
    """)
    terminal = Terminal(hero, "run", file)
    terminal.read_until("What is your name?")
    terminal.type("Ada\r")
    terminal.read_until("Are you sure?")
    terminal.type("y\r")
    assert terminal.read_to_the_end() == 0, terminal.seen
    assert "Ada is sure" in terminal.seen and "prepares" in terminal.seen
