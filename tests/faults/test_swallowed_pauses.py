"""However a flow catches, drops or replaces what a pause raises, the play pauses and gets its answer."""

import sys

import pytest

from support.hero import Json, Server

SWALLOWED = {
    "a bare except": """
    @flow
    def asks():
        try:
            return flow.pause("q")
        except:
            return "swallowed"
    """,
    "except BaseException": """
    @flow
    def asks():
        try:
            return flow.pause("q")
        except BaseException as error:
            return repr(error)
    """,
    "another exception": """
    @flow
    def asks():
        try:
            return flow.pause("q")
        except BaseException:
            raise ValueError("in place of the pause")
    """,
    "a finally that returns": """
    @flow
    def asks():
        answer = "swallowed"
        try:
            answer = flow.pause("q")
        finally:
            return answer
    """,
    "a finally that raises": """
    @flow
    def asks():
        answer = None
        try:
            answer = flow.pause("q")
        finally:
            if answer is None:
                raise ValueError("in place of the pause")
        return answer
    """,
    "a finally that pauses again": """
    @flow
    def asks():
        answer = None
        try:
            answer = flow.pause("q")
        finally:
            if answer is None:
                flow.pause("never asked")
        return answer
    """,
    "contextlib.suppress": """
    import contextlib

    @flow
    def asks():
        answer = "swallowed"
        with contextlib.suppress(BaseException):
            answer = flow.pause("q")
        return answer
    """,
    "an __exit__ that says it is handled": """
    class Handles:
        def __enter__(self): return self
        def __exit__(self, *_): return True

    @flow
    def asks():
        answer = "swallowed"
        with Handles():
            answer = flow.pause("q")
        return answer
    """,
    "a context manager made of a generator": """
    import contextlib

    @contextlib.contextmanager
    def handles():
        try:
            yield
        except BaseException:
            pass

    @flow
    def asks():
        answer = "swallowed"
        with handles():
            answer = flow.pause("q")
        return answer
    """,
    "a generator": """
    def answers():
        try:
            yield flow.pause("q")
        except BaseException:
            yield "swallowed"

    @flow
    def asks():
        return next(answers())
    """,
    "a generator that is closed": """
    def waits():
        try:
            yield
        finally:
            Answer.given = flow.pause("q")

    class Answer:
        given = "swallowed"

    @flow
    def asks():
        generator = waits()
        next(generator)
        try:
            generator.close()
        except BaseException:
            pass
        return Answer.given
    """,
    "an except handler": """
    @flow
    def asks():
        try:
            raise ValueError("first")
        except ValueError:
            try:
                return flow.pause("q")
            except BaseException:
                return "swallowed"
    """,
    "a finalizer": """
    class Asks:
        def __del__(self):
            Asks.answer = flow.pause("q")

    @flow
    def asks():
        Asks.answer = "swallowed"
        Asks()
        return Asks.answer
    """,
    "a key function": """
    @flow
    def asks():
        try:
            return max([1], key=lambda number: number < flow.pause("q")) * 5
        except BaseException:
            return "swallowed"
    """,
    "three attempts": """
    @flow
    def asks():
        for attempt in range(3):
            try:
                return flow.pause("q")
            except BaseException:
                pass
        return "swallowed"
    """,
    "a step": """
    @flow
    def step():
        try:
            return flow.pause("q")
        except BaseException:
            return "swallowed"

    @flow
    def asks():
        return step()
    """,
    "the caller of a step": """
    @flow
    def step():
        return flow.pause("q")

    @flow
    def asks():
        try:
            return step()
        except BaseException:
            return "swallowed"
    """,
    "five levels of steps": """
    @flow
    def level(depth: int):
        try:
            return level(depth - 1) if depth else flow.pause("q")
        except BaseException:
            return "swallowed"

    @flow
    def asks():
        return level(5)
    """,
    "a sub-flow": """
    @flow
    def sub(n: int):
        return flow.pause("q")

    @flow
    def asks():
        try:
            return flow.invoke("sub", n=1)
        except BaseException:
            return "swallowed"
    """,
    "a flow.step block": """
    @flow
    def asks():
        try:
            with flow.step("block"):
                return flow.pause("q")
        except BaseException:
            return "swallowed"
    """,
    "a thread whose exception nobody sees": """
    import threading

    @flow
    def asks():
        answers = []
        thread = threading.Thread(target=lambda: answers.append(flow.pause("q")))
        thread.start()
        thread.join()
        return answers[0] if answers else "swallowed"
    """,
    "a pool whose result nobody asks for": """
    from concurrent.futures import ThreadPoolExecutor

    @flow
    def asks():
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(flow.pause, "q")
        return "swallowed" if answer.exception() else answer.result()
    """,
    "gather that returns exceptions": """
    import asyncio

    @flow
    async def step():
        return flow.pause("q")

    @flow
    async def asks():
        (answer,) = await asyncio.gather(step(), return_exceptions=True)
        return answer if isinstance(answer, int) else "swallowed"
    """,
    "a task that is never awaited": """
    import asyncio

    @flow
    async def step():
        Answer.given = flow.pause("q")

    class Answer:
        given = "swallowed"

    @flow
    async def asks():
        task = asyncio.create_task(step())
        await asyncio.sleep(0.05)
        return Answer.given
    """,
    "wait_for": """
    import asyncio

    @flow
    async def step():
        return flow.pause("q")

    @flow
    async def asks():
        try:
            return await asyncio.wait_for(step(), 60)
        except BaseException:
            return "swallowed"
    """,
    "to_thread": """
    import asyncio

    @flow
    async def asks():
        try:
            return await asyncio.to_thread(flow.pause, "q")
        except BaseException:
            return "swallowed"
    """,
    "an event loop of one's own": """
    import asyncio

    async def inner():
        return flow.pause("q")

    @flow
    def asks():
        try:
            return asyncio.run(inner())
        except BaseException:
            return "swallowed"
    """,
}

GROUPS = {
    "a task group": """
    import asyncio

    @flow
    async def step():
        return flow.pause("q")

    @flow
    async def asks():
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(step())
        return answer.result()
    """,
    "a task group inside a task group": """
    import asyncio

    @flow
    async def step():
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(asyncio.to_thread(flow.pause, "q"))
        return answer.result()

    @flow
    async def asks():
        try:
            async with asyncio.TaskGroup() as group:
                answer = group.create_task(step())
            return answer.result()
        except BaseExceptionGroup:
            return "swallowed"
    """,
    "except*": """
    import asyncio

    @flow
    async def step():
        return flow.pause("q")

    @flow
    async def asks():
        answer = None
        try:
            async with asyncio.TaskGroup() as group:
                answer = group.create_task(step())
        except* BaseException:
            pass
        return answer.result() if answer.exception() is None else "swallowed"
    """,
}

ANSWER = 5


@pytest.fixture(scope="module")
def plays(module_server: Server) -> dict[str, tuple[Json, Json]]:
    """Each of the plays as it stood at its question, and as it ended."""
    server = module_server
    cases = SWALLOWED | (GROUPS if sys.version_info >= (3, 11) else {})
    started = [server.start(source, flow="asks") for source in cases.values()]
    paused = [server.settled(play["sid"]) for play in started]
    for play in paused:
        if play["status"] == "awaiting_resume":
            server.resume(play, "q", ANSWER)
    ended = [server.settled(play["sid"]) for play in started]
    return dict(zip(cases, zip(paused, ended, strict=True), strict=True))


@pytest.mark.parametrize("case", [*SWALLOWED, *GROUPS])
def test_a_swallowed_pause_pauses_all_the_same(plays: dict[str, tuple[Json, Json]], case: str) -> None:
    if case not in plays:
        pytest.skip("this Python has no task groups")
    paused, ended = plays[case]
    assert paused["status"] == "awaiting_resume", paused
    assert [request["name"] for request in paused["pending_resumes"]] == ["q"]
    assert (ended["status"], ended["output_data"]) == ("success", ANSWER), ended
    assert ended["launch"] == 2


def test_a_hundred_pauses_in_a_row_are_answered_one_by_one(server: Server) -> None:
    n_pauses = 100
    sid = server.start("""
    @flow
    def asks(n: int):
        return [flow.pause(f"q{index}") for index in range(n)]
    """, input_data={"n": n_pauses})["sid"]  # fmt: skip
    for index in range(n_pauses):
        server.resume(server.settled(sid), f"q{index}", index)
    play = server.ended(sid)
    assert (play["output_data"], play["launch"]) == (list(range(n_pauses)), n_pauses + 1)


def test_a_pause_that_is_swallowed_for_ever_still_ends_the_process(server: Server) -> None:
    sid = server.start("""
    @flow
    def asks():
        while True:
            try:
                return flow.pause("q")
            except BaseException:
                pass
    """)["sid"]
    play = server.call("play_wait", play_sid=sid, until="settled", timeout_ms=10_000)
    assert play["status"] == "awaiting_resume", play
    server.resume(play, "q", ANSWER)
    assert server.ended(sid)["output_data"] == ANSWER
