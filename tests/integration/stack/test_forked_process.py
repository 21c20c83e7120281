"""A fork is a process like any other: with surroundings, ids and an end of its own. Linux only."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.stack import ROOT


def forked(what: str, log: Path) -> Any:
    """Let a parent of its own fork, since this process has threads; return what it says."""
    parent = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("forking.py")), what, str(log)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return json.loads(parent.stdout)


def test_no_two_forks_make_the_same_ids(tmp_path: Path) -> None:
    said = forked("ids", tmp_path / "log")
    made = (tmp_path / "log").read_text().split()
    assert said["codes"] == [0, 0, 0]
    assert (len(made), len(set(made + said["ids"]))) == (300, 500)


def test_a_fork_has_nothing_of_its_parents_but_what_it_was_given(tmp_path: Path) -> None:
    assert forked("surroundings", tmp_path / "log") == {"code": 0}
    assert json.loads((tmp_path / "log").read_text()) == {
        "environment": {"ONLY": "this"},
        "folder": str(tmp_path),
        "leads_its_session": True,
        "default_signals": True,
        "blocked": [],
        "name": "a fork",
        "files": 4,  # input, output, errors, and the listing itself
    }


def test_how_a_fork_ended_is_told_as_of_a_program(tmp_path: Path) -> None:
    codes = forked("endings", tmp_path / "log")
    assert codes == {"returned": 0, "said why": 1, "failed": 1, "terminated": -signal.SIGTERM}
    log = (tmp_path / "log").read_text()
    assert "no settings\n" in log
    assert "ZeroDivisionError" in log


def test_a_parent_of_several_threads_does_not_fork(tmp_path: Path) -> None:
    assert "several threads" in forked("threads", tmp_path / "log")
