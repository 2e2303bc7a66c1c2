"""A play that went well becomes a workflow: with declared inputs, and with its plans frozen."""

import pytest

from support import processes
from support.hero import Hero, Json, Server
from support.waiting import eventually

REPORT = '''
@flow(plan=True)
def plan(topic: str) -> list[str]:
    """Think up the chapters."""
    mark(f"plan {topic}")
    return [f"{topic} 1", f"{topic} 2"]

@flow
def part(topic: str, n: int) -> list[str]:
    return plan(f"{topic} part {n}")

@flow
def report(topic: str, title: str = "Report", n: int = 2, replans: bool = False) -> dict[str, object]:
    chapters = [plan("all")]
    for i in range(n):
        chapters.append(part(topic, i))
    chapters += flow.map(lambda i: plan(f"{topic} branch {i}"), range(2))
    if replans:
        chapters.append(plan("more"))
    mark("planned")
    if Path("wait").exists():
        wait_for("go")
    return {"title": title, "topic": topic, "chapters": chapters}
'''


def accepted(server: Server, **inputs: Json) -> Json:
    play = server.ended(server.start(REPORT, flow="report", input_data={"topic": "cats", **inputs})["sid"])
    assert play["status"] == "success", play
    return play


def save(server: Server, play: Json, **params: Json) -> Json:
    return server.call("workflow_save_from_play", play_sid=play["sid"], name="report", **params)


def run(server: Server, hero: Hero, **inputs: Json) -> Json:
    sid = server.call("play_start", workflow_sid="report", input_data=inputs, working_dir=str(hero.work_dir))[
        "sid"
    ]
    return server.ended(sid)


def test_a_later_play_replays_the_accepted_plans_with_other_inputs(hero: Hero) -> None:
    with hero.server() as server:
        play = accepted(server)
        saved = save(server, play)
        assert saved["fully_frozen"] is True
        assert saved["frozen"] == [
            "report/part#1/plan#1",
            "report/part#2/plan#1",
            "report/plan#1",
            "report[0]/plan#1",
            "report[1]/plan#1",
        ]
        planned = [mark for mark in hero.marks() if mark.startswith("plan ")]
        assert len(planned) == 5
        again = run(server, hero, topic="dogs", title="Dogs")
        assert again["status"] == "success", again
        assert again["output_data"]["chapters"] == play["output_data"]["chapters"], "the accepted plans"
        assert (again["output_data"]["topic"], again["output_data"]["title"]) == ("dogs", "Dogs")
        assert [mark for mark in hero.marks() if mark.startswith("plan ")] == planned, "nobody planned again"
        spans = server.call("play_spans", play_sid=again["sid"])["items"]
        assert {span["status"] for span in spans if span["name"] == "plan"} == {"replayed"}


def test_a_plan_that_is_missing_is_made(hero: Hero) -> None:
    with hero.server() as server:
        save(server, accepted(server))
        again = run(server, hero, topic="dogs", n=3, replans=True)
        assert again["status"] == "success", again
        assert hero.marks()[-3:] == ["plan dogs part 2", "plan more", "planned"]
        # Saved again it hands on what it had, and what it has planned now.
        saved = save(server, again)
        assert len(saved["frozen"]) == 7
        assert saved["workflow"]["version"] == 2
        assert save(server, again)["workflow"]["version"] == 2, "the same content again"


@pytest.mark.parametrize("victim", ["launch", "server"])
def test_a_death_in_a_play_with_frozen_plans_changes_nothing(hero: Hero, victim: str) -> None:
    server = hero.start_server()
    play = accepted(server)
    save(server, play)
    n_planned = len([mark for mark in hero.marks() if mark.startswith("plan ")])
    hero.touch("wait")
    sid = server.call(
        "play_start", workflow_sid="report", input_data={"topic": "x"}, working_dir=str(hero.work_dir)
    )["sid"]
    eventually(lambda: hero.marks().count("planned") == 2, "the second play to come so far")
    if victim == "launch":
        assert processes.kill(processes.launches_in(hero.home)) > 0
    else:
        server.kill()
    hero.touch("go")
    if victim == "server":
        server = hero.start_server()
    again = server.ended(sid)
    assert again["output_data"]["chapters"] == play["output_data"]["chapters"]
    assert len([mark for mark in hero.marks() if mark.startswith("plan ")]) == n_planned
    server.stop()


def test_declared_inputs_stand_in_texts(hero: Hero) -> None:
    with hero.server() as server:
        play = accepted(server, title="All about cats")
        saved = save(
            server,
            play,
            inputs=[
                {"name": "animal", "field_type": "string"},
                {"name": "year", "field_type": "integer", "default": 2026},
                {"name": "n"},
            ],
            input_data={
                "title": "All about {{inputs.animal}} in {{inputs.year}}",
                "topic": "{{inputs.animal}}",
            },
        )
        fields = {field["name"]: field for field in saved["workflow"]["inputs"]}
        assert list(fields) == ["animal", "year", "n"]
        assert (fields["animal"]["required"], fields["n"]["field_type"]) == (True, "integer")
        again = run(server, hero, animal="{{inputs.year}} dogs", n=1)
        assert again["status"] == "success", again
        title = "All about {{inputs.year}} dogs in 2026"
        assert again["output_data"]["title"] == title, "what is put in is not looked at again"
        assert again["input_data"] == {"topic": "{{inputs.year}} dogs", "title": title, "n": 1}
        misfits: list[tuple[dict[str, Json], str]] = [
            ({"animal": "x"}, "is a required property"),
            ({"animal": "x", "n": "1"}, "/n"),
            ({"animal": "x", "n": 1, "topic": "y"}, "topic"),
            ({"animal": 5, "n": 1}, "/animal"),
        ]
        for inputs, told in misfits:
            with pytest.raises(Exception, match=told):
                run(server, hero, **inputs)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"inputs": [], "input_data": {"title": "{{inputs.x}}"}}, "stands for no declared input"),
        (
            {"inputs": [{"name": "x"}, {"name": "x"}], "input_data": {"title": "{{inputs.x}}"}},
            "declared twice",
        ),
        ({"inputs": [{"name": "a b"}]}, "no name for an input"),
        ({"inputs": [{"name": "unused"}]}, "used nowhere"),
        ({"inputs": [{"name": "x"}], "input_data": {"title": "{{inputs.x"}}, "no placeholder"),
        ({"input_data": {"nothing": 1}}, "no parameter"),
        ({"inputs": [{"name": "n", "default": "many"}]}, "no integer"),
        ({"inputs": [{"name": "title", "default": 5, "field_type": "integer"}]}, "do not fit"),
        ({"name": "no name"}, "is no name"),
    ],
)
def test_what_cannot_be_saved_is_told_and_nothing_is_stored(hero: Hero, params: Json, told: str) -> None:
    with hero.server() as server:
        play = accepted(server)
        with pytest.raises(Exception, match=told):
            server.call("workflow_save_from_play", **{"play_sid": play["sid"], "name": "report", **params})
        assert server.call("workflow_list")["items"] == []


def test_only_a_play_that_has_succeeded_can_be_saved(server: Server) -> None:
    failed = server.ended(server.start("@flow\ndef f() -> None:\n    raise ValueError('no')")["sid"])
    with pytest.raises(Exception, match="only a play that has succeeded"):
        save(server, failed)


def test_plans_that_were_not_reached_are_named(hero: Hero) -> None:
    source = REPORT.replace('    mark("planned")\n', "    if topic == 'never':\n        other()\n") + (
        '\n@flow(name="second plan", plan=True)\ndef unnamed() -> int:\n    return 1\n'
        "\n@flow(plan=True)\ndef other() -> int:\n    return 1\n"
    ).replace("second plan", "second_plan")
    with hero.server() as server:
        play = server.ended(server.start(source, flow="report", input_data={"topic": "cats"})["sid"])
        saved = save(server, play)
        assert (saved["fully_frozen"], saved["missing_plans"]) == (False, ["second_plan", "other"])
        assert server.call("workflow_get", workflow="report")["fully_frozen"] is False


def test_the_command_saves_a_play(hero: Hero) -> None:
    file = hero.write(REPORT)
    sid = hero("run", f"{file}:report", "-i", "topic=cats", "--json").json()["sid"]
    saved = hero(
        *("workflow", "save", "--from-play", sid, "--name", "report"),
        *("--input", "animal:string", "--input", "n:integer=2"),
        *("--set", "topic={{inputs.animal}}", "--set", "title=On {{inputs.animal}}s"),
    )
    assert saved.code == 0, saved
    assert "frozen plans: report/part#1/plan#1" in saved.stderr, saved
    play = hero("run", "report", "-i", "animal=dog", "--json").json()
    assert play["output_data"]["title"] == "On dogs", play
    shown = hero("workflow", "show", "report").stdout
    assert "plan, frozen" in shown, shown
    assert "animal: string" in shown, shown
    for args, told in [
        (("--from-play", sid), "--name"),
        (("--name", "x"), "FILE.py"),
        ((str(file), "--from-play", sid, "--name", "x"), "cannot be used with"),
        (("--from-play", sid, "--name", "x", "--input", "n:text"), "the type is one of"),
        ((str(file), "--name", "x", "--input", "n"), "--from-play"),
    ]:
        refused = hero("workflow", "save", *args)
        assert refused.code == 2, refused
        assert told in refused.stderr, refused


INVOKES = """
@flow
def invokes(spawn: bool) -> object:
    return flow.invoke("report", spawn=spawn, topic="dogs")
"""


def test_what_was_saved_from_a_play_is_invoked_as_a_play_of_its_own(hero: Hero) -> None:
    with hero.server() as server:
        play = accepted(server)
        save(server, play)
        planned = [mark for mark in hero.marks() if mark.startswith("plan ")]
        spawned = server.ended(server.start(INVOKES, flow="invokes", input_data={"spawn": True})["sid"])
        assert spawned["status"] == "success", spawned
        assert spawned["output_data"]["chapters"] == play["output_data"]["chapters"], "the accepted plans"
        inside = server.ended(server.start(INVOKES, flow="invokes", input_data={"spawn": False})["sid"])
        assert inside["status"] == "failed"
        assert "need a play of their own" in inside["error"]["message"], inside["error"]
        assert [mark for mark in hero.marks() if mark.startswith("plan ")] == planned, "nobody planned again"
