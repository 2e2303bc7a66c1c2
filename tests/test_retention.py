"""Plays of a workflow go by themselves, where it is set so; what has not ended stays."""

import pytest

from support.hero import Hero, Json, Server, items
from support.waiting import eventually

ASKS = """
@flow
def job(n: int, ask: bool = False) -> int:
    if ask:
        ask_user.confirm("go", "Go on?")
    return n
"""


def listed(server: Server, **params: Json) -> list[str]:
    return [play["sid"] for play in items(server.call("play_list", **params))]


def test_the_newest_plays_of_a_workflow_are_kept_and_those_that_wait(hero: Hero) -> None:
    with hero.server() as server:
        file = str(hero.write(ASKS))
        server.call("workflow_save", name="job", file=file)
        server.call("workflow_save", name="other", file=file)

        def run(workflow: str, **inputs: Json) -> str:
            play = server.call("play_start", workflow_sid=workflow, input_data={"n": 1, **inputs})["sid"]
            assert isinstance(play, str)
            server.settled(play)
            return play

        waits = run("job", ask=True)
        plays = [run("job") for _ in range(4)]
        other = run("other")
        kept = server.call("workflow_retention", workflow="job", set={"last": 2})
        assert kept["keep_last"] == 2
        wanted = {waits, other, *plays[2:]}
        eventually(lambda: set(listed(server)) == wanted, "the older ones to go, and no other")
        assert server.call("workflow_retention", workflow="job") == kept
        server.kill()
    with hero.server() as again:
        assert again.call("workflow_retention", workflow="job") == kept, "it outlives the server"
        play = again.call("play_get", play_sid=waits)
        assert play["status"] == "awaiting_resume"
        again.resume(play, "go", True)
        again.ended(waits)
        again.call("workflow_retention", workflow="job", set={"days": 0.00001})
        eventually(lambda: listed(again) == [other], "all that have ended to go by their age")


def test_the_command_sets_and_tells_it(hero: Hero) -> None:
    file = hero.write(ASKS)
    assert hero("workflow", "save", file, "--name", "job").code == 0
    tell = ("workflow", "retention", "job")
    assert "all, for ever" in hero(*tell).stdout
    assert hero(*tell, "--keep-days", "30", "--keep-last", "5").code == 0
    told = hero(*tell).stdout
    assert "for 30 days after their end, at most the newest 5" in told
    assert hero(*tell, "--keep-all").code == 0
    assert "all, for ever" in hero(*tell).stdout


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("job", "--keep-days", "0"), "cannot be kept for 0 days"),
        (("job", "--keep-days=-1"), "cannot be kept for -1 days"),
        (("job", "--keep-days", "NaN"), "expected a number"),
        (("job", "--keep-days", "1e300"), "cannot be kept for"),
        (("job", "--keep-last=-1"), "-1"),
        (("job", "--keep-all", "--keep-last", "1"), "cannot be used with"),
        (("nobody", "--keep-last", "1"), "there is no workflow `nobody`"),
    ],
)
def test_a_bad_setting_changes_nothing(hero: Hero, args: tuple[str, ...], told: str) -> None:
    assert hero("workflow", "save", hero.write(ASKS), "--name", "job").code == 0
    finished = hero("workflow", "retention", *args)
    assert finished.code == 2, finished
    assert told in finished.stderr.splitlines()[0], finished
    assert "all, for ever" in hero("workflow", "retention", "job").stdout
