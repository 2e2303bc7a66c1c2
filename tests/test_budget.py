"""What plays spend is summed once, whatever dies, and a budget stops them without losing anything."""

import pytest

from support import processes
from support.hero import Hero, Json, Server

THINKS = """
@flow
def think(about: str, usd: float = 0.25, tokens: int = 100, spoils: bool = False) -> str:
    mark(f"think {about}")
    flow.annotate(cost_usd=usd, input_tokens=tokens, output_tokens=tokens // 10)
    if spoils and not Path("go").exists():
        wait_for("never")
    return about

@flow
def outer(about: str) -> str:
    flow.annotate(cost_usd=0.125)
    return think(about)
"""

PAUSES = (
    THINKS
    + """
@flow
def report() -> str:
    flow.annotate(cost_usd=0.5)
    outer("one")
    think("two")
    mark("before")
    ask_user.confirm("go", "Go on?")
    think("three")
    return "done"
"""
)


def spent(play: Json) -> tuple[float, int, int]:
    return play["total_cost_usd"], play["total_input_tokens"], play["total_output_tokens"]


def test_each_step_counts_once_and_the_rest_as_the_latest_launch_has_it(server: Server) -> None:
    play = server.settled(server.start(PAUSES, flow="report")["sid"])
    assert spent(play) == (0.25 + 0.125 + 0.25 + 0.5, 200, 20)
    server.resume(play, "go", True)
    assert spent(server.ended(play["sid"])) == (0.25 + 0.125 + 0.25 + 0.25 + 0.5, 300, 30)


@pytest.mark.parametrize("victim", ["launch", "server"])
def test_a_death_loses_nothing_and_counts_nothing_twice(hero: Hero, victim: str) -> None:
    source = (
        THINKS
        + """
@flow
def report() -> str:
    outer("one")
    think("two")
    mark("before")
    wait_for("go")
    think("three")
    return "done"
"""
    )
    server = hero.start_server()
    sid = server.start(source, flow="report")["sid"]
    hero.saw("before")
    if victim == "launch":
        assert processes.kill(processes.launches_in(hero.home)) > 0
        hero.touch("go")
    else:
        server.kill()
        hero.touch("go")
        server = hero.start_server()
    play = server.ended(sid)
    assert play["launch"] == 2
    assert spent(play) == (0.25 + 0.125 + 0.25 + 0.25, 300, 30)
    assert hero.marks().count("think one") == 1
    server.stop()


def test_a_step_that_was_killed_has_spent_what_it_said(hero: Hero) -> None:
    source = (
        THINKS
        + """
@flow
def report() -> str:
    return think("one", spoils=True)
"""
    )
    with hero.server() as server:
        sid = server.start(source, flow="report")["sid"]
        hero.saw("think one")
        # Beyond the mark comes the annotation, which nobody acknowledges; the next launch waits for it.
        while not any(span["tags"] for span in spans(server, sid) if "tags" in span):
            pass
        hero.touch("go")
        assert processes.kill(processes.launches_in(hero.home)) > 0
        assert spent(server.ended(sid)) == (0.5, 200, 20), "it was spent twice"


def spans(server: Server, sid: str) -> list[Json]:
    found: list[Json] = server.call("play_spans", play_sid=sid)["items"]
    return found


LOOP = (
    THINKS
    + """
@flow
def loop(n: int = 5) -> str:
    for i in range(n):
        think(str(i))
    return "done"
"""
)


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"cost_usd": 0.5}, ["$0.5", "$0.75"]),
        ({"tokens": 250}, ["250 tokens", "330"]),
        ({"cost_usd": 100, "tokens": 320}, ["320 tokens", "330"]),
    ],
)
def test_a_budget_stops_a_play_and_a_retry_with_a_higher_one_goes_on(
    hero: Hero, budget: Json, told: list[str]
) -> None:
    with hero.server() as server:
        play = server.ended(server.start(LOOP, flow="loop", budget=budget)["sid"])
        error = play["error"]
        assert (play["status"], error["kind"]) == ("failed", "budget_exceeded"), play
        assert all(part in error["message"] for part in told), error
        assert spent(play) == (0.75, 300, 30)
        assert hero.marks() == ["think 0", "think 1", "think 2"]
        with pytest.raises(Exception, match="more than the budget"):
            server.call("play_retry", play_sid=play["sid"])
        higher = {"cost_usd": 2.0}
        again = server.ended(server.call("play_retry", play_sid=play["sid"], budget=higher)["sid"])
        assert (again["status"], again["output_data"], again["budget"]) == ("success", "done", higher)
        assert spent(again) == (0.5, 200, 20), "what the earlier play spent is not counted again"
        assert hero.marks() == [f"think {i}" for i in range(5)], "nothing ran twice"


def test_a_retry_counts_what_the_plays_before_it_have_spent(hero: Hero) -> None:
    with hero.server() as server:
        first = server.ended(server.start(LOOP, flow="loop", budget={"cost_usd": 0.3})["sid"])
        second = server.call("play_retry", play_sid=first["sid"], budget={"cost_usd": 0.8})
        second = server.ended(second["sid"])
        assert second["error"]["kind"] == "budget_exceeded"
        assert "$1 are spent" in second["error"]["message"], second["error"]
        third = server.call("play_retry", play_sid=second["sid"], budget={"cost_usd": 1.25})
        assert server.ended(third["sid"])["status"] == "success"
        assert hero.marks() == [f"think {i}" for i in range(5)]


def test_a_crash_between_the_outcome_and_the_failure_lets_no_further_step_run(hero: Hero) -> None:
    source = (
        THINKS
        + """
@flow
def loop() -> None:
    think("one")
    ask_user.confirm("go", "Go on?")
    think("two", usd=1.0)
    think("three")
"""
    )
    server = hero.start_server()
    play = server.settled(server.start(source, flow="loop", budget={"cost_usd": 1.0})["sid"])
    server.resume(play, "go", True)
    hero.saw("think two")
    server.kill()
    server = hero.start_server()
    ended = server.ended(play["sid"])
    assert ended["error"]["kind"] == "budget_exceeded", ended
    assert "think three" not in hero.marks()
    server.stop()


def test_a_play_within_its_budget_is_not_disturbed(server: Server) -> None:
    play = server.ended(server.start(LOOP, flow="loop", budget={"cost_usd": 1.25, "tokens": 550})["sid"])
    assert (play["status"], spent(play)) == ("success", (1.25, 500, 50))


def test_the_command_gives_a_budget(hero: Hero) -> None:
    file = hero.write(LOOP)
    finished = hero("run", f"{file}:loop", "--budget-usd", "0.3", "--budget-tokens", "5000")
    assert finished.code == 1, finished
    assert "the budget is $0.3, and $0.5 are spent" in finished.stderr, finished
    (play,) = hero.plays()
    assert f"hero_logic retry {play['sid']} --budget-usd" in finished.stderr
    shown = hero("show", play["sid"]).stdout
    assert "$0.5 of $0.3, 220 of 5000 tokens" in shown, shown
    again = hero("retry", play["sid"], "--budget-usd", "2")
    assert (again.code, again.stdout) == (0, "done\n"), again


@pytest.mark.parametrize(
    "budget",
    [
        {},
        {"cost_usd": -1},
        {"tokens": -1},
        {"tokens": 1.5},
        {"cost_usd": "1"},
        {"usd": 1},
        5,
        {"cost_usd": None},
    ],
)
def test_what_is_no_budget_starts_nothing(server: Server, budget: Json) -> None:
    with pytest.raises(Exception, match=r"budget|parameters"):
        server.start(LOOP, flow="loop", budget=budget)
    assert server.call("play_list")["items"] == []
