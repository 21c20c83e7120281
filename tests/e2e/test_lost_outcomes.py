"""What the ledger said of transfers never reached fraud: near his limit their payer gets back what moved nothing."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.api_client import Api, Person, kill, problem, staff, stopped, wait_until
from tests.e2e.conftest import own_stack

HOUR_COUNT = 5
POSTED, REFUSED = (1_01, 2_02), (601_23, 602_34, 603_45)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Give a stack of its own: its broker is killed."""
    with own_stack(tmp_path / "data") as api:
        yield api


def kill_broker(api: Api) -> None:
    """Kill the broker, which keeps everything in memory; `up` starts another."""
    for pid in json.loads((api.folder / "stack.json").read_text())["infrastructure"]["kafka"]["pids"]:
        os.kill(pid, signal.SIGKILL)


def used_in_an_hour(api: Api, person: Person) -> int:
    answer = api.get("/limits", person.token)
    used = {one["limit"]: one.get("used_count", 0) for one in answer.json().get("limits", [])}
    return int(used.get("hourly_count", -1))


def test_slots_of_transfers_whose_outcome_was_lost_are_asked_about_and_those_that_moved_nothing_come_back(
    api: Api,
) -> None:
    """Fraud decides while the ledger stands still, and stands still while that answers; then the broker forgets."""
    payer, payee = api.person("olga", funds_minor=500_00), api.person("otto")
    limits = {"reason": "sends seldom", "hour_count": HOUR_COUNT}
    headers = {"Authorization": f"Bearer {staff(api, 'compliance')}"}
    path = f"/api/v1/admin/fraud/customers/{payer.user_id}/limits"
    assert api.http.put(path, json=limits, headers=headers).status_code == 200

    with ExitStack() as standing:
        with stopped(api, "ledger"):
            decided = f"user_id = '{payer.user_id}' AND verdict = 'approve'"
            for amount_minor in (*POSTED, *REFUSED):
                assert api.pay(payer, payee, amount_minor, prefer="respond-async").status_code == 202
            wait_until("the decisions", lambda: api.count("fraud.decisions", decided) == HOUR_COUNT)
            wait_until("fraud to have said so", lambda: api.count("fraud.outbox") == 0)
            standing.enter_context(stopped(api, "fraud"))
        mine = f"(SELECT transfer_id FROM gateway.transfers WHERE principal_id = '{payer.user_id}')"
        told = f"transfer_id IN {mine}"
        wait_until("the gateway to know", lambda: api.count("gateway.outcomes", told) == HOUR_COUNT)
        wait_until("the ledger to have said all", lambda: api.count("ledger.outbox") == 0)
        kill_broker(api)
        kill(api, "fraud")

    wait_until("fraud to be back", lambda: used_in_an_hour(api, payer) >= 0)
    assert used_in_an_hour(api, payer) == HOUR_COUNT, "nobody told fraud"
    problem(api.pay(payer, payee), 403, "hourly_count_limit_exceeded")
    wait_until("the slots", lambda: used_in_an_hour(api, payer) < HOUR_COUNT)
    wait_until("all of them", lambda: used_in_an_hour(api, payer) == len(POSTED))
    asked = f"transfer_id IN (SELECT transfer_id FROM fraud.decisions WHERE {decided})"
    assert api.count("fraud.outcome_questions", asked) == HOUR_COUNT

    for _ in REFUSED:
        assert api.pay(payer, payee).status_code == 201
    problem(api.pay(payer, payee), 403, "hourly_count_limit_exceeded")
