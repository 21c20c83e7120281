"""The word about a payee reaches the money that waits for him, whoever dies on the way and whatever is lost."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_world import admin_connection
from tests.support.chaos_api import Api, Person
from tests.support.chaos_stack import ChaosStack, Circle, found_circle, fund, settle_and_check
from tests.support.load import Load
from tests.support.saying import Say

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS_PER_SECOND = 30.0
HELD = 3
"""Transfers that wait for each newcomer."""
PATIENCE_SECONDS = 120.0
"""A lost event is caught within a minute, and a broker that was killed comes back before."""


@dataclass
class Crowd:
    """A stack under load, and the people in it."""

    stack: ChaosStack
    circle: Circle
    load: Load

    async def newcomer(self, name: str) -> tuple[Person, list[str]]:
        """Give somebody who has applied, and the transfers that wait for him."""
        api = self.circle.api
        person = await api.register(f"{name}.{time.monotonic_ns()}@example.com")
        account_id = await api.open_account(person)
        await api.apply_for_kyc(person)
        moves = await asyncio.gather(*(self.load.pay(account_id, 10 + number) for number in range(HELD)))
        transfer_ids = [move.answers[-1].transfer_id for move in moves]
        await self.until("held", person, transfer_ids)
        return person, transfer_ids

    async def click(self, person: Person, decision: str) -> float:
        """Decide on his application; return the moment of the answer."""
        path = f"/api/v1/admin/kyc/{person.user_id}/{decision}"
        await self.circle.api.insist(
            "POST", path, self.circle.admin, {"version": 1, "reason": "seen"}, expect=(200, 409)
        )
        return time.monotonic()

    async def until(self, status: str, person: Person, transfer_ids: Collection[str]) -> list[dict[str, Any]]:
        """Wait until he sees all of them so; return what he sees."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            seen = [
                dict(await self.circle.api.insist("GET", f"/api/v1/transfers/{transfer_id}", person))
                for transfer_id in transfer_ids
            ]
            if {one["status"] for one in seen} == {status}:
                return seen
            assert time.monotonic() < deadline, f"not all {status}: {seen}"
            await asyncio.sleep(0.02)

    async def balance_minor(self, person: Person) -> int:
        account = await self.circle.api.insist("GET", f"/api/v1/accounts/{person.account_ids[0]}", person)
        return int(account["posted_minor"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(stack: ChaosStack) -> AsyncIterator[Crowd]:
    api = Api(stack.running.api)
    circle = await found_circle(api, stack.admin, customers=2, accounts=10)
    load = Load(api, circle.customers, operator=circle.admin, rng=random.Random("unlock"), rate=REQUESTS_PER_SECOND)
    await fund(circle, load)
    yield Crowd(stack, circle, load)
    await api.close()


@pytest.mark.timeout(600)
async def test_an_approval_is_seen_by_the_payee_whoever_is_killed_after_the_click(crowd: Crowd, say: Say) -> None:
    crowd.load.start()
    said = []
    try:
        for victims in ((), ("kyc",), ("fraud",), ("ledger",), ("kyc", "fraud", "ledger")):
            person, transfer_ids = await crowd.newcomer("freya")
            clicked_at = await crowd.click(person, "approve")
            for victim in victims:
                crowd.stack.kill(victim)
            await crowd.until("posted", person, transfer_ids)
            said.append(f"{' and '.join(victims) or 'nobody'} {time.monotonic() - clicked_at:.1f} s")
            assert await crowd.balance_minor(person) == sum(10 + number for number in range(HELD)), "paid once"
    finally:
        await crowd.load.finish()
    say(f"  posted after the click, killed was: {', '.join(said)}; {await rest(crowd)}")


async def test_a_rejection_gives_the_money_and_the_slots_back_whoever_is_killed_after_the_click(
    crowd: Crowd, say: Say
) -> None:
    crowd.load.start()
    try:
        person, transfer_ids = await crowd.newcomer("rune")
        await crowd.click(person, "reject")
        for victim in ("kyc", "fraud", "ledger"):
            crowd.stack.kill(victim)
        seen = await crowd.until("voided", person, transfer_ids)
    finally:
        await crowd.load.finish()
    assert {one["code"] for one in seen} == {"payee_kyc_rejected"}
    assert await crowd.balance_minor(person) == 0
    async with admin_connection(crowd.stack.dsn) as connection:
        released = await connection.fetch(
            "SELECT reason, count(*) FROM fraud.limit_releases WHERE transfer_id = ANY($1) GROUP BY 1", transfer_ids
        )
    assert [tuple(row) for row in released] == [("payee_kyc_rejected", HELD)]
    say(f"  {await rest(crowd)}")


async def test_an_approval_whose_event_is_lost_is_said_again_within_a_minute(crowd: Crowd, say: Say) -> None:
    """Fraud stands still while kyc says it; then the broker forgets it, and fraud what it may have taken from there."""
    crowd.load.start()
    try:
        person, transfer_ids = await crowd.newcomer("lotte")
        for pid in crowd.stack.running.stack["services"]["fraud"]["pids"]:
            os.kill(pid, signal.SIGSTOP)
        clicked_at = await crowd.click(person, "approve")
        async with admin_connection(crowd.stack.dsn) as connection:
            while await connection.fetchval("SELECT count(*) FROM kyc.outbox"):
                assert time.monotonic() - clicked_at < PATIENCE_SECONDS, "kyc could not say it"
                await asyncio.sleep(0.05)
        crowd.stack.kill("broker")
        crowd.stack.kill("fraud")
        await crowd.until("posted", person, transfer_ids)
    finally:
        await crowd.load.finish()
    say(f"  posted {time.monotonic() - clicked_at:.1f} s after the click; {await rest(crowd)}")


async def rest(crowd: Crowd) -> str:
    """Let everything come to rest and check every promise; say how long that took."""
    return await settle_and_check(crowd.stack.dsn, crowd.circle, crowd.load)
