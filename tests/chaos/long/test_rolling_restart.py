"""Two processes of a service, each ended and started again in turn under load: nobody who pays notices."""

import asyncio
import time

import pytest

from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.chaos_twins import restart, running_twin, until_ready
from tests.support.load import Load
from tests.support.saying import Say

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

BETWEEN_SECONDS = 2.0


@pytest.mark.parametrize("service", ["fraud", "ledger"])
async def test_both_processes_are_restarted_in_turn_and_no_request_fails(
    stack: ChaosStack, circle: tuple[Circle, Load], service: str, say: Say
) -> None:
    people, load = circle
    await people.renew_tokens()
    async with running_twin(stack, service) as twin:
        before, began = load.tries.copy(), time.monotonic()
        load.start()
        try:
            await asyncio.sleep(BETWEEN_SECONDS)
            await restart(stack, service)
            await asyncio.sleep(BETWEEN_SECONDS)
            await asyncio.to_thread(twin.stop)
            twin.spawn()
            await until_ready(twin)
            await asyncio.sleep(BETWEEN_SECONDS)
        finally:
            await load.finish()
        rolled_seconds = time.monotonic() - began
        rest = await settle_and_check(stack.dsn, people, load)
    answers = load.tries - before
    failed = {what: count for what, count in answers.items() if not what.split()[-1].startswith(("2", "4"))}
    assert failed == {}, failed
    say(f"  {service} was restarted within {rolled_seconds:.0f} s: {answers.total()} requests, none failed; {rest}")
