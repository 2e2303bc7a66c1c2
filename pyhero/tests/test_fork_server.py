"""What a fork server does before it forks."""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path

import pytest
from pyhero import _child, _fork_server, _names, _play
from pyhero._rehearsal import rehearse


def test_a_rehearsal_runs_steps_and_leaves_nothing_behind() -> None:
    rehearse(1)
    gc.collect()
    before = set(sys.modules), set(_names._all_flows), list(sys.path), dict(os.environ)
    gc.disable()
    try:
        assert rehearse(2) == [{"index": 0, "note": "é"}, {"index": 1, "note": "é"}]
        assert (set(sys.modules), set(_names._all_flows), list(sys.path), dict(os.environ)) == before
    finally:
        gc.enable()
    assert _play.running is None
    # A fork takes no other thread along.
    assert threading.active_count() == 1


def test_an_entry_runs_as_it_was_compiled_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_child, "compiled", {})
    entry, broken = tmp_path / "entry.py", tmp_path / "broken.py"
    entry.write_text("word = 'first'\n")
    broken.write_text("def\n")
    _fork_server._compile_ahead(str(tmp_path))
    assert list(_child.compiled) == [str(entry)]
    entry.write_text("word = 'another'\n")
    assert _child.import_entry(str(entry), "compiled_ahead_test").word == "first"
    del sys.modules["compiled_ahead_test"]


def test_the_environment_becomes_that_of_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environb", environ := {b"KEPT": b"1", b"CHANGED": b"1", b"GONE": b"1"})
    _fork_server._set_environment({b"KEPT": b"1", b"CHANGED": b"a=b", b"NEW": b""})
    assert environ == {b"KEPT": b"1", b"CHANGED": b"a=b", b"NEW": b""}
