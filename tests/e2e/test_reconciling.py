"""`tallystick reconcile` against running services: it agrees, finds what somebody altered, and has it told again."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api_client import Api, Person, wait_until
from tests.e2e.conftest import own_stack
from tests.support.api_world import admin_connection


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Give a stack of this module's own: what is altered here halts a ledger, if its own verification comes by."""
    with own_stack(tmp_path_factory.mktemp("damaged") / "data") as api:
        yield api


@pytest.fixture(scope="module")
def bob(api: Api) -> Person:
    """Is paid."""
    return api.person("bob")


def reconcile(api: Api, *words: str) -> tuple[int, Any]:
    finished = subprocess.run(
        [sys.executable, "-m", "tallystick.cli", "reconcile", "--all", "--json", "--data", str(api.folder), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")},
    )
    assert finished.stdout, finished.stderr
    return finished.returncode, json.loads(finished.stdout)


def execute(api: Api, sql: str, *arguments: object) -> None:
    async def run() -> None:
        async with admin_connection(api.dsn) as connection:
            await connection.execute(sql, *arguments)

    asyncio.run(run())


def differing(said: Any) -> dict[str, list[str]]:
    return {
        check["name"]: [found["subject"] for found in check["examples"]]
        for check in said["checks"]
        if check["differences"]
    }


def test_a_projection_that_was_altered_is_found_and_told_again(api: Api, alice: Person, bob: Person) -> None:
    altered = api.pay(alice, bob, 7).json()["transfer_id"]
    wait_until("nothing is on its way any more", lambda: reconcile(api)[0] == 0, seconds=60)
    execute(api, "UPDATE gateway.outcomes SET status = 'refused' WHERE transfer_id = $1", altered)
    wait_until("it is found", lambda: differing(reconcile(api)[1]) == {"gateway_agrees": [altered]}, seconds=60)
    code, said = reconcile(api, "--repair", "--yes")
    assert (code, differing(said)) == (0, {})
    shown = api.get(f"/transfers/{altered}", alice.token).json()
    assert shown["status"] == "posted"


def test_the_books_are_left_alone_by_a_repair(api: Api, bob: Person, tmp_path: Path) -> None:
    raise_ = "UPDATE ledger.accounts SET posted_minor = posted_minor + $2 WHERE account_id = $1"
    execute(api, raise_, bob.account_id, 1)
    try:
        refused = subprocess.run(
            [sys.executable, "-m", "tallystick.cli", "reconcile", "--repair", "--yes", "--data", str(api.folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert refused.returncode == 1
        assert "the books themselves do not hold together (trial_balance, balances)" in refused.stderr
    finally:
        execute(api, raise_, bob.account_id, -1)
    page = tmp_path / "report.html"
    reconcile(api, "--report", str(page))
    assert "Trial balance" in page.read_text()
