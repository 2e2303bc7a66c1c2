"""The service: every method of the document answers, and says what the document says."""

from pathlib import Path

import pytest

from support import rpc
from support.hero import Hero, Json, Server, request_named

GREETS = """
@flow
def greets(name: str, n: int = 1) -> str:
    flow.log(f"greeting {name}")
    return " ".join([name] * n)
"""

ASKS = """
@flow
def asks() -> int:
    return flow.pause("q")
"""


def test_health_answers(server: Server) -> None:
    assert rpc.http_request(server.socket, "GET", "/health").status == 200


def test_the_document_names_exactly_the_methods_that_answer(server: Server) -> None:
    document = rpc.http_request(server.socket, "GET", "/openrpc.json").json()
    names = {method["name"] for method in document["methods"]}
    part_1 = {
        "play_start",
        "play_run_async",
        "play_get",
        "play_list",
        "play_wait",
        "play_resume",
        "play_pending_resumes",
    }
    part_1 |= {
        "play_prefill",
        "play_cancel",
        "play_logs",
        "play_spans",
        "workflow_save",
        "workflow_get",
        "workflow_list",
    }
    assert {f"LogicService.{name}" for name in part_1} <= names
    for name in names:
        body = f'{{"jsonrpc":"2.0","id":1,"method":"{name}","params":{{"no_such_parameter":1}}}}'.encode()
        assert rpc.post_rpc(server.socket, body)["error"]["code"] == -32602, name


def test_the_document_is_the_one_in_the_repository(server: Server) -> None:
    served = rpc.http_request(server.socket, "GET", "/openrpc.json").body
    assert served.strip() == (Path(__file__).parents[1] / "schema/openrpc.json").read_bytes().strip()


def test_the_socket_and_its_directory_are_private(server: Server) -> None:
    assert server.socket.stat().st_mode & 0o777 == 0o600
    assert server.socket.parent.stat().st_mode & 0o777 == 0o700


def test_start_stores_the_play_before_it_returns(hero: Hero) -> None:
    server = hero.start_server()
    sid = server.start(GREETS, input_data={"name": "hi", "n": 2})["sid"]
    server.kill()
    with hero.server() as again:
        assert again.ended(sid)["output_data"] == "hi hi"


def test_run_async_returns_the_sid_alone(server: Server) -> None:
    file = server.hero.write(GREETS)
    sid = server.call("play_run_async", file=str(file), input_data={"name": "a"})
    assert isinstance(sid, str)
    assert server.ended(sid)["output_data"] == "a"


def test_a_play_carries_what_it_was_started_with(server: Server) -> None:
    sid = server.start(GREETS, input_data={"name": "ü", "n": 2}, name="my play")["sid"]
    play = server.ended(sid)
    assert (play["name"], play["input_data"], play["output_data"]) == (
        "my play",
        {"name": "ü", "n": 2},
        "ü ü",
    )
    assert play["created_at"] <= play["started_at"] <= play["ended_at"]
    assert (play["launch"], play["total_cost_usd"], play["pending_resumes"]) == (1, 0, [])


def test_annotated_costs_add_up(server: Server) -> None:
    sid = server.start("""
    @flow
    def thinks(cost: float) -> None:
        flow.annotate(cost_usd=cost, model="small")

    @flow
    def spends() -> None:
        thinks(0.25)
        thinks(0.5)
        flow.pause("q")
    """)["sid"]
    play = server.settled(sid)
    server.resume(play, "q", 1)
    assert server.ended(sid)["total_cost_usd"] == 0.75, "replayed steps cost nothing again"


def test_wait_returns_when_the_time_has_passed(server: Server) -> None:
    sid = server.settled(server.start(ASKS)["sid"])["sid"]
    play = server.call("play_wait", play_sid=sid, until="ended", timeout_ms=1)
    assert play["status"] == "awaiting_resume"


def test_pending_resumes_lists_the_open_questions(server: Server) -> None:
    play = server.settled(server.start(ASKS)["sid"])
    assert server.call("play_pending_resumes", play_sid=play["sid"]) == play["pending_resumes"]
    server.resume(play, "q", 1)
    server.ended(play["sid"])
    assert server.call("play_pending_resumes", play_sid=play["sid"]) == []


def pages(server: Server, method: str, **params: Json) -> list[list[Json]]:
    """The pages of a list, two items a page."""
    cursor, all_pages = None, []
    while True:
        page = server.call(method, limit=2, cursor=cursor, **params)
        all_pages.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None or not page["items"]:
            return all_pages


def test_lists_are_paged_newest_first(server: Server) -> None:
    sids = [server.ended(server.start(GREETS, input_data={"name": "a"})["sid"])["sid"] for _ in range(5)]
    listed = [play["sid"] for page in pages(server, "play_list") for play in page]
    assert listed == sids[::-1]


def test_lists_are_filtered_by_status(server: Server) -> None:
    done = server.ended(server.start(GREETS, input_data={"name": "a"})["sid"])["sid"]
    asking = server.settled(server.start(ASKS)["sid"])["sid"]
    by_status = {
        status: [p["sid"] for p in server.call("play_list", status=status)["items"]]
        for status in ("success", "awaiting_resume", "failed")
    }
    assert by_status == {"success": [done], "awaiting_resume": [asking], "failed": []}


def test_a_saved_workflow_is_versioned_by_its_content(server: Server) -> None:
    hero = server.hero
    first = server.call("workflow_save", name="greeter", file=str(hero.write(GREETS)))
    again = server.call("workflow_save", name="greeter", file=str(hero.write(GREETS)))
    assert again["version"] == first["version"] == 1 and again["updated_at"] == first["updated_at"]
    second = server.call("workflow_save", name="greeter", file=str(hero.write(GREETS.replace('" "', '"-"'))))
    assert second["version"] == 2 and second["current_version_sid"] != first["current_version_sid"]
    assert second["sid"] == first["sid"]
    assert [(field["name"], field["field_type"], field["required"]) for field in second["inputs"]] == [
        ("name", "string", True),
        ("n", "integer", False),
    ]
    detail = server.call("workflow_get", workflow="greeter")
    assert detail["workflow"] == second
    assert "greets" in detail["version"]["bundle"]["files"][detail["version"]["bundle"]["entry"]]
    assert [workflow["name"] for workflow in server.call("workflow_list")["items"]] == ["greeter"]


def test_a_play_of_a_workflow_keeps_its_version(server: Server) -> None:
    hero = server.hero
    server.call("workflow_save", name="asker", file=str(hero.write(ASKS)))
    play = server.settled(server.call("play_start", workflow_sid="asker")["sid"])
    server.call("workflow_save", name="asker", file=str(hero.write(ASKS.replace('flow.pause("q")', "-1"))))
    server.resume(play, "q", 7)
    ended = server.ended(play["sid"])
    assert ended["output_data"] == 7
    assert ended["workflow_version_sid"] == play["workflow_version_sid"]
    assert server.ended(server.call("play_start", workflow_sid="asker")["sid"])["output_data"] == -1


def test_local_modules_travel_with_the_flow(server: Server) -> None:
    hero = server.hero
    helper = hero.write("WORD = 'old'\n", "helper.py", preamble=False)
    sid = server.start("""
    import helper

    @flow
    def says() -> list:
        return [helper.WORD, flow.pause("q")]
    """)["sid"]
    play = server.settled(sid)
    helper.unlink()
    server.resume(play, "q", 1)
    assert server.ended(sid)["output_data"] == ["old", 1]


def test_logs_go_on_from_a_cursor(server: Server) -> None:
    sid = server.start("""
    @flow
    def talks() -> None:
        for number in range(5):
            flow.log(f"line {number}", level="warning" if number == 3 else "info")
    """)["sid"]
    server.ended(sid)
    first = server.call("play_logs", play_sid=sid, limit=2)
    assert [line["text"] for line in first["items"]] == ["line 0", "line 1"] and first["has_more"]
    rest = server.call("play_logs", play_sid=sid, cursor=first["next_cursor"])
    assert [line["text"] for line in rest["items"]] == ["line 2", "line 3", "line 4"] and not rest["has_more"]
    assert server.call("play_logs", play_sid=sid, cursor=rest["next_cursor"])["items"] == []
    loud = server.call("play_logs", play_sid=sid, level="warning")["items"]
    assert [line["text"] for line in loud] == ["line 3"]


def test_spans_form_the_call_tree(server: Server) -> None:
    sid = server.start("""
    @flow
    def leaf(n: int) -> int:
        flow.annotate(colour="green")
        return n

    @flow
    def tree() -> int:
        with flow.step("block"):
            return leaf(1)
    """)["sid"]
    server.ended(sid)
    spans = {span["name"]: span for span in server.call("play_spans", play_sid=sid)["items"]}
    root, block, leaf = spans["tree"], spans["block"], spans["leaf"]
    assert (root["kind"], block["kind"], leaf["kind"]) == ("flow_root", "step", "step")
    assert (
        "parent_id" not in root
        and block["parent_id"] == root["span_id"]
        and leaf["parent_id"] == block["span_id"]
    )
    assert "step_key" not in block and leaf["step_key"]
    assert (leaf["arguments"], leaf["tags"], leaf["status"]) == ({"n": 1}, {"colour": "green"}, "ok")
    assert leaf["source_file"] == "flow.py" and leaf["source_line"] > 1


@pytest.mark.parametrize("n", [1_000])
def test_a_long_play_shows_all_its_spans_page_by_page(server: Server, n: int) -> None:
    sid = server.start(
        """
    @flow
    def step(number: int) -> int:
        return number

    @flow
    def many(n: int) -> int:
        return sum(step(number) for number in range(n))
    """,
        input_data={"n": n},
    )["sid"]
    assert server.ended(sid)["output_data"] == n * (n - 1) // 2
    spans: list[Json] = []
    cursor = None
    while True:
        page = server.call("play_spans", play_sid=sid, limit=300, cursor=cursor)
        spans += page["items"]
        cursor = page["next_cursor"]
        if cursor is None or not page["items"]:
            break
    assert [span["arguments"]["number"] for span in spans if span["name"] == "step"] == list(range(n))


def test_the_python_client_does_the_same(server: Server) -> None:
    from pyhero import Client, PlayNotFound

    file = server.hero.write(ASKS)
    client = Client(str(server.socket))
    play = client.start(file=str(file))
    settled = client.wait(play["sid"], until="settled")
    client.resume(play["sid"], request_named(settled, "q")["id"], 42)
    assert client.wait(play["sid"])["output_data"] == 42
    with pytest.raises(PlayNotFound):
        client.get("01jqzzzzzzzzzzzzzzzzzzzzzz")
