"""A stack whose rows tests alter behind its back, and what happened on it before, long enough ago to be compared."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.e2e.api_client import Api, Person, new_key, transfer, wait_until
from tests.support.api_world import admin_connection

_SETTLED: Final = "SELECT last_record_at < now() - interval '16 seconds' FROM ledger.heads"
"""Reconciling leaves out what changed in the last 15 seconds, since it may be on its way."""


@dataclass(frozen=True)
class Captured:
    """A hold of which two parts were captured, each under its key."""

    transfer_id: str
    keys: Mapping[int, str]
    """amount of the part in minor units → key"""


@dataclass(frozen=True)
class Damaged:
    """The stack before it is damaged, and its people."""

    api: Api
    alice: Person
    bob: Person
    frozen: Person
    """Somebody whose account staff froze."""
    paid: tuple[str, ...]
    """Transfers of Alice to Bob, one for each test that alters one."""
    captured: Captured


def let_settle(api: Api) -> Damaged:
    """Let everything happen that tests alter; then wait once, for all of them, until it is old enough."""
    alice, bob = api.business("alice", funds_minor=1_000_000), api.person("bob")
    frozen = api.person("frozen")
    set_status(api, frozen, "frozen")
    set_status(api, api.person("closed"), "closed")
    paid = tuple(str(api.pay(alice, bob, 7).json()["transfer_id"]) for _ in range(3))
    hold = transfer(alice, bob, 300, hold=True, expires_in_seconds=3_600)
    hold_id = api.post("/transfers", hold, token=alice.token, key=new_key()).json()["transfer_id"]
    captured = Captured(hold_id, {100: new_key(), 50: new_key()})
    for amount_minor in captured.keys:
        capture(api, alice, captured, amount_minor)
    wait_until("nothing is left out as too fresh", lambda: bool(fetch(api, _SETTLED)))
    return Damaged(api, alice, bob, frozen, paid, captured)


def capture(api: Api, payer: Person, captured: Captured, amount_minor: int) -> bytes:
    """Capture this part of the hold, and return the answer; again it is the same."""
    body, key = {"amount_minor": amount_minor}, captured.keys[amount_minor]
    answer = api.post(f"/transfers/{captured.transfer_id}/capture", body, token=payer.token, key=key)
    assert answer.status_code == 200, answer.text
    return answer.content


def set_status(api: Api, person: Person, status: str) -> None:
    changed = api.http.put(
        f"/api/v1/admin/accounts/{person.account_id}/status",
        json={"status": status, "reason": "a test"},
        headers={"Authorization": f"Bearer {api.admin_token}", "Idempotency-Key": new_key()},
    )
    assert changed.status_code == 200, changed.text


def let_go_on(api: Api) -> None:
    """Release what the ledger's own verification found while a test had something altered: it comes by unasked."""
    for finding in api.get("/admin/ledger/findings", api.admin_token).json()["findings"]:
        body = {"finding_id": finding["finding_id"], "reason": "a test had altered it, and put it back"}
        assert api.post("/admin/ledger/release", body, token=api.admin_token).status_code == 200


def execute(api: Api, sql: str, *arguments: object) -> None:
    """Change rows as the administrator of the database."""

    async def run() -> None:
        async with admin_connection(api.dsn) as connection:
            await connection.execute(sql, *arguments)

    asyncio.run(run())


def fetch(api: Api, sql: str, *arguments: object) -> Any:
    """Return one value as the administrator of the database sees it."""

    async def run() -> Any:
        async with admin_connection(api.dsn) as connection:
            return await connection.fetchval(sql, *arguments)

    return asyncio.run(run())
