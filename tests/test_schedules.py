"""Schedules: plays that start by the clock, once for each due time, and what became of them."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from support import processes
from support.hero import Hero, Json, Server, items
from support.rpc import RpcFailure
from support.waiting import eventually

REPORT = """
@flow
def report(place: str, holds: bool = False, fails: bool = False) -> str:
    os.chdir(place)
    mark("began")
    if holds:
        wait_for("go")
    if fails:
        raise RuntimeError("no paper")
    mark("ended")
    return "printed"
"""

HOUR_MS = 3_600_000
IN_A_WHILE = 4_000_000_000_000_000
"""A moment after 2090."""


@pytest.fixture(autouse=True)
def _saved(request: pytest.FixtureRequest) -> None:
    """Where a test has a server, the workflow is there."""
    if "server" in request.fixturenames:
        save(request.getfixturevalue("server"), REPORT)


def save(server: Server, source: str) -> Json:
    file = server.hero.write(source)
    return server.call("workflow_save", name="report", file=str(file))


def add(server: Server, **params: Json) -> Json:
    inputs = {"place": str(server.hero.work_dir)} | params.pop("input_data", {})
    return server.call("schedule_add", workflow="report", input_data=inputs, **params)["schedule"]


def history(server: Server, schedule: str = "report") -> list[Json]:
    """What became of its due times, the first one first."""
    return items(server.call("schedule_history", schedule=schedule))[::-1]


def outcomes(server: Server, schedule: str = "report") -> list[str]:
    """The history in words."""

    def word(item: Json) -> str:
        outcome = item["firing"]["outcome"]
        if isinstance(outcome, str):
            return outcome
        ((kind, data),) = outcome.items()
        return f"skipped {data['reason']}" if kind == "skipped" else f"{kind} {item['play_status']}"

    return [word(item) for item in history(server, schedule)]


def play_of(item: Json) -> str:
    sid: str = item["firing"]["outcome"]["started"]["play_sid"]
    return sid


def when_it_has(server: Server, look: Callable[[list[str]], bool], what: str) -> list[str]:
    def found() -> list[str] | None:
        told = outcomes(server)
        return told if look(told) else None

    told = eventually(found, f"{what} (so far {outcomes(server)})")
    assert told is not None
    return told


def in_a_moment() -> int:
    return time.time_ns() // 1000 + 1_500_000


# --- Due times ------------------------------------------------------------------------------------


def test_a_schedule_starts_a_play_at_each_due_time(server: Server) -> None:
    schedule = add(server, every_ms=1000)
    when_it_has(server, lambda told: told.count("started success") >= 3, "three plays")
    server.call("schedule_pause", schedule="report")
    found = history(server)
    due = [item["firing"]["due_at"] for item in found]
    assert due == [schedule["created_at"] + n * 1_000_000 for n in range(1, len(due) + 1)]
    plays = [server.call("play_get", play_sid=play_of(item)) for item in found]
    assert len({play["sid"] for play in plays}) == len(found)
    for play, item in zip(plays, found, strict=True):
        assert play["idempotency_key"] == item["firing"]["id"]
        assert play["started_by"] == {"by": "schedule", "schedule": schedule["sid"]}
        assert play["name"] == "report"
    listed = items(server.call("play_list", started_by=f"schedule:{schedule['sid']}"))
    assert {play["sid"] for play in listed} == {play["sid"] for play in plays}


def test_a_one_time_schedule_is_retired_and_keeps_its_history(server: Server) -> None:
    at = in_a_moment()
    once = add(server, at=at)
    assert server.call("schedule_get", schedule="report")["upcoming"] == [at]
    when_it_has(server, lambda told: told == ["started success"], "its one play")
    detail = server.call("schedule_get", schedule=once["sid"])
    assert (detail["schedule"]["state"], detail["upcoming"]) == ("retired", [])
    assert detail["latest"]["play_status"] == "success"
    with pytest.raises(RpcFailure) as refused:
        server.call("schedule_unpause", schedule="report")
    assert refused.value.kind == "schedule_invalid"
    server.stop()
    with server.hero.server() as restarted:
        assert outcomes(restarted) == ["started success"]
        restarted.call("play_delete", play_sid=play_of(history(restarted)[0]))
        assert outcomes(restarted) == ["started None"], "the history outlives the play"


def test_the_next_five_due_times_are_told(server: Server) -> None:
    add(server, cron="30 2 * * *", time_zone="Europe/Berlin")
    upcoming = server.call("schedule_get", schedule="report")["upcoming"]
    assert len(upcoming) == 5
    assert all(later > due for due, later in pairwise(upcoming))
    for due in upcoming:
        clock = time.gmtime(due / 1_000_000)
        assert (clock.tm_hour, clock.tm_min) in {(0, 30), (1, 30), (1, 0)}
    assert server.call("schedule_list")["items"][0]["upcoming"] == upcoming


# --- Overlap --------------------------------------------------------------------------------------


def test_skip_lets_one_play_at_a_time_run_and_says_what_it_skipped(server: Server) -> None:
    add(server, every_ms=1000, input_data={"holds": True})
    when_it_has(server, lambda told: told.count("skipped overlap") >= 2, "skipped due times")
    assert outcomes(server).count("started running") == 1
    first, second, *_ = history(server)
    assert second["firing"]["outcome"]["skipped"]["play_sid"] == play_of(first)
    server.hero.touch("go")
    when_it_has(server, lambda told: told.count("started success") >= 2, "a further play")


def test_queue_starts_them_one_after_the_other(server: Server) -> None:
    add(server, every_ms=1000, overlap="queue", input_data={"holds": True})
    when_it_has(server, lambda told: told[:3] == ["started running", "queued", "queued"], "a queue")
    assert server.hero.marks() == ["began"]
    server.call("schedule_pause", schedule="report")
    due = len(history(server))
    server.hero.touch("go")
    eventually(lambda: outcomes(server)[0] == "started success", "the first one to end")
    assert "queued" in outcomes(server), "what waits stays where it is during a pause"
    server.call("schedule_unpause", schedule="report")
    when_it_has(server, lambda told: told[:due] == ["started success"] * due, "all of the queue")
    marks = server.hero.marks()
    assert marks[: 2 * due] == ["began", "ended"] * due


def test_allow_starts_them_side_by_side(server: Server) -> None:
    add(server, every_ms=1000, overlap="allow", input_data={"holds": True})
    when_it_has(server, lambda told: told[:2] == ["started running"] * 2, "two plays at once")
    server.hero.touch("go")


def test_cancel_previous_ends_the_one_that_still_runs(server: Server) -> None:
    add(server, every_ms=1000, overlap="cancel_previous", input_data={"holds": True})
    when_it_has(
        server, lambda told: told[:2] == ["started cancelled"] * 2 and len(told) > 2, "two cancelled plays"
    )
    assert outcomes(server).count("started running") <= 1
    server.call("schedule_delete", schedule="report")
    server.hero.touch("go")


def test_a_play_that_fails_blocks_nothing(server: Server) -> None:
    add(server, every_ms=1000, input_data={"fails": True})
    when_it_has(server, lambda told: told.count("started failed") >= 2, "two failed plays")


def test_what_cannot_start_is_told_and_blocks_nothing(server: Server) -> None:
    add(server, every_ms=1000)
    save(server, "@flow\ndef report(other: int) -> int:\n    return other\n")
    when_it_has(server, lambda told: told.count("refused None") >= 2, "two refused due times")
    refused = next(item for item in history(server) if "refused" in item["firing"]["outcome"])
    assert "the inputs do not fit" in refused["firing"]["outcome"]["refused"]["message"]
    save(server, REPORT)
    when_it_has(server, lambda told: "started success" in told, "a play again")


# --- People ---------------------------------------------------------------------------------------


def test_a_paused_schedule_fires_nothing_and_says_so_later(server: Server) -> None:
    add(server, every_ms=1000, paused=True)
    assert server.call("schedule_get", schedule="report")["upcoming"] == []
    created = server.call("schedule_get", schedule="report")["schedule"]["created_at"]
    eventually(lambda: time.time_ns() // 1000 > created + 2_100_000, "two due times to pass")
    assert outcomes(server) == []
    server.call("schedule_unpause", schedule="report")
    when_it_has(server, lambda told: "started success" in told, "a play")
    assert outcomes(server)[0] == "skipped paused"
    skipped = history(server)[0]["firing"]["outcome"]["skipped"]
    assert skipped["n_due"] >= 2
    assert history(server)[1]["firing"]["due_at"] == skipped["last_due_at"] + 1_000_000, "none is left out"


def test_a_schedule_is_run_now_beside_its_due_times(server: Server) -> None:
    add(server, every_ms=HOUR_MS, paused=True, input_data={"holds": True})
    before = server.call("schedule_get", schedule="report")["schedule"]["due"]
    ran = server.call("schedule_run", schedule="report")
    assert ran["play_status"] == "running" and ran["firing"]["is_asked_for"]
    again = server.call("schedule_run", schedule="report")
    assert again["firing"]["outcome"]["skipped"]["reason"] == "overlap"
    server.hero.touch("go")
    server.ended(play_of(ran))
    assert server.call("schedule_run", schedule="report")["firing"]["outcome"]["started"]
    assert server.call("schedule_get", schedule="report")["schedule"]["due"] == before


def test_a_schedule_is_deleted_with_its_history_and_without_its_plays(server: Server) -> None:
    add(server, every_ms=HOUR_MS)
    ran = server.call("schedule_run", schedule="report")
    server.ended(play_of(ran))
    server.call("schedule_delete", schedule="report")
    for method in ("schedule_get", "schedule_history", "schedule_pause", "schedule_run", "schedule_delete"):
        with pytest.raises(RpcFailure) as refused:
            server.call(method, schedule="report")
        assert refused.value.kind == "schedule_not_found"
    assert server.call("play_get", play_sid=play_of(ran))["status"] == "success"
    add(server, every_ms=HOUR_MS)
    assert outcomes(server) == [], "a new one of the same name begins anew"


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({}, "invalid_params"),
        ({"cron": "0 7 * * *", "every_ms": 1000}, "invalid_params"),
        ({"every_ms": 1000, "time_zone": "UTC"}, "invalid_params"),
        ({"cron": "0 7 * *"}, "schedule_invalid"),
        ({"cron": "61 * * * *"}, "schedule_invalid"),
        ({"cron": "0 0 30 2 *"}, "schedule_invalid"),
        ({"cron": "0 7 * * *", "time_zone": "Europe/Nowhere"}, "schedule_invalid"),
        ({"cron": "0 7 * * *", "time_zone": "../../etc/passwd"}, "schedule_invalid"),
        ({"every_ms": 999}, "schedule_invalid"),
        ({"every_ms": 2**64 - 1}, "schedule_invalid"),
        ({"at": 1}, "schedule_invalid"),
        ({"every_ms": 1000, "catch_up_ms": 999}, "schedule_invalid"),
        ({"at": IN_A_WHILE, "name": "two words"}, "invalid_name"),
        ({"at": IN_A_WHILE, "workflow": "nothing"}, "workflow_not_found"),
        ({"at": IN_A_WHILE, "input_data": {"place": 7}}, "input_mismatch"),
        ({"at": IN_A_WHILE, "input_data": []}, "input_mismatch"),
        ({"at": IN_A_WHILE, "overlap": "perhaps"}, "invalid_params"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_and_not_stored(server: Server, params: Json, kind: str) -> None:
    with pytest.raises(RpcFailure) as refused:
        server.call("schedule_add", **{"workflow": "report", "input_data": {"place": "/"}} | params)
    assert refused.value.kind == kind, refused.value
    assert server.call("schedule_list")["items"] == []


def test_a_name_is_taken_once(server: Server) -> None:
    add(server, at=IN_A_WHILE)
    with pytest.raises(RpcFailure) as refused:
        add(server, at=IN_A_WHILE)
    assert refused.value.kind == "schedule_exists"
    add(server, at=IN_A_WHILE, name="another")
    assert [item["schedule"]["name"] for item in server.call("schedule_list")["items"]] == [
        "another",
        "report",
    ]


def test_a_workflow_with_an_active_schedule_stays(server: Server) -> None:
    add(server, at=IN_A_WHILE)
    with pytest.raises(RpcFailure) as refused:
        server.call("workflow_delete", workflow="report")
    assert refused.value.kind == "workflow_in_use" and "schedule `report`" in refused.value.message
    server.call("schedule_pause", schedule="report")
    server.call("workflow_delete", workflow="report")
    with pytest.raises(RpcFailure) as refused:
        server.call("schedule_unpause", schedule="report")
    assert refused.value.kind == "workflow_not_found"
    ran = server.call("schedule_run", schedule="report")
    assert "no workflow" in ran["firing"]["outcome"]["refused"]["message"]


PLANS = """
@flow(plan=True)
def plan(place: str) -> list:
    os.chdir(place)
    mark("planned")
    return ["print"]

@flow
def report(place: str) -> list:
    return plan(place)
"""


def test_what_plans_anew_is_scheduled_only_where_it_may(server: Server) -> None:
    save(server, PLANS)
    with pytest.raises(RpcFailure) as refused:
        add(server, at=IN_A_WHILE)
    assert refused.value.kind == "schedule_invalid" and "plans" in refused.value.message
    add(server, at=IN_A_WHILE, allow_replan=True)
    ran = server.call("schedule_run", schedule="report")
    assert server.ended(play_of(ran))["status"] == "success"
    assert server.hero.marks() == ["planned"]


def test_a_version_that_came_later_and_plans_anew_fails_instead(server: Server) -> None:
    add(server, at=IN_A_WHILE)
    save(server, PLANS)
    ran = server.call("schedule_run", schedule="report")
    assert server.ended(play_of(ran))["status"] == "failed"
    assert server.hero.marks() == []


def test_a_workflow_saved_from_a_play_is_scheduled_with_its_declared_inputs(server: Server) -> None:
    save(server, PLANS)
    accepted = server.call(
        "play_start", workflow_sid="report", input_data={"place": str(server.hero.work_dir)}
    )["sid"]
    server.ended(accepted)
    saved = server.hero(
        *("workflow", "save", "--from-play", accepted, "--name", "frozen", "--input", "where:string"),
        *("--set", "place={{inputs.where}}", "--json"),
    )
    assert saved.json()["fully_frozen"] is True, saved
    inputs = {"where": str(server.hero.work_dir)}
    with pytest.raises(RpcFailure) as refused:
        server.call("schedule_add", workflow="frozen", at=IN_A_WHILE, input_data={"place": "/"})
    assert refused.value.kind == "input_mismatch"
    server.call("schedule_add", workflow="frozen", at=IN_A_WHILE, input_data=inputs)
    ran = server.call("schedule_run", schedule="frozen")
    play = server.ended(play_of(ran))
    assert (play["status"], play["output_data"]) == ("success", ["print"]), play
    assert server.hero.marks() == ["planned"], "once, before it was saved"


# --- Crashes --------------------------------------------------------------------------------------


def test_a_due_time_that_passes_while_no_server_runs_follows_the_catch_up_window(server: Server) -> None:
    add(server, every_ms=1000, name="late", overlap="allow")
    add(server, every_ms=1000, name="strict", catch_up_ms=1000, overlap="allow")
    eventually(lambda: "started success" in outcomes(server, "strict"), "a play")
    server.kill()
    down_until = time.time_ns() // 1000 + 4_000_000
    eventually(lambda: time.time_ns() // 1000 > down_until, "due times to pass")
    with server.hero.server() as restarted:
        eventually(lambda: "skipped missed" in outcomes(restarted, "strict"), "what was missed to be told")
        eventually(lambda: outcomes(restarted, "strict")[-1].startswith("started"), "a play")
        assert set(outcomes(restarted, "late")) <= {"started success", "started running", "claimed"}
        for schedule in ("late", "strict"):
            restarted.call("schedule_pause", schedule=schedule)
            assert_no_gap(restarted, schedule)


def assert_no_gap(server: Server, schedule: str) -> None:
    """Each due time has fired or stands in the history as skipped."""
    expected = server.call("schedule_get", schedule=schedule)["schedule"]["created_at"]
    for item in history(server, schedule):
        expected += 1_000_000
        assert item["firing"]["due_at"] == expected
        outcome = item["firing"]["outcome"]
        if "skipped" in outcome:
            expected = outcome["skipped"]["last_due_at"]


def test_a_play_that_was_running_when_the_server_died_still_counts_as_running(server: Server) -> None:
    add(server, every_ms=1000, input_data={"holds": True})
    when_it_has(server, lambda told: told[:1] == ["started running"], "a play")
    sid = play_of(history(server)[0])
    server.kill()
    with server.hero.server() as restarted:
        when_it_has(restarted, lambda told: "skipped overlap" in told, "a skipped due time")
        server.hero.touch("go")
        assert restarted.ended(sid)["status"] == "success"
        eventually(lambda: outcomes(restarted).count("started success") >= 2, "a further play")


def test_schedules_wait_for_a_server(hero: Hero) -> None:
    file = hero.write(REPORT)
    assert hero("workflow", "save", file, "--name", "report").code == 0
    added = hero("schedule", "add", "report", "--every", "1s", "-i", f"place={hero.work_dir}")
    assert added.code == 0 and "schedules fire while one does" in added.stderr, added
    assert hero("run", hero.write("@flow\ndef waits():\n    time.sleep(2)\n", "waits.py")).code == 0
    assert hero.marks() == []
    with hero.server():
        hero.saw("ended")


# --- The command ----------------------------------------------------------------------------------


def test_the_command_makes_shows_and_removes_schedules(hero: Hero) -> None:
    with hero.server() as server:
        save(server, REPORT)
        place = f"place={hero.work_dir}"
        zone = ["--time-zone", "Europe/Berlin"]
        added = hero(
            "schedule", "add", "report", "--cron", "30 2 * * *", *zone, "-i", place, "--jitter", "5m"
        )
        assert added.code == 0 and "report is active, due " in added.stderr, added
        ran = hero("schedule", "run", "report")
        assert ran.code == 0, ran
        assert hero("wait", ran.stdout.strip()).code == 0
        shown = hero("schedule", "show", "report").stdout
        assert "30 2 * * * Europe/Berlin" in shown and shown.count("due       ") == 5, shown
        assert f"success  {ran.stdout.strip()}" in shown, "the status is that of the play"
        as_json = hero("schedule", "show", "report", "--json").json()
        assert as_json["history"][0]["play_status"] == "success" and len(as_json["upcoming"]) == 5
        assert "report is paused" in hero("schedule", "pause", "report").stderr
        listed = hero("schedule", "list").stdout
        assert "paused" in listed and "success" in listed, listed
        assert "report is active" in hero("schedule", "unpause", "report").stderr
        assert hero("schedule", "delete", "report").code == 0
        assert "no schedules" in hero("schedule", "list").stderr
        unknown = hero("schedule", "show", "report")
        assert unknown.code == 2 and "there is no schedule `report`" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--cron"),
        (["--cron", "x y"], "is no cron expression"),
        (["--cron", "0 7 * * *", "--every", "5m"], "cannot be used with"),
        (["--every", "5m", "--time-zone", "UTC"], "belongs to `cron`"),
        (["--every", "5m", "--catch-up", "10ms"], "would let nothing fire"),
        (["--at", "2001-01-01"], "is never due"),
        (["--at", "soon"], "expected a moment in UTC"),
        (["--every", "1s", "--overlap", "maybe"], "cancel_previous"),
    ],
)
def test_a_schedule_that_cannot_be_is_told_in_a_line(hero: Hero, arguments: list[str], told: str) -> None:
    hero("workflow", "save", hero.write("@flow\ndef report(): ...\n"), "--name", "report")
    refused = hero("schedule", "add", "report", *arguments)
    assert refused.code == 2 and told in refused.stderr, refused
    assert "hint: " in refused.stderr or "expected" in refused.stderr


def test_nothing_is_left_of_plays_that_schedules_started(server: Server, tmp_path: Path) -> None:
    add(server, every_ms=1000)
    when_it_has(server, lambda told: "started success" in told, "a play")
    server.stop()
    assert processes.belonging_to(server.hero.home) == []
