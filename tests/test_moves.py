"""Plays whose workflow has moved on: they stay where they are, or are moved by a choice."""

from pathlib import Path

import pytest

from support.hero import Hero, Json, Server
from support.rpc import RpcFailure
from support.waiting import eventually

# Each version of a step is told apart by what it marks and returns.
RELEASE = """
@flow
def fetch() -> int:
    mark("fetch")
    return 10

@flow
def price(base: int) -> int:
    mark("price {version}")
    return base * {factor}

@flow
def tell(price: int) -> str:
    mark(f"tell {price}")
    return f"costs {price}"

@flow
def book() -> str:
    mark("book")
    return "booked"

@flow
def release() -> str:
    told = tell(price(fetch()))
    booked = book()
    {asks}
    return f"{version}: {told}, {booked}, {ok}"
"""

ASKS = 'ok = ask_user.confirm("approve", "Ship it?")'


def release(version: str, factor: int = 2, asks: str = ASKS) -> str:
    return RELEASE.replace("{version}", version).replace("{factor}", str(factor)).replace("{asks}", asks)


def save(server: Server, source: str) -> int:
    return int(server.call("workflow_save", name="release", file=str(server.hero.write(source)))["version"])


def start(server: Server, workflow: str = "release") -> Json:
    play = server.call("play_start", workflow_sid=workflow, working_dir=str(server.hero.work_dir))
    return server.settled(play["sid"])


def move(server: Server, play: Json, choice: str = "carry_over", **params: Json) -> Json:
    return server.call("play_move", play_sid=play["sid"], choice=choice, **params)


def names(steps: list[Json]) -> list[str]:
    return [step["name"] for step in steps]


def forget_marks(hero: Hero) -> None:
    (hero.work_dir / "marks.txt").unlink(missing_ok=True)


def refusal(server: Server, play: Json, choice: str = "carry_over", **params: Json) -> RpcFailure:
    with pytest.raises(RpcFailure) as refused:
        move(server, play, choice, **params)
    assert refused.value.hint or refused.value.kind == "invalid_params"
    return refused.value


def test_a_play_that_waits_survives_three_deploys_and_ends_as_it_began(server: Server) -> None:
    save(server, release("v1"))
    play = start(server)
    for number, factor in enumerate((3, 4, 5), start=2):
        assert save(server, release(f"v{number}", factor)) == number
    play = server.call("play_get", play_sid=play["sid"])
    assert (play["workflow_version"], play["moved_to"]["number"]) == (1, 4)
    shown = server.hero("show", play["sid"])
    assert "current is 4" in shown.stdout and f"move {play['sid']} carry-over" in shown.stdout, shown

    forget_marks(server.hero)
    server.resume(play, "approve", True)
    ended = server.ended(play["sid"])
    assert ended["output_data"] == "v1: costs 20, booked, True"
    assert server.hero.marks() == [], "nothing that was done is done again"


def test_carried_over_only_what_has_changed_and_what_depends_on_it_runs_again(server: Server) -> None:
    save(server, release("v1"))
    play = start(server)
    save(server, release("v2"))
    save(server, release("v3", 3))

    foretold = move(server, play, dry_run=True)
    assert (foretold["from_version"], foretold["to_version"]) == (1, 3)
    assert names(foretold["kept"]) == ["fetch", "tell", "book"]
    assert names(foretold["rerun"]) == ["price"] and foretold["orphaned"] == []
    assert "same arguments" in foretold["kept"][1]["why"]
    assert "play" not in foretold, "a dry run starts nothing"
    assert server.call("play_get", play_sid=play["sid"])["status"] == "awaiting_resume"
    assert len(server.call("play_list")["items"]) == 1

    forget_marks(server.hero)
    moved = move(server, play)["play"]
    assert moved["origin"] == {"play_sid": play["sid"], "how": "carry_over"}
    moved = server.settled(moved["sid"])
    assert server.hero.marks() == ["price v3", "tell 30"], "the changed step, and what takes its output"
    assert moved["workflow_version"] == 3 and "moved_to" not in moved
    assert server.ended(play["sid"])["status"] == "cancelled", "two that do the same must not go on"

    server.resume(moved, "approve", True)
    assert server.ended(moved["sid"])["output_data"] == "v3: costs 30, booked, True"
    assert server.hero.marks() == ["price v3", "tell 30"]


def test_a_changed_step_that_returns_the_same_leaves_what_takes_it_alone(server: Server) -> None:
    save(server, release("v1"))
    play = start(server)
    save(server, release("v2"))
    forget_marks(server.hero)
    moved = server.settled(move(server, play)["play"]["sid"])
    assert server.hero.marks() == ["price v2"]
    server.resume(moved, "approve", False)
    assert server.ended(moved["sid"])["output_data"] == "v2: costs 20, booked, False"


def test_it_can_be_carried_over_again_and_back(server: Server) -> None:
    save(server, release("v1"))
    play = start(server)
    save(server, release("v2", 3))
    second = server.settled(move(server, play)["play"]["sid"])
    save(server, release("v3", 3))
    forget_marks(server.hero)
    third = server.settled(move(server, second)["play"]["sid"])
    assert server.hero.marks() == ["price v3"]
    back = server.settled(move(server, third, version="1")["play"]["sid"])
    assert server.hero.marks() == ["price v3", "price v1"], "what it had told of 20 was never forgotten"
    server.resume(back, "approve", True)
    assert server.ended(back["sid"])["output_data"] == "v1: costs 20, booked, True"


TWO_QUESTIONS = """
@flow
def release() -> str:
    first = flow.pause("first", ui={"prompt": "{prompt}"})
    {between}
    second = flow.pause("second")
    return f"{first} {second}"
"""


def questions(prompt: str, between: str = "") -> str:
    return TWO_QUESTIONS.replace("{prompt}", prompt).replace("{between}", between or "pass")


def test_an_answer_is_carried_where_the_same_is_asked(server: Server) -> None:
    save(server, questions("Really?"))
    play = start(server)
    server.resume(play, "first", "yes")
    play = server.settled(play["sid"])
    save(server, questions("Really?", 'mark("between")'))
    moved = server.settled(move(server, play)["play"]["sid"])
    assert [request["name"] for request in moved["pending_resumes"]] == ["second"]
    (first,) = moved["received_resumes"]
    assert (first["payload"], first["resumed_by"]["by"]) == ("yes", "rpc")
    assert "is_carried" not in first and server.hero.marks() == ["between"]

    save(server, questions("REALLY?"))
    again = server.settled(move(server, moved)["play"]["sid"])
    assert [request["name"] for request in again["pending_resumes"]] == ["first"], "it is another question"
    server.resume(again, "first", "still")
    again = server.settled(again["sid"])
    server.resume(again, "second", "done")
    assert server.ended(again["sid"])["output_data"] == "still done"


NESTED = """
@flow
def inner() -> str:
    mark("inner {inner}")
    return "{inner}"

@flow
def beside() -> str:
    mark("beside")
    return "beside"

@flow
def outer() -> str:
    mark("outer")
    return beside() + inner()

@flow
def release() -> str:
    result = outer()
    return result + flow.pause("q")
"""


def test_what_calls_a_changed_step_runs_again_and_what_it_calls_beside_does_not(server: Server) -> None:
    save(server, NESTED.replace("{inner}", "one"))
    play = start(server)
    save(server, NESTED.replace("{inner}", "two"))
    foretold = move(server, play, dry_run=True)
    assert (names(foretold["kept"]), sorted(names(foretold["rerun"]))) == (["beside"], ["inner", "outer"])
    forget_marks(server.hero)
    moved = server.settled(move(server, play)["play"]["sid"])
    assert server.hero.marks() == ["outer", "inner two"]
    server.resume(moved, "q", "!")
    assert server.ended(moved["sid"])["output_data"] == "besidetwo!"


def test_a_step_that_is_gone_is_told_and_a_step_can_be_asked_to_run_again(server: Server) -> None:
    save(server, release("v1"))
    play = start(server)
    source = release("v1").replace("def book()", "def reserve()").replace("= book()", "= reserve()")
    save(server, source)
    foretold = move(server, play, dry_run=True, rerun=["tell"])
    assert names(foretold["kept"]) == ["fetch", "price"]
    assert (names(foretold["rerun"]), names(foretold["orphaned"])) == (["tell"], ["book"])
    forget_marks(server.hero)
    moved = server.settled(move(server, play, rerun=["tell"])["play"]["sid"])
    assert server.hero.marks() == ["tell 20", "book"], "reserve marks as book did"
    assert moved["left_over"] == []


def test_a_play_that_failed_is_carried_over_to_succeed(server: Server) -> None:
    mended = release("v1", asks="ok = ship()").replace("@flow\ndef release", "{ship}\n@flow\ndef release")
    broken_ship = "@flow\ndef ship() -> str:\n    mark('broken')\n    raise ValueError('no')\n"
    good_ship = "@flow\ndef ship() -> str:\n    mark('mended')\n    return 'shipped'\n"
    save(server, mended.replace("{ship}", broken_ship))
    play = start(server)
    assert play["status"] == "failed"
    save(server, mended.replace("{ship}", good_ship))
    forget_marks(server.hero)
    moved = server.ended(move(server, play)["play"]["sid"])
    assert moved["output_data"] == "v1: costs 20, booked, shipped"
    assert server.hero.marks() == ["mended"]
    assert server.call("play_get", play_sid=play["sid"])["status"] == "failed", "what has ended stays"


def test_a_restart_takes_the_inputs_and_nothing_else(server: Server) -> None:
    save(server, release("v1"))
    play = start(server)
    save(server, release("v2", 3))
    foretold = move(server, play, "restart", dry_run=True)
    assert foretold["kept"] == [] and len(foretold["rerun"]) == 4
    forget_marks(server.hero)
    moved = server.settled(move(server, play, "restart")["play"]["sid"])
    assert server.hero.marks() == ["fetch", "price v2", "tell 30", "book"]
    assert (moved["workflow_version"], moved["launch"]) == (2, 1)
    assert server.ended(play["sid"])["status"] == "cancelled"


def test_to_continue_and_to_roll_back_leave_the_play_as_it_is(server: Server) -> None:
    save(server, release("v1"))
    play = start(server)
    save(server, release("v2", 3))
    for choice in ("continue", "roll_back"):
        foretold = move(server, play, choice, dry_run=True)
        assert names(foretold["kept"])[:4] == ["fetch", "price", "tell", "book"]
        assert (foretold["rerun"], foretold["orphaned"], foretold["to_version"]) == ([], [], 1)
    assert server.call("workflow_get", workflow="release")["number"] == 2, "a dry run changes nothing"
    assert move(server, play, "continue")["play"]["sid"] == play["sid"]
    assert "moved_to" not in move(server, play, "roll_back")["play"]
    assert server.call("workflow_get", workflow="release")["number"] == 1
    server.resume(play, "approve", True)
    assert server.ended(play["sid"])["output_data"] == "v1: costs 20, booked, True"


def test_what_cannot_be_moved_says_why_and_nothing_changes(server: Server) -> None:
    hero = server.hero
    running = 'mark("runs")\n    wait_for("go")\n    ok = 1'
    save(server, release("v1", asks=running))
    play = server.call("play_start", workflow_sid="release", working_dir=str(hero.work_dir))
    hero.saw("runs")
    save(server, release("v2").replace("def release()", "def release(must: int)"))
    assert refusal(server, play, dry_run=True).kind == "input_mismatch"
    assert refusal(server, play, version="1").kind == "illegal_transition", "a process of it runs"
    assert refusal(server, play, version="9", dry_run=True).kind == "version_not_found"
    assert refusal(server, play, "continue", version="1").kind == "invalid_params"
    assert refusal(server, play, "restart", rerun=["tell"]).kind == "invalid_params"
    hero.touch("go")
    assert server.ended(play["sid"])["output_data"] == "v1: costs 20, booked, 1"
    file = server.settled(server.start(release("v1"))["sid"])
    assert refusal(server, file).kind == "workflow_not_found", "a file has no versions"


def test_a_sleep_goes_on_from_where_it_stood(server: Server) -> None:
    sleeping = release("v1", asks="flow.sleep(2.5)\n    ok = flow.pause('q')")
    save(server, sleeping)
    sid = server.call("play_start", workflow_sid="release", working_dir=str(server.hero.work_dir))["sid"]
    server.hero.saw("book")

    def is_asleep() -> bool:
        return bool(server.call("play_get", play_sid=sid)["status"] == "awaiting_resume")

    eventually(is_asleep, "the play to sleep")
    play = server.call("play_get", play_sid=sid)
    (due,) = [request["expires_at"] for request in play["pending_resumes"]]
    save(server, sleeping.replace("v1", "v2"))
    moved = move(server, play)["play"]
    moved = server.settled(moved["sid"])
    (slept,) = [request for request in moved["received_resumes"] if request["kind"] == "timer"]
    assert slept["expires_at"] == due and slept["resumed_at"] >= due


def test_the_command_line_moves_a_play(hero: Hero) -> None:
    def saved(source: str) -> None:
        assert hero("workflow", "save", hero.write(source), "--name", "release").code == 0

    saved(release("v1"))
    started = hero("run", "release", "--json", cwd=Path(hero.work_dir))
    assert started.code == 75, started
    play = started.json()["sid"]
    saved(release("v2", 3))
    foretold = hero("move", play, "carry-over", "--dry-run")
    assert foretold.code == 0, foretold
    lines = foretold.stdout.splitlines()
    assert lines[0] == "would go from version 1 to version 2"
    assert "run again" in lines and any(line.startswith("price") for line in lines), foretold
    moved = hero("move", play, "carry-over")
    assert moved.code == 75 and "3 kept, 1 to run again, 0 without code" in moved.stderr, moved
    assert hero("move", play, "sideways").code == 2
