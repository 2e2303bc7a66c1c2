"""What a play remembers: each step's outcome, value or exception, once."""

from textwrap import dedent

import pytest

from support import records
from support.hero import Hero, launches


def test_a_record_created_before_a_pause_exists_once_after_the_resume(hero: Hero) -> None:
    with records.record_service(hero.home / "records.sock") as service:
        source = (
            records.CLIENT
            + """
@flow
def create(path: str) -> str:
    return rpc(path, "record_set", record={"title": "buy milk"})

@flow
def creates(path: str) -> str:
    sid = create(path)
    flow.pause("approve")
    return sid
"""
        )
        sid = hero.run(source, "-i", f"path={service.path}").json()["sid"]
        assert len(service.records) == 1
        hero("resume", sid, "approve", "true")
        assert hero.wait(sid)["output_data"] == next(iter(service.records))
        assert len(service.records) == 1


def test_a_handled_exception_is_raised_again_and_the_step_does_not_run_again(hero: Hero) -> None:
    sid = hero.run("""
    class Declined(Exception):
        pass

    @flow
    def charge(amount: int) -> str:
        mark("charge")
        raise Declined("card 4242", amount)

    @flow
    def pays() -> list:
        try:
            charge(30)
        except Declined as declined:
            caught = [type(declined).__name__, *declined.args]
        return [caught, flow.pause("go_on")]
    """).json()["sid"]
    hero("resume", sid, "go_on", "true")
    play = hero.wait(sid)
    assert play["output_data"] == [["Declined", "card 4242", 30], True]
    assert hero.marks() == ["charge"]
    assert launches(hero.spans(sid), "charge") == [(1, "failed"), (2, "replayed")]


def test_a_built_in_exception_comes_back_as_itself(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def look_up(key: str) -> str:
        mark("look_up")
        return {}[key]

    @flow
    def looks() -> list:
        try:
            look_up("k")
        except KeyError as error:
            caught = [type(error).__name__, error.args[0]]
        flow.pause("q")
        return caught
    """).json()["sid"]
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == ["KeyError", "k"]
    assert hero.marks() == ["look_up"]


def test_an_exception_that_cannot_be_rebuilt_comes_back_as_step_failed(hero: Hero) -> None:
    sid = hero.run("""
    from pyhero import StepFailed

    class Odd(Exception):
        def __init__(self, *, handle):
            super().__init__(handle)

    @flow
    def fails() -> None:
        mark("fails")
        raise Odd(handle=object())

    @flow
    def catches() -> list:
        try:
            fails()
        except (Odd, StepFailed) as error:
            caught = type(error).__name__
        return [caught, flow.pause("q")]
    """).json()["sid"]
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == ["StepFailed", 1]
    assert hero.marks() == ["fails"]


def test_a_polling_loop_of_equal_calls_replays_its_different_answers_in_order(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def poll(job: str) -> int:
        mark("poll")
        return len(Path("marks.txt").read_text().splitlines())

    @flow
    def loops() -> list:
        seen = [poll("job") for _ in range(5)]
        flow.pause("q")
        return seen
    """).json()["sid"]
    assert hero.marks() == ["poll"] * 5
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == [1, 2, 3, 4, 5]
    assert hero.marks() == ["poll"] * 5
    assert launches(hero.spans(sid), "poll") == [(1, "ok")] * 5 + [(2, "replayed")] * 5


def test_a_remembered_none_counts_as_remembered(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def silent() -> None:
        mark("silent")

    @flow
    def calls() -> list:
        return [silent(), flow.pause("q")]
    """).json()["sid"]
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == [None, 1]
    assert hero.marks() == ["silent"]


def test_recorded_time_and_chance_are_the_same_on_replay(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def records() -> bool:
        drawn = [flow.now().isoformat(), str(flow.uuid4()), repr(flow.random())]
        mark("|".join(drawn))
        return flow.pause("q")
    """).json()["sid"]
    hero("resume", sid, "q", "true")
    assert hero.wait(sid)["status"] == "success"
    first, second = hero.marks()
    assert first == second


def test_branches_in_threads_keep_their_memory_apart(hero: Hero) -> None:
    sid = hero.run("""
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    @flow
    def work(number: int) -> int:
        mark(f"work {number}")
        return number * number

    @flow
    def fans_out() -> list[int]:
        with ThreadPoolExecutor(8) as pool:
            branches = [pool.submit(copy_context().run, work, number) for number in range(20)]
        squares = [branch.result() for branch in branches]
        flow.pause("q")
        return squares
    """).json()["sid"]
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == [number * number for number in range(20)]
    assert sorted(hero.marks()) == sorted(f"work {number}" for number in range(20))


def test_async_steps_under_gather_keep_their_memory_apart(hero: Hero) -> None:
    sid = hero.run("""
    import asyncio

    @flow
    async def inner(number: int) -> int:
        mark(f"inner {number}")
        await asyncio.sleep(0)
        return number

    @flow
    async def outer(number: int) -> int:
        return 10 * await inner(number) + await inner(0)

    @flow
    async def fans_out() -> list[int]:
        tens = await asyncio.gather(*(outer(number) for number in (3, 1, 2)))
        flow.pause("q")
        return list(tens)
    """).json()["sid"]
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == [30, 10, 20]
    assert sorted(hero.marks()) == sorted(["inner 0"] * 3 + ["inner 1", "inner 2", "inner 3"])


def test_what_no_call_asked_for_is_shown_as_left_over(hero: Hero) -> None:
    sid = hero.run("""
    @flow
    def cheap() -> int:
        return 1

    @flow
    def dear() -> int:
        return 2

    @flow
    def wavers() -> list:
        price = cheap() if not Path("changed_mind").exists() else dear()
        return [price, flow.pause("q")]
    """).json()["sid"]
    hero.touch("changed_mind")
    hero("resume", sid, "q", "1")
    play = hero.wait(sid)
    assert play["output_data"] == [2, 1], "a call that is not remembered simply runs"
    assert [left["name"] for left in play["left_over"]] == ["cheap"]


def test_a_step_returns_on_the_first_run_what_replay_would_return(hero: Hero) -> None:
    sid = hero.run("""
    SHARED = []

    @flow
    def shares() -> list:
        SHARED.append(1)
        return SHARED

    @flow
    def compares() -> list:
        given = shares()
        SHARED.append(2)
        return [given, flow.pause("q")]
    """).json()["sid"]
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == [[1], 1]


def test_a_flow_runs_the_code_it_was_started_with(hero: Hero) -> None:
    source = """
    @flow
    def speaks() -> list:
        return [WORD, flow.pause("q")]
    """
    sid = hero.run("WORD = 'old'\n" + dedent(source)).json()["sid"]
    hero.write("WORD = 'new'\n" + dedent(source))
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["output_data"] == ["old", 1]


@pytest.mark.parametrize("how", ["idempotency_key", "current"])
def test_what_identifies_a_step_outside_is_the_same_in_every_launch(hero: Hero, how: str) -> None:
    call = {"idempotency_key": "flow.idempotency_key()", "current": "flow.current().sid"}[how]
    sid = hero.run(f"""
    @flow
    def marks_itself() -> None:
        mark({call})
        flow.pause("q")

    @flow
    def calls() -> None:
        marks_itself()
    """).json()["sid"]
    hero("resume", sid, "q", "1")
    assert hero.wait(sid)["status"] == "success"
    first, second = hero.marks()
    assert first == second and first
