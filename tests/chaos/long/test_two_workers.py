"""Two processes work on one partition at the same time, each believing that it is alone: nothing is done twice.

Each reads in consumer groups of its own, so that both get every message at once, as never happens for longer than a
rebalance; the second one begins with everything there ever was.
"""

import asyncio

import pytest

from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.chaos_twins import running_twin
from tests.support.load import Load
from tests.support.saying import Say

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

TOGETHER_SECONDS = 20.0


@pytest.mark.parametrize("service", ["ledger", "fraud"])
async def test_two_on_one_partition_do_everything_once(
    stack: ChaosStack, circle: tuple[Circle, Load], service: str, say: Say
) -> None:
    people, load = circle
    await people.renew_tokens()
    posted_before = len(load.posted)
    load.start()
    try:
        async with running_twin(stack, service, groups="twin"):
            posted_alone = len(load.posted)
            await asyncio.sleep(TOGETHER_SECONDS)
            posted_together = len(load.posted) - posted_alone
    finally:
        await load.finish()
    rest = await settle_and_check(stack.dsn, people, load)
    assert posted_together > 0, "nobody gets anything done"
    say(f"  two of {service}: {posted_alone - posted_before} posted before, {posted_together} together, {rest}")
