"""Whoever owns a partition stands still while another takes over, wakes, and must not write what it had in its hands.

Nobody tells a paused process that its time is over: neither a lease nor a session ends inside of it. What it does next
after it has woken is what it was about to do.
"""

import asyncio
import time
from contextlib import nullcontext

import psutil
import pytest

from tests.support.balanced_api import BalancedApi
from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.chaos_twins import owner_of, running_twin
from tests.support.crashing import order_pause
from tests.support.load import Load
from tests.support.saying import Say

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

PAUSED_SECONDS = 30.0
TAKEN_OVER_SECONDS = 120.0
AWAKE_SECONDS = 3.0


GROUPS = {
    "ledger": "ledger.post-transfers",
    "fraud": "fraud.screen-transfers",
    "gateway": "gateway.project-outcomes",
}
"""Whose partition is the one that matters."""


@pytest.mark.parametrize(
    ("service", "point"),
    [
        ("ledger", "ledger.before_commit"),
        ("ledger", "ledger.after_commit_before_publish"),
        ("ledger", "delivery.before_offset_commit"),
        ("fraud", "fraud.before_commit"),
        ("fraud", "fraud.after_commit_before_publish"),
        ("fraud", "delivery.before_offset_commit"),
        ("gateway", "gateway.intake_before_commit"),
        ("gateway", "gateway.intake_after_commit"),
        ("gateway", "delivery.before_offset_commit"),
    ],
)
async def test_an_owner_that_stood_still_wakes_after_another_took_over_and_doubles_nothing(
    stack: ChaosStack, circle: tuple[Circle, Load], service: str, point: str, say: Say
) -> None:
    people, load = circle
    await people.renew_tokens()
    assert isinstance(people.api, BalancedApi)
    async with running_twin(stack, service) as twin:
        async with people.api.shared_with(f"http://127.0.0.1:{twin.port}") if service == "gateway" else nullcontext():
            load.start()
            try:
                owner = psutil.Process(owner_of(stack, service, twin, GROUPS[service]))
                await order_pause(stack.orders, service, point, owner.pid, reached=8).wait(seconds=60)
                paused_at = time.monotonic()
                try:
                    taken_over_seconds = await load.seconds_until_posted(paused_at, at_most=TAKEN_OVER_SECONDS)
                    await asyncio.sleep(paused_at + PAUSED_SECONDS - time.monotonic())
                finally:
                    owner.resume()
                await asyncio.sleep(AWAKE_SECONDS)
                assert taken_over_seconds < PAUSED_SECONDS, "who took over waited for what the other had locked"
            finally:
                await load.finish()
        rest = await settle_and_check(stack.dsn, people, load)
    say(f"  {service} stood still at {point}: 201 again after {taken_over_seconds:.1f} s, {rest}")
