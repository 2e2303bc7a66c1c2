"""Workflows and their versions: numbered by content, current by choice, never rewritten."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.hero import Hero, Json, Server, items
from support.rpc import RpcFailure

TELLS = """
@flow
def tell() -> str:
    return "{word}"
"""


def save(server: Server, word: str, name: str = "teller") -> Json:
    file = server.hero.write(TELLS.replace("{word}", word), f"{word}.py")
    # The name of the file is part of the content.
    file = file.rename(file.with_name("teller.py"))
    return server.call("workflow_save", name=name, file=str(file))


def told(server: Server, workflow: str = "teller") -> str:
    play = server.call("play_start", workflow_sid=workflow)
    return str(server.ended(play["sid"])["output_data"])


def numbers(server: Server, workflow: str = "teller") -> list[int]:
    return [version["number"] for version in items(server.call("workflow_versions", workflow=workflow))]


def history(server: Server, workflow: str = "teller") -> list[tuple[int, str]]:
    listed = items(server.call("workflow_history", workflow=workflow))
    return [(change["version"], change["how"]) for change in listed]


def kind_of(server: Server, method: str, **params: Json) -> str:
    with pytest.raises(RpcFailure) as refused:
        server.call(method, **params)
    assert refused.value.hint, refused.value
    return refused.value.kind


def test_new_content_is_a_new_version_and_the_same_content_is_none(server: Server) -> None:
    first = save(server, "one")
    assert save(server, "one") == first
    assert save(server, "two")["version"] == 2
    assert numbers(server) == [2, 1]
    assert history(server) == [(2, "saved"), (1, "saved")]
    assert told(server) == "two"


def test_the_content_of_an_older_version_makes_no_version_and_that_one_current(server: Server) -> None:
    for word in ("one", "two", "one"):
        save(server, word)
    assert server.call("workflow_get", workflow="teller")["workflow"]["version"] == 1
    assert told(server) == "one"
    assert numbers(server) == [2, 1]
    assert history(server) == [(1, "saved_again"), (2, "saved"), (1, "saved")]
    assert save(server, "three")["version"] == 3


def test_a_rollback_is_recorded_and_rewrites_nothing(server: Server) -> None:
    for word in ("one", "two", "three"):
        save(server, word)
    assert server.call("workflow_rollback", workflow="teller", version="1")["version"] == 1
    assert told(server) == "one"
    assert server.call("workflow_rollback", workflow="teller")["version"] == 3, "what was current before"
    assert numbers(server) == [3, 2, 1]
    expected = [(3, "rolled_back"), (1, "rolled_back"), (3, "saved"), (2, "saved"), (1, "saved")]
    assert history(server) == expected
    unchanged = server.call("workflow_rollback", workflow="teller", version="3")
    assert (unchanged["version"], history(server)) == (3, expected)


def test_a_version_is_named_by_its_number_its_sid_or_the_beginning_of_that(server: Server) -> None:
    first = save(server, "one")["current_version_sid"]
    save(server, "two")
    for version in ("1", first, first[:7]):
        assert told(server, f"teller@{version}") == "one"
        assert server.call("workflow_get", workflow=f"teller@{version}")["number"] == 1
    for version in ("0", "3", "x", "", "-1", "f" * 40, "2@1"):
        assert kind_of(server, "play_start", workflow_sid=f"teller@{version}") == "version_not_found"
    assert kind_of(server, "workflow_rollback", workflow="teller", version="9") == "version_not_found"
    assert kind_of(server, "workflow_versions", workflow="nobody") == "workflow_not_found"


def test_the_first_version_has_none_before_it(server: Server) -> None:
    save(server, "one")
    assert kind_of(server, "workflow_rollback", workflow="teller") == "version_not_found"


def test_versions_are_listed_page_by_page(server: Server) -> None:
    for word in ("one", "two", "three"):
        save(server, word)
    for method in ("workflow_versions", "workflow_history"):
        page = server.call(method, workflow="teller", limit=2)
        rest = server.call(method, workflow="teller", limit=2, cursor=page["next_cursor"])
        assert (len(page["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)


def test_many_who_save_at_once_get_a_number_each(server: Server) -> None:
    save(server, "none")
    words = [f"w{number}" for number in range(8)]
    files = {}
    for word in words:
        source = TELLS.replace("{word}", word)
        files[word] = server.hero.write(source, f"{word}/teller.py")

    def saved(word: str) -> Json:
        return server.call("workflow_save", name="teller", file=str(files[word]))

    with ThreadPoolExecutor(len(words)) as pool:
        versions = list(pool.map(saved, words))
    assert sorted(version["version"] for version in versions) == list(range(2, 10))
    assert numbers(server) == list(range(9, 0, -1))
    sids = {item["sid"] for item in items(server.call("workflow_versions", workflow="teller"))}
    assert len(sids) == 9
    for version, word in zip(versions, words, strict=True):
        assert told(server, f"teller@{version['version']}") == word


def test_the_source_of_versions_can_be_read_and_compared(server: Server) -> None:
    save(server, "one")
    save(server, "two")
    detail = server.call("workflow_get", workflow="teller", diff_from="1")
    assert '    return "two"' in detail["version"]["bundle"]["files"]["teller.py"]
    assert '-    return "one"\n+    return "two"\n' in detail["diff"]
    shown = server.hero("workflow", "show", "teller", "--diff", "1")
    assert '-    return "one"' in shown.stdout and '+    return "two"' in shown.stdout, shown
    shown = server.hero("workflow", "show", "teller@1", "--source")
    assert 'return "one"' in shown.stdout and "current is 2" in shown.stdout, shown
    assert server.call("workflow_get", workflow="teller", diff_from="2")["diff"] == ""


ASKS = """
@flow
def ask() -> str:
    return "{word} " + flow.pause("q")
"""


def test_a_workflow_is_removed_and_its_plays_go_on(server: Server) -> None:
    hero = server.hero
    file = hero.write(ASKS.replace("{word}", "old"))
    server.call("workflow_save", name="asker", file=str(file))
    play = server.settled(server.call("play_start", workflow_sid="asker")["sid"])
    refused = hero("workflow", "delete", "asker")
    assert refused.code == 2 and "--yes" in refused.stderr, refused
    assert hero("workflow", "delete", "asker", "--yes").code == 0
    assert kind_of(server, "play_start", workflow_sid="asker") == "workflow_not_found"
    assert server.call("workflow_list")["items"] == []

    server.resume(play, "q", "answer")
    assert server.ended(play["sid"])["output_data"] == "old answer"
    assert hero("show", play["sid"]).code == 0
    server.call("workflow_save", name="asker", file=str(file))
    assert numbers(server, "asker") == [1], "a name that is free begins anew"


# --- Code that travels ---------------------------------------------------------------------------

ENTRY = """
import helper
from package.inner import deep
from package import member
import space.part

@flow
def travel() -> list[str]:
    import late
    from package.inner.deeper import deepest
    if os.environ.get("NEVER_SET"):
        import never_there
    return [helper.word, deep.word, member.word, space.part.word, late.word, deepest(), late.later()]
"""

MODULES = {
    "helper.py": 'word = "helper"',
    "package/__init__.py": "",
    "package/member.py": 'from . import shared\nword = "member" + shared.word',
    "package/shared.py": 'word = "+shared"',
    "package/inner/__init__.py": "from .. import shared",
    "package/inner/deep.py": 'from ..shared import word as base\nword = "deep" + base',
    "package/inner/deeper.py": "def deepest():\n    from .deep import word\n    return word",
    "space/part.py": 'from . import other\nword = "part" + other.word',
    "space/other.py": 'word = "+other"',
    "late.py": 'import importlib\nword = "late"\nlater = lambda: importlib.import_module("dynamic").word',
    "dynamic.py": 'word = "dynamic"',
}


def test_a_saved_flow_runs_where_its_folder_was_never_seen(server: Server) -> None:
    hero = server.hero
    file = hero.write(ENTRY, "project/entry.py")
    for path, source in MODULES.items():
        hero.write(source, f"project/{path}", preamble=False)
    server.call("workflow_save", name="traveller", file=str(file))
    shutil.rmtree(file.parent)
    shutil.rmtree(hero.data_dir / "bundles", ignore_errors=True)
    play = server.ended(server.call("play_start", workflow_sid="traveller")["sid"])
    expected = ["helper", "deep+shared", "member+shared", "part+other", "late", "deep+shared", "dynamic"]
    assert play.get("output_data") == expected, play.get("error")


def test_the_command_line_tells_versions(hero: Hero) -> None:
    for word in ("one", "two"):
        file = hero.write(TELLS.replace("{word}", word))
        assert hero("workflow", "save", file, "--name", "teller").code == 0
    listed = hero("workflow", "versions", "teller")
    assert "current" in listed.stdout.splitlines()[1] and len(listed.stdout.splitlines()) == 3, listed
    assert hero("run", "teller@1").stdout == "one\n"
    back = hero("workflow", "rollback", "teller", "1")
    assert (back.code, back.stderr) == (0, "teller is at version 1\n"), back
    assert hero("run", "teller").stdout == "one\n"
    assert "rolled back" in hero("workflow", "versions", "teller", "--history").stdout
    assert hero("workflow", "rollback", "teller", "7").code == 2
