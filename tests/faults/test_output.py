"""What a flow prints, however much and whatever it is, becomes lines of its log and harms nobody."""

import subprocess

import pytest

from support.hero import Hero, Json, Server

from . import counts
from .crowd import all_items

MEGABYTE = 1024 * 1024

FLOOD_BYTES = 1024 * MEGABYTE if counts.IS_TORTURE else 160 * MEGABYTE
DISK_BYTES_MAX = 256 * MEGABYTE
MEMORY_BYTES_MAX = 512 * MEGABYTE


def test_a_flood_of_output_is_cut_and_says_so(server: Server) -> None:
    play = server.start(
        """
        @flow
        def floods(n: int) -> str:
            line = "x" * 1023 + "\\n"
            for _ in range(n // 1024 // 1024):
                sys.stdout.write(line * 1024)
            return "dry"
        """,
        input_data={"n": FLOOD_BYTES},
    )
    neighbour = server.start('@flow\ndef talks() -> None:\n    print("quietly")\n')
    assert server.ended(neighbour["sid"])["status"] == "success"
    waited = server.call("play_wait", play_sid=play["sid"], until="ended", timeout_ms=300_000)
    assert (waited["status"], waited["output_data"]) == ("success", "dry")
    assert _memory_bytes(server) < MEMORY_BYTES_MAX
    assert _disk_bytes(server.hero) < DISK_BYTES_MAX
    notes = [
        line for line in _log(server, play) if line["stream"] == "supervisor" and "is full" in line["text"]
    ]
    assert len(notes) == 1, "a line says that the rest is missing"
    assert [line["text"] for line in _log(server, neighbour)] == ["quietly"]


def _memory_bytes(server: Server) -> int:
    """The most that the server ever had in memory."""
    with open(f"/proc/{server.process.pid}/status") as status:
        (peak,) = [line for line in status if line.startswith("VmHWM:")]
    return int(peak.split()[1]) * 1024


def _disk_bytes(hero: Hero) -> int:
    listed = subprocess.run(["du", "-sk", hero.data_dir], capture_output=True, text=True, check=True)
    return int(listed.stdout.split()[0]) * 1024


def _log(server: Server, play: Json) -> list[Json]:
    return list(all_items(server.socket, "play_logs", play_sid=play["sid"]))


# --- Odd output -------------------------------------------------------------------------------------

ODD = {
    "no text": (b"a\xff\xfe\x80b\n", ["a\ufffd\ufffd\ufffdb"]),
    "zeros": (b"a\x00b\x00\n", ["a\x00b\x00"]),
    "half a character": (b"a\xe2\x82\n", ["a\ufffd"]),
    "half a surrogate": (b"\xed\xa0\x80\n", ["\ufffd\ufffd\ufffd"]),
    "colours": (b"\x1b[31mred\x1b[0m\n", ["\x1b[31mred\x1b[0m"]),
    "a link": (b"\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\\n", ["\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\"]),
    "a title": (b"\x1b]0;owned\x07\n", ["\x1b]0;owned\x07"]),
    "text turned around": ("\u202egnitset\u202c\n".encode(), ["\u202egnitset\u202c"]),
    "markup": (b"<script>alert(1)</script>\n", ["<script>alert(1)</script>"]),
    "other line ends": (b"a\r\nb\rc\n", ["a", "b\rc"]),
    "empty lines": (b"\n\n\n", ["", "", ""]),
    "no line end": (b"last words", ["last words"]),
}


@pytest.fixture(scope="module")
def odd_play(module_server: Server) -> dict[str, Json]:
    """Plays that print the odd things, by what it is."""
    source = """
    @flow
    def prints(numbers: list[int]) -> None:
        os.write(1, bytes(numbers))
    """
    plays = {
        what: module_server.start(source, input_data={"numbers": list(printed)})
        for what, (printed, _) in ODD.items()
    }
    return {what: module_server.ended(play["sid"]) for what, play in plays.items()}


@pytest.mark.parametrize("what", ODD)
def test_odd_output_is_kept_as_text(module_server: Server, odd_play: dict[str, Json], what: str) -> None:
    assert [line["text"] for line in _log(module_server, odd_play[what])] == ODD[what][1]


@pytest.mark.parametrize("what", ODD)
def test_odd_output_is_shown_without_moving_the_cursor(
    module_hero: Hero, odd_play: dict[str, Json], what: str
) -> None:
    shown = module_hero("logs", odd_play[what]["sid"])
    assert shown.code == 0, shown
    assert not any(character in shown.stdout for character in "\x00\x07\x1b\r\u202e"), shown


# --- Long lines, many lines ---------------------------------------------------------------------------


def test_a_line_without_end_is_kept_in_pieces(server: Server) -> None:
    n_bytes = 3 * MEGABYTE
    play = server.start(f"""
    @flow
    def prints() -> None:
        os.write(1, b"".join(b"%07d " % number for number in range({n_bytes} // 8)))
    """)
    server.ended(play["sid"])
    pieces = [line["text"] for line in _log(server, play)]
    assert "".join(pieces) == "".join(f"{number:07d} " for number in range(n_bytes // 8))
    assert max(map(len, pieces)) <= 16 * 1024


def test_every_line_of_every_source_is_kept_once_and_in_its_order(server: Server) -> None:
    n_lines = 500
    play = server.start(f"""
    import threading

    def talk(say) -> None:
        for number in range({n_lines}):
            say(str(number))

    @flow
    def talks() -> None:
        says = [
            lambda text: print(text, flush=True),
            lambda text: print(text, file=sys.stderr, flush=True),
            flow.log,
        ]
        threads = [threading.Thread(target=talk, args=[say]) for say in says]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """)
    server.ended(play["sid"])
    log = _log(server, play)
    assert [line["seq"] for line in log] == sorted(line["seq"] for line in log)
    for stream in ("stdout", "stderr", "log"):
        told = [line["text"] for line in log if line["stream"] == stream]
        assert told == [str(number) for number in range(n_lines)], stream


def test_output_that_somebody_else_holds_open_does_not_hold_up_the_play(server: Server) -> None:
    play = server.start("""
    import subprocess

    @flow
    def leaves() -> int:
        subprocess.Popen(["sleep", "100000"], start_new_session=True)
        print("said", flush=True)
        return 1
    """)
    assert server.ended(play["sid"])["output_data"] == 1
    assert [line["text"] for line in _log(server, play) if line["stream"] == "stdout"] == ["said"]
