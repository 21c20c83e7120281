"""A process dies exactly where a crash hurts most; afterwards every promise holds and clients were told the truth."""

import asyncio
import time

import pytest

from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.crashing import CrashOrder, order_crash
from tests.support.load import Load
from tests.support.saying import Say

pytestmark = pytest.mark.asyncio(loop_scope="module")

FROZEN_SECONDS = 17.0
"""Two more than any connection waits for an answer."""
SENT_SECONDS = 0.1
"""Long enough for a message to reach the broker, a fifth of the pause between two commits of offsets."""


async def crash(stack: ChaosStack, circle: tuple[Circle, Load], order: CrashOrder, say: Say) -> None:
    """Send until the crash has happened and a moment longer, then let everything come to rest and check it."""
    people, load = circle
    load.start()
    try:
        await order.wait(seconds=30)
        killed_at = time.monotonic()
        await asyncio.sleep(0.3)
    finally:
        await load.finish()
    answered_seconds = time.monotonic() - killed_at
    rest = await settle_and_check(stack.dsn, people, load)
    say(f"  {order.file.name}: all answered after {answered_seconds:.1f} s, {rest}")


async def test_gateway_dies_before_intake_commits(stack: ChaosStack, circle: tuple[Circle, Load], say: Say) -> None:
    await crash(stack, circle, order_crash(stack.orders, "gateway", "gateway.intake_before_commit", reached=8), say)


async def test_gateway_dies_after_intake_committed_and_before_it_published(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    await crash(stack, circle, order_crash(stack.orders, "gateway", "gateway.intake_after_commit", reached=8), say)


@pytest.mark.parametrize("service", ["fraud", "ledger"])
async def test_worker_dies_in_the_middle_of_a_batch(
    stack: ChaosStack, circle: tuple[Circle, Load], service: str, say: Say
) -> None:
    await crash(stack, circle, order_crash(stack.orders, service, f"{service}.before_commit", reached=5), say)


@pytest.mark.parametrize("service", ["fraud", "ledger"])
async def test_worker_dies_after_its_commit_and_before_it_published(
    stack: ChaosStack, circle: tuple[Circle, Load], service: str, say: Say
) -> None:
    point = f"{service}.after_commit_before_publish"
    await crash(stack, circle, order_crash(stack.orders, service, point, reached=5), say)


@pytest.mark.parametrize("service", ["fraud", "ledger"])
async def test_worker_dies_after_it_published_and_before_it_commits_its_offsets(
    stack: ChaosStack, circle: tuple[Circle, Load], service: str, say: Say
) -> None:
    point = "delivery.before_offset_commit"
    order = order_crash(stack.orders, service, point, reached=5, later_seconds=SENT_SECONDS)
    await crash(stack, circle, order, say)


async def test_gateway_dies_after_a_command_was_kept_and_before_it_is_published(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    await crash(stack, circle, order_crash(stack.orders, "gateway", "gateway.command_after_commit", reached=8), say)


async def test_ledger_dies_after_a_command_had_its_effect_and_before_anybody_heard_of_it(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    await crash(stack, circle, order_crash(stack.orders, "ledger", "ledger.command_after_commit", reached=8), say)


async def test_the_database_stands_still_for_longer_than_anybody_waits_for_it(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    """What is given up is begun all the same when it goes on, and nothing else may become part of it."""
    people, load = circle
    load.start()
    try:
        await asyncio.sleep(1.0)
        with stack.running.frozen_postgres():
            await asyncio.sleep(FROZEN_SECONDS)
        went_on_at = time.monotonic()
        await asyncio.sleep(3.0)
    finally:
        await load.finish()
    answered_seconds = time.monotonic() - went_on_at
    rest = await settle_and_check(stack.dsn, people, load)
    say(f"  PostgreSQL stood still: all answered {answered_seconds:.1f} s after it went on, {rest}")
