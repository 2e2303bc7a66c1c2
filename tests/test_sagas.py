"""A flow that fails undoes what it has done: every completed step once, the last one first."""

from support.hero import Hero, Server
from support.waiting import eventually

TRIP = """
def undo(what: str) -> None:
    mark(f"undo {what}")
    if Path(f"{what}.shut").exists():
        wait_for(f"{what}.open")

@flow(compensate=undo)
def book(what: str) -> str:
    mark(f"book {what}")
    return what

@flow
def stay() -> None:
    book("hotel")
    book("breakfast")

@flow
def trip() -> None:
    book("flight")
    stay()
    book("car")
    raise RuntimeError("the bank said no")
"""

BOOKED = ["book flight", "book hotel", "book breakfast", "book car"]
UNDONE = ["undo car", "undo breakfast", "undo hotel", "undo flight"]


def test_what_was_done_is_undone_in_reverse_also_under_completed_steps(server: Server) -> None:
    play = server.start(TRIP, flow="trip")
    ended = server.ended(play["sid"])
    assert ended["status"] == "failed"
    assert "the bank said no" in ended["error"]["message"]
    assert server.hero.marks() == BOOKED + UNDONE


def test_a_saga_whose_supervisor_is_killed_while_it_undoes_goes_on_where_it_stood(hero: Hero) -> None:
    (hero.work_dir / "hotel.shut").touch()
    server = hero.start_server()
    sid = server.start(TRIP, flow="trip")["sid"]
    hero.saw("undo hotel")
    server.kill()
    hero.touch("hotel.open")
    with hero.server() as server:
        ended = server.ended(sid)
    assert ended["status"] == "failed"
    # The kill fell between the effect and its being remembered, so that one may be seen twice.
    assert hero.marks() == [*BOOKED, "undo car", "undo breakfast", "undo hotel", "undo hotel", "undo flight"]


def test_an_undo_that_fails_does_not_keep_the_others_from_running(server: Server) -> None:
    source = (
        TRIP
        + """
def refuses(what: str) -> None:
    mark(f"cannot undo {what}")
    raise OSError("closed")

@flow(compensate=refuses)
def stubborn(what: str) -> str:
    return what

@flow
def breaks() -> None:
    book("flight")
    stubborn("visa")
    book("car")
    raise RuntimeError("the bank said no")
"""
    )
    play = server.start(source, flow="breaks")
    ended = server.ended(play["sid"])
    assert "the bank said no" in ended["error"]["message"]
    assert server.hero.marks()[2:] == ["undo car", "cannot undo visa", "undo flight"]
    spans = server.call("play_spans", play_sid=play["sid"])["items"]
    assert [span["status"] for span in spans if span["name"] == "stubborn.undo"] == ["failed"]


def test_a_handled_failure_undoes_nothing(server: Server) -> None:
    source = (
        TRIP
        + """
@flow
def recovers() -> str:
    try:
        trip()
    except RuntimeError:
        return "stayed home"
    return ""
"""
    )
    play = server.start(source, flow="recovers")
    assert server.ended(play["sid"])["output_data"] == "stayed home"
    assert server.hero.marks() == BOOKED


def test_a_retry_runs_again_what_was_undone(server: Server) -> None:
    source = TRIP.replace(
        'raise RuntimeError("the bank said no")',
        """
    if not Path("money").exists():
        raise RuntimeError("the bank said no")""",
    )
    play = server.start(source, flow="trip")
    server.ended(play["sid"])
    (server.hero.work_dir / "money").touch()
    retried = server.call("play_retry", play_sid=play["sid"])
    assert retried["origin"] == {"play_sid": play["sid"], "how": "retry"}
    ended = eventually(lambda: server.ended(retried["sid"]), "the retry to end")
    assert ended["status"] == "success"
    assert server.hero.marks() == BOOKED + UNDONE + BOOKED
