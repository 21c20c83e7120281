"""`?dry_run=true`: what would become of a transfer, with nothing kept, sent or moved."""

from typing import Any

import msgspec
import pytest

from libs.common.contracts.ledger import TransferChanged
from libs.common.ids import new_id
from tests.integration.gateway.counter import AT, Counter

FORESEEN = TransferChanged(
    transfer_id=new_id(),
    status="refused",
    version=1,
    code="insufficient_funds",
    reasons=(),
    facts={"needed_minor": 5, "available_minor": 0},
    shard=0,
    journal_index=0,
    occurred_at=AT,
)


def wish(counter: Counter, **changes: Any) -> dict[str, Any]:
    return {
        "source_account_id": counter.payer.account_id,
        "destination_account_id": counter.payee.account_id,
        "amount_minor": 5,
        "asset": "USD",
        **changes,
    }


async def kept(counter: Counter) -> list[dict[str, Any]]:
    return await counter.rows("SELECT transfer_id FROM gateway.transfers")


async def test_a_dry_run_tells_the_outcome_and_keeps_nothing(counter: Counter) -> None:
    counter.neighbour.status, counter.neighbour.body = 200, msgspec.to_builtins(FORESEEN)
    headers = counter.keys.bearer(counter.payer.owner_id)
    before = await kept(counter)
    async with counter.http() as http:
        answer = await http.post("/api/v1/transfers?dry_run=true", json=wish(counter), headers=headers)
    assert (answer.status_code, counter.neighbour.asked) == (200, ["/internal/dry-runs"] * 2)
    assert answer.json() == {
        "dry_run": True,
        "status": "refused",
        "code": "insufficient_funds",
        "detail": "The source account has less available than the transfer needs.",
        "facts": {"needed_minor": 5, "available_minor": 0},
    }
    assert (await kept(counter), counter.publisher.sent) == (before, [])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/transfers?dryrun=true", "query_not_understood"),
        ("/api/v1/transfers?dry_run=false", "query_not_understood"),
        ("/api/v1/transfers?dry_run=true&x=1", "query_not_understood"),
        ("/api/v1/transfers/batch?dry_run=true", "query_not_understood"),
        ("/api/v1/deposits?dry_run=true", "query_not_understood"),
    ],
)
async def test_what_is_meant_otherwise_is_not_done_in_earnest(counter: Counter, path: str, code: str) -> None:
    headers = {**counter.keys.bearer(counter.payer.owner_id, "customer", "operator"), "Idempotency-Key": new_id()}
    before = await kept(counter)
    async with counter.http() as http:
        answer = await http.post(path, json=wish(counter), headers=headers)
    assert (answer.status_code, answer.json()["code"], await kept(counter)) == (422, code, before)


async def test_a_key_is_not_needed_but_must_be_one(counter: Counter) -> None:
    headers = {**counter.keys.bearer(counter.payer.owner_id), "Idempotency-Key": "two words"}
    async with counter.http() as http:
        answer = await http.post("/api/v1/transfers?dry_run=true", json=wish(counter), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert counter.neighbour.asked == []


async def test_a_stranger_s_account_is_not_foreseen(counter: Counter) -> None:
    headers = counter.keys.bearer(counter.payee.owner_id)
    async with counter.http() as http:
        answer = await http.post("/api/v1/transfers?dry_run=true", json=wish(counter), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "source_account_not_yours")
    assert counter.neighbour.asked == []


async def test_a_service_that_is_away_is_said_to_be(counter: Counter) -> None:
    counter.neighbour.away = True
    headers = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        answer = await http.post("/api/v1/transfers?dry_run=true", json=wish(counter), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
