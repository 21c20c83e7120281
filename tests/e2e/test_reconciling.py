"""`tallystick reconcile` against running services: it agrees, finds what somebody altered, and has it told again."""

import json
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from tests.e2e.api_client import Api, Person, new_key, wait_until
from tests.e2e.damaged import Captured, Damaged, capture, execute, fetch
from tests.support.command_line import tallystick


@pytest.fixture(scope="module")
def api(damaged: Damaged) -> Api:
    """Give the stack that is altered: it would halt the ledger of others, if its own verification came by."""
    return damaged.api


@pytest.fixture(scope="module")
def alice(damaged: Damaged) -> Person:
    return damaged.alice


@pytest.fixture(scope="module")
def bob(damaged: Damaged) -> Person:
    return damaged.bob


def on(api: Api) -> tuple[str, str]:
    return "--data", str(api.folder)


def reconcile(api: Api, *words: str) -> tuple[int, Any]:
    finished = tallystick("reconcile", "--all", "--json", *words, *on(api))
    assert finished.stdout, finished.stderr
    return finished.returncode, json.loads(finished.stdout)


def differing(said: Any) -> dict[str, list[str]]:
    return {
        check["name"]: [found["subject"] for found in check["examples"]]
        for check in said["checks"]
        if check["differences"]
    }


def test_a_projection_that_was_altered_is_found_and_told_again(api: Api, damaged: Damaged) -> None:
    altered = damaged.paid[0]
    execute(api, "UPDATE gateway.outcomes SET status = 'refused' WHERE transfer_id = $1", altered)
    assert differing(reconcile(api)[1]) == {"gateway_agrees": [altered]}
    code, said = reconcile(api, "--repair", "--yes")
    assert (code, differing(said)) == (0, {})
    shown = api.get(f"/transfers/{altered}", damaged.alice.token).json()
    assert shown["status"] == "posted"


def test_later_states_and_answers_that_were_altered_or_made_up_are_found_and_told_again(
    api: Api, alice: Person, damaged: Damaged
) -> None:
    altered, invented = damaged.captured.transfer_id, damaged.paid[1]
    answers = captures(api, alice, damaged.captured)
    shown = api.get(f"/transfers/{altered}", alice.token).json()
    execute(api, "UPDATE gateway.later_states SET code = 'made_up' WHERE transfer_id = $1 AND version = 3", altered)
    execute(
        api,
        "INSERT INTO gateway.later_states SELECT transfer_id, 2, 'voided', 'made_up', reasons, facts, settlement, 1, "
        "occurred_at FROM gateway.outcomes WHERE transfer_id = $1",
        invented,
    )
    find = "SELECT command_id::text FROM gateway.commands WHERE idempotency_key = $1"
    command_id = fetch(api, find, damaged.captured.keys[100])
    execute(api, "UPDATE gateway.outcomes SET status = 'refused' WHERE transfer_id = $1", command_id)
    found = differing(reconcile(api)[1])
    assert found == {"gateway_agrees": sorted([altered, invented]), "answers_agree": [command_id]}
    code, said = reconcile(api, "--repair", "--yes")
    assert (code, differing(said)) == (0, {})
    assert api.get(f"/transfers/{altered}", alice.token).json() == shown
    assert captures(api, alice, damaged.captured) == answers
    assert api.get(f"/transfers/{invented}", alice.token).json()["status"] == "posted"
    assert api.count("gateway.later_states", f"transfer_id IN ('{altered}', '{invented}')") == 2


def captures(api: Api, payer: Person, captured: Captured) -> list[bytes]:
    """Return what each capture of the hold was answered."""
    return [capture(api, payer, captured, amount_minor) for amount_minor in captured.keys]


def test_what_staff_decided_and_what_others_were_told_is_compared(
    api: Api, alice: Person, bob: Person, damaged: Damaged
) -> None:
    frozen = damaged.frozen
    code, said = reconcile(api)
    assert (code, differing(said)) == (0, {})
    altered = {
        "fraud_knows_verifications": ("fraud.users SET kyc_tier = {}", "3", "1", alice.user_id),
        "gateway_knows_profiles": ("gateway.customers SET profile = '{}'", "retail", "business", alice.user_id),
        "fraud_knows_owners": ("fraud.accounts SET owner_id = '{}'", alice.user_id, bob.user_id, bob.account_id),
        "accounts_agree": ("accounts.accounts SET ledger_status = '{}'", "active", "frozen", frozen.account_id),
    }
    for change, wrong, _, row in altered.values():
        key = "user_id" if row == alice.user_id else "account_id"
        execute(api, f"UPDATE {change.format(wrong)} WHERE {key} = $1", row)
    assert differing(reconcile(api)[1]) == {name: [row] for name, (_, _, _, row) in altered.items()}
    for change, _, right, row in altered.values():
        key = "user_id" if row == alice.user_id else "account_id"
        execute(api, f"UPDATE {change.format(right)} WHERE {key} = $1", row)
    assert reconcile(api)[0] == 0


def staff(api: Api, method: str, path: str, **body: str) -> Any:
    answer = api.http.request(
        method,
        f"/api/v1/admin/ledger/{path}",
        json=body if method == "POST" else None,
        headers={"Authorization": f"Bearer {api.admin_token}"},
    )
    if answer.status_code == 202:
        sleep(0.1)
        return staff(api, "GET", f"verifications/{answer.json()['verification_id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_balance_that_was_altered_is_repaired_and_the_running_ledger_goes_on(
    api: Api, alice: Person, bob: Person, tmp_path: Path
) -> None:
    held_minor = api.get(f"/accounts/{bob.account_id}/balance", bob.token).json()["posted_minor"]
    execute(api, "UPDATE ledger.accounts SET posted_minor = posted_minor + 1 WHERE account_id = $1", bob.account_id)
    assert staff(api, "POST", "verify", scope="full")["verified"] is False
    assert staff(api, "GET", "findings")["halted"] is True
    named = tallystick("verify", *on(api))
    assert named.returncode == 1
    assert f"posted_minor: stored {held_minor + 1}, computed {held_minor}" in named.stdout
    words = ("reconcile", "--repair", "--yes", "--reason", "altered by a test", "--by")
    refused = tallystick(*words, alice.user_id, *on(api))
    assert refused.returncode == 2
    assert "no active administrator" in refused.stderr
    code, said = reconcile(api, *words[1:], api.get("/me", api.admin_token).json()["user_id"])
    assert (code, differing(said)) == (0, {})
    assert api.get(f"/accounts/{bob.account_id}/balance", bob.token).json()["posted_minor"] == held_minor
    (finding,) = staff(api, "GET", "findings")["findings"]
    released = staff(api, "POST", "release", finding_id=finding["finding_id"], reason="its balance was repaired")
    assert released == {"open_findings": 0}
    key = new_key()
    wait_until("the gateway lets transfers in", lambda: api.pay(alice, bob, 5, key=key).status_code == 201, seconds=30)
    wait_until(
        "the payee has it",
        lambda: api.get(f"/accounts/{bob.account_id}/balance", bob.token).json()["posted_minor"] == held_minor + 5,
    )
    assert api.pay(bob, alice, held_minor + 6).status_code == 422
    assert tallystick("verify", *on(api)).returncode == 0
    assert tallystick("verify", "--since-last", *on(api)).returncode == 0
    page = tmp_path / "report.html"
    reconcile(api, "--report", str(page))
    html = page.read_text()
    assert "Trial balance" in html
    assert "verified; by the key of" in html
    assert "NOT by a key that is trusted here" not in html


def test_nothing_is_repaired_while_an_entry_is_altered(api: Api, bob: Person) -> None:
    alter_first_entry(api, bob, by_minor=1)
    try:
        refused = tallystick("reconcile", "--repair", "--yes", *on(api))
        assert refused.returncode == 1
        assert "entry_altered" in refused.stderr
        assert tallystick("verify", *on(api)).returncode == 1
    finally:
        alter_first_entry(api, bob, by_minor=-1)
    assert tallystick("verify", *on(api)).returncode == 0, "the next file of tests finds it whole"


def alter_first_entry(api: Api, person: Person, *, by_minor: int) -> None:
    account_id = person.account_id
    execute(
        api,
        "SET session_replication_role = replica; "
        f"UPDATE ledger.entries SET amount_minor = amount_minor + {by_minor} "
        f"WHERE account_id = '{account_id}' AND seq = 1; "
        f"UPDATE ledger.accounts SET posted_minor = posted_minor + {by_minor} WHERE account_id = '{account_id}'",
    )
