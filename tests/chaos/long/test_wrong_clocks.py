"""Clocks of processes are set an hour ahead, or behind, while money moves, and set right again.

The ledger's records carry its time for ever, so it stops until somebody has looked. All others go on: what they ask
or keep by a clock that is wrong must neither be lost nor wait for an hour.
"""

import asyncio

import asyncpg
import httpx2
import pytest

from tests.support.api_world import admin_connection
from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.chaos_twins import restart
from tests.support.load import Load
from tests.support.saying import Say
from tests.support.stepped_clock import step_clock

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

AN_HOUR = 3600
OTHERS = ("accounts", "kyc", "gateway", "fraud")
NOTICED_WITHIN_SECONDS = 30.0
WRONG_SECONDS = 10.0


@pytest.mark.parametrize("step_seconds", [AN_HOUR, -AN_HOUR], ids=["ahead", "behind"])
async def test_a_ledger_whose_clock_was_set_writes_nothing_until_somebody_has_looked(
    stack: ChaosStack, circle: tuple[Circle, Load], step_seconds: int, say: Say
) -> None:
    people, load = circle
    await people.renew_tokens()
    load.start()
    try:
        await asyncio.sleep(1.0)
        step_clock(stack.orders, "ledger", step_seconds)
        await _until_distrusted(stack)
        async with admin_connection(stack.dsn) as connection:
            await asyncio.sleep(1.0)  # what was being written is
            before = await _size(connection)
            await asyncio.sleep(WRONG_SECONDS)
            step_clock(stack.orders, "ledger", 0)
            await asyncio.sleep(WRONG_SECONDS)
            assert await _size(connection) == before, "it wrote by a clock that it does not trust"
        await restart(stack, "ledger")
    finally:
        step_clock(stack.orders, "ledger", 0)
        await load.finish()
    say(f"  the ledger's clock was set by {step_seconds:+d} s: {await settle_and_check(stack.dsn, people, load)}")


@pytest.mark.parametrize("step_seconds", [AN_HOUR, -AN_HOUR], ids=["ahead", "behind"])
async def test_what_comes_by_clocks_that_are_wrong_is_done_and_nothing_waits_until_they_are_right(
    stack: ChaosStack, circle: tuple[Circle, Load], step_seconds: int, say: Say
) -> None:
    """The broker loses messages on both sides of the step back, so that only repeating brings them."""
    people, load = circle
    await people.renew_tokens()
    load.start()
    try:
        await asyncio.sleep(1.0)
        await _set_others(stack, people, step_seconds)
        await asyncio.sleep(WRONG_SECONDS)
        stack.kill("broker")
        await asyncio.sleep(1.0)
        await _set_others(stack, people, 0)
        await asyncio.sleep(WRONG_SECONDS)
        stack.kill("broker")
        await asyncio.sleep(3.0)
    finally:
        await _set_others(stack, people, 0)
        await load.finish()
    # A token is judged by the clocks, too: whoever has an old one logs in again.
    load.unexpected = [line for line in load.unexpected if ": 401 " not in line]
    rest = await settle_and_check(stack.dsn, people, load)
    say(f"  the clocks of all others were set by {step_seconds:+d} s and back: {rest}")


async def _set_others(stack: ChaosStack, people: Circle, step_seconds: int) -> None:
    """Set the clocks of all but the ledger, and let everybody log in by the new time."""
    for service in OTHERS:
        step_clock(stack.orders, service, step_seconds)
    for person in (people.admin, *people.customers):
        person.token_at = float("-inf")
    await people.renew_tokens()


async def _until_distrusted(stack: ChaosStack) -> None:
    """Return when the ledger says that it does not trust its clock."""
    async with (
        asyncio.timeout(NOTICED_WITHIN_SECONDS),
        httpx2.AsyncClient(base_url=stack.running.stack["services"]["ledger"]["url"]) as client,
    ):
        while "ledger.clock" not in (await client.get("/health/ready")).text:  # noqa: ASYNC110 -- it tells who asks
            await asyncio.sleep(0.1)


async def _size(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT size FROM ledger.heads"))
