"""Every process dies in the same instant, the broker with all it kept in memory: what was answered is still so."""

import asyncio
import os
import signal
import time

import pytest

from tests.support.api_world import admin_connection
from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.load import Load
from tests.support.load_requests import TRANSFER
from tests.support.saying import Say

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

ACCEPTED = 500
AT_ONCE = 50


def stop(stack: ChaosStack, *services: str) -> None:
    """Let these services do nothing more, until they are killed."""
    for service in services:
        for pid in stack.running.stack["services"][service]["pids"]:
            os.kill(pid, signal.SIGSTOP)


async def decided(stack: ChaosStack) -> int:
    async with admin_connection(stack.dsn) as connection:
        found: int = await connection.fetchval("SELECT count(*) FROM ledger.transfers")
        return found


async def test_what_was_accepted_and_is_not_begun_survives_the_death_of_everything(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    """Blnk answered 201 to 120,006 transfers; 110,000 of them were for two minutes in a process's memory alone.

    https://github.com/blnkfinance/blnk/blob/v0.15.2/transaction_queue.go
    """
    people, load = circle
    payer, payee = people.customers
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int) -> None:
        source = payer.account_ids[number % len(payer.account_ids)]
        move = load.move(payer, TRANSFER, source, payee.account_ids[0], 1)
        async with gate:
            await load.transfer(payer, move, prefer="respond-async")

    before = await decided(stack)
    stop(stack, "fraud", "ledger")
    await asyncio.gather(*(ask(number) for number in range(ACCEPTED - AT_ONCE)))
    assert await decided(stack) == before, "nobody has begun"
    doomed = stack.running.everything()
    await asyncio.gather(*(ask(number) for number in range(AT_ONCE)))
    stack.kill_everything(doomed)
    answered = [move.answers[-1] for move in load.moves[-ACCEPTED:]]
    assert {(answer.http_status, answer.status) for answer in answered} == {(202, "accepted")}
    killed_at = time.monotonic()
    people.api.move_to(stack.running.api)
    rest = await settle_and_check(stack.dsn, people, load)
    assert await decided(stack) == before + ACCEPTED
    assert {move.answers[-1].status for move in load.moves[-ACCEPTED:]} == {"posted"}
    say(f"  {ACCEPTED} accepted, none begun: posted {time.monotonic() - killed_at:.1f} s after the start, {rest}")


async def test_no_promise_breaks_when_everything_dies_at_once_under_load(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    """Transfers that had been answered 201 were not there after PostgreSQL restarted, and balances disagreed.

    https://github.com/LerianStudio/midaz/issues/1384, https://github.com/LerianStudio/midaz/issues/1271
    """
    people, load = circle
    await people.renew_tokens()
    load.start()
    try:
        await asyncio.sleep(3.0)
        doomed, posted_before = stack.running.everything(), len(load.posted)
        # What was answered a moment ago is what could be lost.
        while len(load.posted) == posted_before:  # noqa: ASYNC110 -- no time may pass in between
            await asyncio.sleep(0)
        stack.kill_everything(doomed)
        people.api.move_to(stack.running.api)
        await asyncio.sleep(2.0)
    finally:
        await load.finish()
    assert posted_before > 0
    rest = await settle_and_check(stack.dsn, people, load)
    say(f"  everything died at once: {posted_before} were answered 201 before, {len(load.posted)} in all, {rest}")
