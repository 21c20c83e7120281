"""PostgreSQL or the broker ends in the middle of everything, at once or for minutes, and comes back."""

import asyncio
import random
import time

import pytest

from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.load import Load
from tests.support.saying import Say

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

RECOVERY_SECONDS = 120.0
BROKER_AWAY_SECONDS = 120.0
POSTGRES_AWAY_SECONDS = 20.0


async def test_postgresql_is_stopped_immediately_again_and_again(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    people, load = circle
    rng, recoveries = random.Random("immediately"), []
    await people.renew_tokens()
    load.start()
    try:
        for _ in range(5):
            await asyncio.sleep(rng.uniform(0.5, 3.0))
            stopped_at = time.monotonic()
            stack.running.stop_postgres_immediately()
            recoveries.append(await load.seconds_until_posted(stopped_at, at_most=RECOVERY_SECONDS))
    finally:
        await load.finish()
    rest = await settle_and_check(stack.dsn, people, load)
    said = ", ".join(f"{seconds:.1f}" for seconds in sorted(recoveries))
    say(f"  PostgreSQL was stopped {len(recoveries)} times, 201 again after {said} s; {rest}")


async def test_postgresql_is_stopped_immediately_and_stays_away(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    people, load = circle
    await people.renew_tokens()
    load.start()
    try:
        await asyncio.sleep(2.0)
        with stack.running.nobody_restarts():
            stack.running.stop_postgres_immediately()
            await asyncio.sleep(POSTGRES_AWAY_SECONDS)
        recovery_seconds = await load.seconds_until_posted(time.monotonic(), at_most=RECOVERY_SECONDS)
    finally:
        await load.finish()
    rest = await settle_and_check(stack.dsn, people, load)
    say(f"  PostgreSQL was away for {POSTGRES_AWAY_SECONDS:.0f} s, 201 again after {recovery_seconds:.1f} s; {rest}")


async def test_the_broker_is_restarted_in_order_again_and_again(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    people, load = circle
    rng, recoveries = random.Random("in order"), []
    await people.renew_tokens()
    load.start()
    try:
        for _ in range(3):
            await asyncio.sleep(rng.uniform(0.5, 3.0))
            stopped_at = time.monotonic()
            await asyncio.to_thread(stack.restart_broker)
            recoveries.append(await load.seconds_until_posted(stopped_at, at_most=RECOVERY_SECONDS))
    finally:
        await load.finish()
    rest = await settle_and_check(stack.dsn, people, load)
    said = ", ".join(f"{seconds:.1f}" for seconds in sorted(recoveries))
    say(f"  the broker was restarted {len(recoveries)} times, 201 again after {said} s; {rest}")


async def test_the_broker_is_away_for_two_minutes_and_whatever_was_accepted_is_done(
    stack: ChaosStack, circle: tuple[Circle, Load], say: Say
) -> None:
    people, load = circle
    await people.renew_tokens()
    load.start()
    try:
        await asyncio.sleep(2.0)
        before = load.tries.copy()
        with stack.broker_away():
            await asyncio.sleep(BROKER_AWAY_SECONDS)
            meanwhile = load.tries - before
        recovery_seconds = await load.seconds_until_posted(time.monotonic(), at_most=RECOVERY_SECONDS)
    finally:
        await load.finish()
    rest = await settle_and_check(stack.dsn, people, load)
    told = {int(said.split()[-1]) for said in meanwhile if said.split()[-1].isdigit()}
    assert told <= {200, 201, 202, 403, 404, 409, 422, 503}, meanwhile
    assert meanwhile["transfers 202"] > 0, "accepted although nobody could carry it out yet"
    say(f"  the broker was away for {BROKER_AWAY_SECONDS:.0f} s, 201 again after {recovery_seconds:.1f} s; {rest}")
