"""What the runbooks tell people to paste works as pasted, and mends what they are about."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from libs.common.ids import system_account_id
from tests.e2e.api_client import Api, staff, wait_until
from tests.e2e.damaged import Damaged, execute, fetch, let_go_on
from tests.e2e.held_for_review import pay_held
from tests.support.api_world import admin_connection
from tests.support.rulesets_in_force import put_in_force

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


@pytest.fixture(scope="module")
def api(damaged: Damaged) -> Api:
    """Give the stack that is altered: it would halt the ledger of others, if its own verification came by."""
    return damaged.api


def follow(api: Api, name: str, tmp_path: Path, **environment: str) -> str:
    """Paste all blocks of the runbook, and return what they print."""
    blocks = re.findall(r"```sh\n(.*?)```", (RUNBOOKS / f"{name}.md").read_text(), re.DOTALL)
    assert blocks
    command = tmp_path / "tallystick"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tallystick.cli "$@"\n')
    command.chmod(0o700)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(blocks)],
        check=False,
        cwd=tmp_path,
        env=os.environ
        | {
            "DATA": str(api.folder),
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(RUNBOOKS.parents[1]),
        }
        | environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_trial_balance_drift(api: Api, damaged: Damaged, tmp_path: Path) -> None:
    altered = damaged.paid[2]
    execute(api, "UPDATE gateway.outcomes SET status = 'refused' WHERE transfer_id = $1", altered)
    said = follow(api, "TrialBalanceDrift", tmp_path, ACCOUNT=damaged.bob.account_id)
    assert "1 differ" in said
    assert "All agree" in said.splitlines()[-1]
    assert altered in (tmp_path / "reconciliation.html").read_text()
    assert api.get(f"/transfers/{altered}", damaged.alice.token).json()["status"] == "posted"


def test_system_account_missing(api: Api, tmp_path: Path) -> None:
    ledger = str(api.services["ledger"]["url"])
    gone = system_account_id("EUR", "SYS-TREASURY-0001")
    execute(api, "DELETE FROM ledger.accounts WHERE account_id = $1", gone)
    wait_until("the ledger has seen it", lambda: "SYS-TREASURY-0001 EUR" in _ready(ledger))
    said = follow(api, "SystemAccountMissing", tmp_path, LEDGER=ledger)
    assert "run `tallystick migrate`" in said
    assert "restored SYS-TREASURY-0001 EUR" in said
    assert "Verified" in said


def _ready(url: str) -> str:
    return subprocess.run(
        ["curl", "-s", f"{url}/health/ready"], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def test_audit_chain_broken(api: Api, damaged: Damaged, tmp_path: Path) -> None:
    bob = damaged.bob
    sealed = "SELECT count(*) FROM gateway.audit_leaves JOIN gateway.audit_entries USING (entry_id) WHERE actor_id = $1"
    wait_until("what Bob did is sealed", lambda: fetch(api, sealed, bob.user_id) != 0, seconds=60)
    one = "SELECT min(entry_id::text) FROM gateway.audit_entries JOIN gateway.audit_leaves USING (entry_id)"
    entry_id = str(fetch(api, f"{one} WHERE actor_id = $1", bob.user_id))
    altered = f"UPDATE gateway.audit_entries SET address = '{{}}' WHERE entry_id = '{entry_id}'"
    without_triggers = "SET session_replication_role = replica; "
    execute(api, without_triggers + altered.format("203.0.113.9"))
    try:
        said = follow(api, "AuditChainBroken", tmp_path)
    finally:
        execute(api, without_triggers + altered.format("127.0.0.1"))
    assert f"entry_altered in audit_entries {entry_id}" in " ".join(said.split())
    [finding] = json.loads((tmp_path / "audit-findings.json").read_text())["audit"]["findings"]
    assert finding["differences"] == [{"field": "address", "stored": "203.0.113.9", "expected": "127.0.0.1"}]
    assert (tmp_path / "audit-newest-seal.checkpoint").read_text().startswith("tallystick/audit\n")


def test_review_backlog(api: Api, damaged: Damaged, tmp_path: Path) -> None:
    let_go_on(api)
    wait_until("the gateway to hear of it", lambda: api.pay(damaged.alice, damaged.bob, 1).status_code != 503)
    held = pay_held(api, damaged.alice, damaged.bob, 300)
    token = staff(api, "auditor")
    said = follow(api, "ReviewBacklog", tmp_path, API=str(api.http.base_url).rstrip("/"), TOKEN=token)
    assert said.startswith("1 wait, 0 overdue\n")
    assert f"{held} 3.0 USD normal 0 h free" in said
    assert json.loads(said[said.index("{") :])["decision"]["reasons"] == ["review"]
    approved = api.post(f"/admin/fraud/reviews/{held}/approve", {}, token=staff(api, "compliance"))
    assert approved.status_code == 200
    said = follow(api, "ReviewBacklog", tmp_path, API=str(api.http.base_url).rstrip("/"), TOKEN=token)
    assert said == "0 wait, 0 overdue\n"


def test_kyc_backlog(api: Api, tmp_path: Path) -> None:
    waiting = api.person("waiting", verified=False)
    body = {"full_name": waiting.full_name, "birth_date": "1990-01-01", "country": "DE"}
    assert api.post("/kyc/application", body, token=waiting.token).status_code == 201
    token, address = staff(api, "auditor"), str(api.http.base_url).rstrip("/")
    said = follow(api, "KycBacklog", tmp_path, API=address, TOKEN=token)
    assert said.startswith("1 wait, 0 overdue")
    assert f"{waiting.user_id} 0 h takes one free" in said
    assert said.endswith("0 were asked for more\n")
    question = {"version": 1, "needs": ["tax_number"], "reason": "not there"}
    asked = api.post(f"/admin/kyc/{waiting.user_id}/ask", question, token=staff(api, "compliance"))
    assert asked.status_code == 200
    said = follow(api, "KycBacklog", tmp_path, API=address, TOKEN=token)
    assert said.splitlines() == ["0 wait, 0 overdue ", "1 were asked for more"]


UNREADABLE = """name: of_a_later_version
review_from: 1
block_from: 1
rules:
- {id: newer, title: Newer, when: a_later_feature > 1, message: newer, typology: other, points: 1,
   examples: [{given: {usd_minor: 1}, hits: true}, {given: {}, hits: false}]}
"""


async def _put_in_force(api: Api, document: str) -> None:
    async with admin_connection(api.dsn) as connection:
        await put_in_force(connection, document)


def test_fraud_fallback(api: Api, damaged: Damaged, tmp_path: Path) -> None:
    let_go_on(api)
    wait_until("the gateway to hear of it", lambda: api.pay(damaged.alice, damaged.bob, 1).status_code != 503)
    before = fetch(api, "SELECT version FROM fraud.rulesets WHERE status = 'live'")
    token, address = staff(api, "compliance"), str(api.http.base_url).rstrip("/")
    asyncio.run(_put_in_force(api, UNREADABLE))
    try:
        waiting = api.pay(damaged.alice, damaged.bob, 5, Prefer="wait=1").json()
        assert waiting["status"] == "accepted", waiting
        said = ""

        def seen() -> bool:
            nonlocal said
            said = follow(api, "FraudFallback", tmp_path, API=address, TOKEN=token)
            return "oldest_undecided_seconds 0.0" not in said and "batch_waits" in said

        wait_until("the gateway to count what waits", seen)
        assert re.search(r'batch_retries_total\{code="rules_unreadable",[^}]*"fraud.screen-transfers"\} [1-9]', said)
        assert f"rule set {before + 1} tried live" in said
        assert f"rule set {before} default retired" in said
        assert api.get(f"/transfers/{waiting['transfer_id']}", damaged.alice.token).json()["status"] == "accepted"
    finally:
        back = api.post(f"/admin/fraud/rulesets/{before}/live", {"reason": "cannot be read"}, token=token)
    assert back.status_code == 200, back.text
    path = f"/transfers/{waiting['transfer_id']}"
    wait_until("its decision", lambda: api.get(path, damaged.alice.token).json()["status"] == "posted")

    def over() -> bool:
        return "oldest_undecided_seconds 0.0" in follow(api, "FraudFallback", tmp_path, API=address, TOKEN=token)

    wait_until("the gateway to have heard all", over)
