"""The demo as a person runs it: the whole platform from nothing, a payroll, the proof, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.stack import alive_among

ROOT = Path(__file__).parents[2]
# Generous, since it bounds a broken demo, not a slow one: on an idle machine of two cores it takes half a minute.
DEMO_SECONDS = 400


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder for both tests: the second one's stack finds the first one's, and need not make another."""
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture
def folder(data: Path) -> Iterator[Path]:
    """That folder; whatever still runs on it after a test is ended, and was a fault."""
    yield data
    left = processes_on(data)
    for process in left:
        process.kill()
    assert left == []


def processes_on(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if str(folder) in " ".join(process.info["cmdline"] or []) + " ".join((process.info["environ"] or {}).values())
    ]


def start_demo(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tallystick.cli", "demo", "--data", str(folder), "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def by_name(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {figure["name"]: figure["found"] for figure in figures}


@pytest.mark.timeout(DEMO_SECONDS + 60)
def test_the_demo_pays_a_thousand_lines_and_proves_every_number(folder: Path) -> None:
    output, said = (demo := start_demo(folder)).communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, f"{output}\n{said}"
    told = json.loads(output)
    assert told["ok"] is True
    # Counted by hand in the file: 1,000 lines, four with a trouble of their own, one paid before, 25 to who waits.
    payroll = told["payroll"]
    assert (payroll["lines"], payroll["posted"], payroll["held"], payroll["held_then_released"]) == (1000, 971, 25, 25)
    assert payroll["blocked"] == {"amount_limit_exceeded": 1}
    assert payroll["refused"] == {"unknown_account": 1, "invalid_request": 1}
    assert payroll["answered_again"] == 1
    limit = told["hourly_limit"]
    assert (limit["code"], limit["limit_count"], limit["used_count"]) == ("hourly_count_limit_exceeded", 50, 50)
    assert told["release"]["after_minor"] > told["release"]["before_minor"] == 0
    proof = told["proof"]
    assert proof["receipts_verified"] == 998 + 53 + 2
    assert (proof["receipts_wrong"], proof["differences"]) == ([], [])
    assert set(proof["sums_minor"].values()) == {0}
    assert by_name(told["figures"])["balances as the payroll says"] == 42


@pytest.mark.timeout(180)
def test_a_demo_that_is_stopped_takes_its_stack_with_it(folder: Path) -> None:
    demo = start_demo(folder)
    try:
        wait_until_ready(folder, demo)
        children = [child.pid for child in psutil.Process(demo.pid).children(recursive=True)]
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=60)
    finally:
        demo.kill()
        demo.communicate()
    assert demo.returncode != 0
    assert len(children) > 7, "up, PostgreSQL, a broker and five services"
    assert alive_among(children) == []


def wait_until_ready(folder: Path, demo: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while not (folder / "stack.json").exists():
        assert demo.poll() is None, "the demo ended before its stack was ready"
        assert time.monotonic() < deadline, "the demo's stack did not become ready"
        time.sleep(0.05)
