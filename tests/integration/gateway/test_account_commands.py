"""Staff change what accounts may do: who may, what is sent, and the state that is answered."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from libs.common.contracts.gateway import ChangeAccount
from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.ids import new_id
from libs.common.money import MAX_AMOUNT_MINOR
from tests.integration.gateway.counter import AT, Counter, decided
from tests.integration.gateway.test_intake import until
from tests.integration.gateway.test_transfer_commands import sweep_sends

REASON = {"reason": "court order 7"}
FROZEN = {"status": "frozen", **REASON}


def put(
    counter: Counter,
    http: httpx2.AsyncClient,
    what: str,
    body: dict[str, Any],
    *roles: str,
    key: str = "",
    wait: str = "respond-async",
    account_id: str = "",
    actor_id: str = "",
) -> "asyncio.Task[httpx2.Response]":
    """Ask as somebody with these roles, an operator unless said."""
    bearer = counter.keys.bearer(actor_id or new_id(), *(roles or ("operator",)))
    path = f"/api/v1/admin/accounts/{account_id or counter.payer.account_id}/{what}"
    headers = {**bearer, "Idempotency-Key": key or new_id(), "Prefer": wait}
    return asyncio.create_task(http.put(path, json=body, headers=headers))


def state(account_id: str, index: int, **changes: Any) -> LedgerAccountChanged:
    plain = LedgerAccountChanged(
        account_id=account_id,
        status="active",
        minimum_minor=0,
        maximum_minor=MAX_AMOUNT_MINOR,
        shard=0,
        journal_index=index,
        occurred_at=AT,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize(("what", "body"), [("status", FROZEN), ("limits", {"minimum_minor": -5, **REASON})])
async def test_nobody_changes_his_own_account(what: str, body: dict[str, Any], counter: Counter) -> None:
    async with counter.http() as http:
        answer = await put(counter, http, what, body, actor_id=counter.payer.owner_id)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_account")
    assert counter.publisher.sent == []


async def test_an_account_is_frozen_and_answered_with_the_state_the_ledger_decided(counter: Counter) -> None:
    key, account_id, actor_id = new_id(), counter.payer.account_id, new_id()
    async with counter.http() as http:
        asking = put(counter, http, "status", FROZEN, key=key, actor_id=actor_id, wait="wait=20")
        await until(lambda: bool(counter.publisher.sent))
        [command] = counter.publisher.said(account_id)
        assert isinstance(command, ChangeAccount)
        assert (command.status, command.minimum_minor, command.maximum_minor) == ("frozen", None, None)
        assert (command.actor_id, len(command.reason_commitment)) == (actor_id, 64)
        assert command.asked_from is not None
        assert (command.asked_from.address, bool(command.asked_from.request_id)) == ("192.0.2.1", True)
        assert b"court" not in counter.publisher.sent[0].payload, "free text stays here"
        await counter.hear_all(
            state(account_id, 7, status="frozen", minimum_minor=-50), decided(command.command_id, journal_index=7)
        )
        answer = await asking
        await counter.hear_all(state(account_id, 8))
        again = await put(counter, http, "status", FROZEN, key=key, actor_id=actor_id)
        other = await put(counter, http, "status", {**FROZEN, "status": "active"}, key=key, actor_id=actor_id)
    assert answer.status_code == 200
    assert answer.json() == {
        "account_id": account_id,
        "command_id": command.command_id,
        "status": "frozen",
        "minimum_minor": -50,
        "maximum_minor": MAX_AMOUNT_MINOR,
        "journal_index": 7,
        "changed_at": AT,
    }
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (200, answer.content, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_change_is_sent_again_until_the_account_s_state_has_come_too(counter: Counter) -> None:
    await counter.rows("DELETE FROM gateway.repeats")
    async with counter.http() as http:
        await put(counter, http, "status", FROZEN)
        [first] = counter.publisher.sent
        await counter.hear_all(decided(first.message_id, journal_index=7))
        now = counter.clock() + timedelta(minutes=1)
        await sweep_sends(counter, now, [first])
        await counter.hear_all(state(counter.payer.account_id, 7, status="frozen"))
        await sweep_sends(counter, now + timedelta(hours=9), [])


async def test_a_refused_change_tells_the_ledger_s_code(counter: Counter) -> None:
    key, actor_id, body = new_id(), new_id(), {"minimum_minor": 5, **REASON}
    async with counter.http() as http:
        accepted = await put(counter, http, "limits", body, key=key, actor_id=actor_id)
        assert accepted.headers["location"] == f"/api/v1/accounts/{counter.payer.account_id}"
        await counter.hear_all(decided(counter.sent_ids()[0], "minimum_above_balance", available_minor=1))
        refused = await put(counter, http, "limits", body, key=key, actor_id=actor_id)
    assert accepted.status_code == 202
    assert (refused.status_code, refused.json()["code"]) == (422, "minimum_above_balance")
    assert (refused.json()["available_minor"], refused.json()["account_id"]) == (1, counter.payer.account_id)


async def test_an_account_the_ledger_does_not_know_is_not_found(counter: Counter) -> None:
    key, actor_id, account_id = new_id(), new_id(), new_id()
    async with counter.http() as http:
        await put(counter, http, "status", FROZEN, key=key, actor_id=actor_id, account_id=account_id)
        await counter.hear_all(decided(counter.sent_ids()[0], "account_not_found"))
        unknown = await put(counter, http, "status", FROZEN, key=key, actor_id=actor_id, account_id=account_id)
        no_id = await put(counter, http, "status", FROZEN, account_id="x")
    for answer in (unknown, no_id):
        assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")


@pytest.mark.parametrize(
    ("what", "body", "allowed"),
    [("status", FROZEN, {"compliance", "operator"}), ("limits", {"maximum_minor": 5, **REASON}, {"operator"})],
)
async def test_only_the_roles_named_change_an_account(
    what: str, body: dict[str, Any], allowed: set[str], counter: Counter
) -> None:
    async with counter.http() as http:
        for role in ("customer", "support", "compliance", "operator", "auditor", "admin"):
            answer = await put(counter, http, what, body, role)
            assert (answer.status_code == 202) == (role in allowed), role
            if role not in allowed:
                assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    assert len(counter.publisher.sent) == len(allowed)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("status", {"status": "opening", **REASON}),
        ("status", {"status": "frozen"}),
        ("status", {"status": "frozen", "reason": "x" * 141}),
        ("status", {**FROZEN, "minimum_minor": 0}),
        ("limits", REASON),
        ("limits", {"minimum_minor": None, **REASON}),
        ("limits", {"minimum_minor": -MAX_AMOUNT_MINOR - 1, **REASON}),
        ("limits", {"maximum_minor": MAX_AMOUNT_MINOR + 1, **REASON}),
        ("limits", {"maximum_minor": -1, **REASON}),
        ("limits", {"maximum_minor": "5", **REASON}),
    ],
)
async def test_what_is_asked_is_bounded(what: str, body: dict[str, Any], counter: Counter) -> None:
    async with counter.http() as http:
        answer = await put(counter, http, what, body)
    assert (answer.status_code, answer.json()["code"], counter.publisher.sent) == (422, "invalid_request", [])


async def test_a_change_needs_a_key(counter: Counter) -> None:
    async with counter.http() as http:
        path = f"/api/v1/admin/accounts/{counter.payer.account_id}/status"
        answer = await http.put(path, json=FROZEN, headers=counter.keys.bearer(new_id(), "operator"))
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


def close(
    counter: Counter,
    http: httpx2.AsyncClient,
    actor_id: str,
    *roles: str,
    account_id: str = "",
    key: str = "",
    body: dict[str, Any] | None = None,
    wait: str = "respond-async",
) -> "asyncio.Task[httpx2.Response]":
    """Ask as this person to close the payer's account, or the one named."""
    headers = {**counter.keys.bearer(actor_id, *roles), "Idempotency-Key": key or new_id(), "Prefer": wait}
    path = f"/api/v1/accounts/{account_id or counter.payer.account_id}/close"
    return asyncio.create_task(http.post(path, json=body, headers=headers))


async def test_an_owner_closes_his_account_only_while_it_is_active(counter: Counter) -> None:
    account_id, owner_id, key = counter.payer.account_id, counter.payer.owner_id, new_id()
    async with counter.http() as http:
        asking = close(counter, http, owner_id, key=key, wait="wait=20", body={"reason": "moving"})
        await until(lambda: bool(counter.publisher.sent))
        [command] = counter.publisher.said(account_id)
        assert isinstance(command, ChangeAccount)
        assert (command.status, command.only_while, command.actor_id) == ("closed", "active", owner_id)
        assert len(command.reason_commitment) == 64
        await counter.hear_all(state(account_id, 7, status="closed"), decided(command.command_id, journal_index=7))
        answer = await asking
        again = await close(counter, http, owner_id, key=key, body={"reason": "moving"})
        other = await close(counter, http, owner_id, key=key)
    assert (answer.status_code, answer.json()["status"]) == (200, "closed")
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (200, answer.content, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_what_staff_froze_its_owner_does_not_close(counter: Counter) -> None:
    owner_id, key = counter.payer.owner_id, new_id()
    async with counter.http() as http:
        await close(counter, http, owner_id, key=key)
        await counter.hear_all(decided(counter.sent_ids()[0], "account_frozen"))
        refused = await close(counter, http, owner_id, key=key)
    assert (refused.status_code, refused.json()["code"]) == (422, "account_frozen")
    assert refused.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("roles", [("customer",), ("operator", "compliance", "admin", "support", "auditor")])
async def test_nobody_closes_somebody_elses_account(counter: Counter, roles: tuple[str, ...]) -> None:
    async with counter.http() as http:
        for account_id in (counter.payee.account_id, new_id(), "x"):
            refused = await close(counter, http, counter.payer.owner_id, *roles, account_id=account_id)
            assert (refused.status_code, refused.json()["code"]) == (404, "account_not_found")
    assert counter.publisher.sent == []


async def test_a_closing_needs_a_key_and_only_says_why(counter: Counter) -> None:
    path = f"/api/v1/accounts/{counter.payer.account_id}/close"
    bearer = counter.keys.bearer(counter.payer.owner_id)
    async with counter.http() as http:
        missing = await http.post(path, headers=bearer)
        wrong = await close(counter, http, counter.payer.owner_id, body={"status": "active"})
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
    assert (wrong.status_code, wrong.json()["code"], counter.publisher.sent) == (422, "invalid_request", [])
