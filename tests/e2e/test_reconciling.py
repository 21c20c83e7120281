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

from tests.e2e.api_client import Api, Person, new_key, transfer, wait_until
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


def fetch(api: Api, sql: str, *arguments: object) -> Any:
    async def run() -> Any:
        async with admin_connection(api.dsn) as connection:
            return await connection.fetchval(sql, *arguments)

    return asyncio.run(run())


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


def test_later_states_and_answers_that_were_altered_or_made_up_are_found_and_told_again(
    api: Api, alice: Person, bob: Person
) -> None:
    hold = transfer(alice, bob, 300, hold=True, expires_in_seconds=3_600)
    altered = api.post("/transfers", hold, token=alice.token, key=new_key()).json()["transfer_id"]
    invented = api.pay(alice, bob, 8).json()["transfer_id"]
    keys = {100: new_key(), 50: new_key()}

    def capture(amount_minor: int) -> bytes:
        body = {"amount_minor": amount_minor}
        captured = api.post(f"/transfers/{altered}/capture", body, token=alice.token, key=keys[amount_minor])
        assert captured.status_code == 200, captured.text
        return captured.content

    answers = [capture(100), capture(50)]
    wait_until("nothing is on its way any more", lambda: reconcile(api)[0] == 0, seconds=60)
    shown = api.get(f"/transfers/{altered}", alice.token).json()
    execute(api, "UPDATE gateway.later_states SET code = 'made_up' WHERE transfer_id = $1 AND version = 3", altered)
    execute(
        api,
        "INSERT INTO gateway.later_states SELECT transfer_id, 2, 'voided', 'made_up', reasons, facts, settlement, 1, "
        "occurred_at FROM gateway.outcomes WHERE transfer_id = $1",
        invented,
    )
    find = "SELECT command_id::text FROM gateway.commands WHERE idempotency_key = $1"
    command_id = fetch(api, find, keys[100])
    execute(api, "UPDATE gateway.outcomes SET status = 'refused' WHERE transfer_id = $1", command_id)
    wait_until(
        "all are found",
        lambda: (
            differing(reconcile(api)[1])
            == {"gateway_agrees": sorted([altered, invented]), "answers_agree": [command_id]}
        ),
        seconds=60,
    )
    code, said = reconcile(api, "--repair", "--yes")
    assert (code, differing(said)) == (0, {})
    assert api.get(f"/transfers/{altered}", alice.token).json() == shown
    assert [capture(100), capture(50)] == answers
    assert api.get(f"/transfers/{invented}", alice.token).json()["status"] == "posted"
    assert api.count("gateway.later_states", f"transfer_id IN ('{altered}', '{invented}')") == 2


def set_status(api: Api, person: Person, status: str) -> None:
    changed = api.http.put(
        f"/api/v1/admin/accounts/{person.account_id}/status",
        json={"status": status, "reason": "a test"},
        headers={"Authorization": f"Bearer {api.admin_token}", "Idempotency-Key": new_key()},
    )
    assert changed.status_code == 200, changed.text


def test_what_staff_decided_and_what_others_were_told_is_compared(api: Api, alice: Person, bob: Person) -> None:
    set_status(api, api.person("closed"), "closed")
    set_status(api, bob, "frozen")
    settled = "SELECT last_record_at < now() - interval '16 seconds' FROM ledger.heads"
    wait_until("nothing is left out as too fresh", lambda: bool(fetch(api, settled)), seconds=60)
    code, said = reconcile(api)
    assert (code, differing(said)) == (0, {})
    altered = {
        "fraud_knows_verifications": ("fraud.users SET kyc_tier = {}", "3", "1", alice.user_id),
        "gateway_knows_profiles": ("gateway.customers SET profile = '{}'", "retail", "business", alice.user_id),
        "fraud_knows_owners": ("fraud.accounts SET owner_id = '{}'", alice.user_id, bob.user_id, bob.account_id),
        "accounts_agree": ("accounts.accounts SET ledger_status = '{}'", "active", "frozen", bob.account_id),
    }
    for change, wrong, _, row in altered.values():
        key = "user_id" if row == alice.user_id else "account_id"
        execute(api, f"UPDATE {change.format(wrong)} WHERE {key} = $1", row)
    assert differing(reconcile(api)[1]) == {name: [row] for name, (_, _, _, row) in altered.items()}
    for change, _, right, row in altered.values():
        key = "user_id" if row == alice.user_id else "account_id"
        execute(api, f"UPDATE {change.format(right)} WHERE {key} = $1", row)
    assert reconcile(api)[0] == 0
    set_status(api, bob, "active")


def tallystick(api: Api, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tallystick.cli", *words, "--data", str(api.folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK_")},
    )


def staff(api: Api, method: str, path: str, **body: str) -> Any:
    answer = api.http.request(
        method,
        f"/api/v1/admin/ledger/{path}",
        json=body if method == "POST" else None,
        headers={"Authorization": f"Bearer {api.admin_token}"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_balance_that_was_altered_is_repaired_and_the_running_ledger_goes_on(
    api: Api, alice: Person, bob: Person, tmp_path: Path
) -> None:
    api.pay(alice, bob, 7)
    wait_until("nothing is on its way any more", lambda: reconcile(api)[0] == 0, seconds=60)
    held_minor = api.get(f"/accounts/{bob.account_id}/balance", bob.token).json()["posted_minor"]
    execute(api, "UPDATE ledger.accounts SET posted_minor = posted_minor + 1 WHERE account_id = $1", bob.account_id)
    assert staff(api, "POST", "verify", scope="full")["verified"] is False
    assert staff(api, "GET", "findings")["halted"] is True
    named = tallystick(api, "verify")
    assert named.returncode == 1
    assert f"posted_minor: stored {held_minor + 1}, computed {held_minor}" in named.stdout
    words = ("reconcile", "--repair", "--yes", "--reason", "altered by a test", "--by")
    refused = tallystick(api, *words, alice.user_id)
    assert refused.returncode == 2
    assert "no active administrator" in refused.stderr
    code, said = reconcile(api, *words[1:], api.get("/me", api.admin_token).json()["user_id"])
    assert (code, differing(said)) == (0, {})
    assert api.get(f"/accounts/{bob.account_id}/balance", bob.token).json()["posted_minor"] == held_minor
    (finding,) = staff(api, "GET", "findings")["findings"]
    released = staff(api, "POST", "release", finding_id=finding["finding_id"], reason="its balance was repaired")
    assert released == {"open_findings": 0}
    wait_until("the gateway lets transfers in again", lambda: api.pay(alice, bob, 5).status_code == 201, seconds=30)
    wait_until(
        "the payee has it",
        lambda: api.get(f"/accounts/{bob.account_id}/balance", bob.token).json()["posted_minor"] == held_minor + 5,
    )
    assert api.pay(bob, alice, held_minor + 6).status_code == 422
    assert tallystick(api, "verify").returncode == 0
    assert tallystick(api, "verify", "--since-last").returncode == 0
    page = tmp_path / "report.html"
    reconcile(api, "--report", str(page))
    html = page.read_text()
    assert "Trial balance" in html
    assert "verified; by the key of" in html
    assert "NOT by a key that is trusted here" not in html


def test_nothing_is_repaired_while_an_entry_is_altered(api: Api, bob: Person) -> None:
    """The last of this module: the ledger stays damaged."""
    execute(
        api,
        "SET session_replication_role = replica; "
        f"UPDATE ledger.entries SET amount_minor = amount_minor + 1 WHERE account_id = '{bob.account_id}' AND seq = 1; "
        f"UPDATE ledger.accounts SET posted_minor = posted_minor + 1 WHERE account_id = '{bob.account_id}'",
    )
    refused = tallystick(api, "reconcile", "--repair", "--yes")
    assert refused.returncode == 1
    assert "entry_altered" in refused.stderr
    assert tallystick(api, "verify").returncode == 1
