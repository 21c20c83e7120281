"""Money that goes out: an operator debits a customer to the reserve."""

from typing import Any

import msgspec
import pytest

from libs.common.contracts.gateway import TransferRequested
from libs.common.contracts.transfers import Leg, Party
from libs.common.ids import new_id, system_account_id
from tests.integration.gateway.counter import Counter, changed


def withdrawal(counter: Counter, **changes: Any) -> dict[str, Any]:
    return {"account_id": counter.payer.account_id, "amount_minor": 5, "asset": "USD", "reference": "atm", **changes}


async def test_a_withdrawal_is_sent_in_the_owner_s_name_to_the_reserve(counter: Counter) -> None:
    operator_id, key = new_id(), new_id()
    headers = {**counter.keys.bearer(operator_id, "operator"), "Idempotency-Key": key, "Prefer": "respond-async"}
    owner = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        answer = await http.post("/api/v1/withdrawals", json=withdrawal(counter), headers=headers)
        [sent] = counter.publisher.sent
        command = msgspec.json.decode(sent.payload, type=TransferRequested).command
        await counter.hear_all(changed(command.transfer_id, "posted"))
        posted = await http.post("/api/v1/withdrawals", json=withdrawal(counter), headers=headers)
        shown = await http.get(posted.headers["location"], headers=owner)
    assert (answer.status_code, posted.status_code, posted.json()["kind"]) == (202, 201, "withdrawal")
    assert (command.kind, command.actor_id, command.payees) == ("withdrawal", operator_id, ())
    assert command.payer == Party(counter.payer.owner_id, 0, 0)
    reserve = system_account_id("USD", "SYS-RESERVE-0001")
    assert command.legs == (Leg(counter.payer.account_id, reserve, 5, "USD", ""),)
    assert shown.json() == posted.json(), "the owner sees what was taken from him"


@pytest.mark.parametrize("route", ["deposits", "withdrawals"])
async def test_nobody_credits_or_debits_his_own_account(route: str, counter: Counter) -> None:
    bearer = counter.keys.bearer(counter.payer.owner_id, "operator")
    async with counter.http() as http:
        headers = {**bearer, "Idempotency-Key": new_id()}
        answer = await http.post(f"/api/v1/{route}", json=withdrawal(counter), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_account")
    assert counter.publisher.sent == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"account_id": new_id()}, 404, "account_not_found"),
        ({"asset": "EUR"}, 422, "asset_mismatch"),
        ({"asset": "XXX"}, 422, "asset_unknown"),
        ({"amount_minor": 0}, 422, "invalid_request"),
        ({"reference": ""}, 422, "invalid_request"),
        ({"hold": True}, 422, "invalid_request"),
    ],
)
async def test_other_withdrawals_are_not_taken(
    changes: dict[str, Any], status: int, code: str, counter: Counter
) -> None:
    headers = {**counter.keys.bearer(new_id(), "operator"), "Idempotency-Key": new_id()}
    async with counter.http() as http:
        answer = await http.post("/api/v1/withdrawals", json=withdrawal(counter, **changes), headers=headers)
    assert (answer.status_code, answer.json()["code"], counter.publisher.sent) == (status, code, [])


@pytest.mark.parametrize("role", ["customer", "support", "compliance", "admin"])
async def test_only_operators_withdraw(role: str, counter: Counter) -> None:
    headers = {**counter.keys.bearer(counter.payer.owner_id, role), "Idempotency-Key": new_id()}
    async with counter.http() as http:
        answer = await http.post("/api/v1/withdrawals", json=withdrawal(counter), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
