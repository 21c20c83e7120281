"""Everything dies in turn, at random moments, while money moves.

TALLYSTICK_CHAOS_ROUNDS kills each victim as many times; TALLYSTICK_CHAOS_SEED repeats the order, the moments and the
load of an earlier run.
"""

import asyncio
import os
import random
import secrets
import time
from collections import defaultdict

import pytest

from tests.support.chaos_api import Api
from tests.support.chaos_newcomers import Newcomers
from tests.support.chaos_stack import VICTIMS, ChaosStack, Circle, found_circle, fund, settle_and_check
from tests.support.load import Load
from tests.support.saying import Say

ROUNDS = int(os.environ.get("TALLYSTICK_CHAOS_ROUNDS", "1"))
SEED = os.environ.get("TALLYSTICK_CHAOS_SEED") or secrets.token_hex(4)
CUSTOMERS, ACCOUNTS = 4, 200
REQUESTS_PER_SECOND = 60.0
RECOVERY_SECONDS_MAX = 60.0
LONG_RECOVERY_SECONDS = 10.0


@pytest.mark.timeout(180 + 150 * ROUNDS)
async def test_no_promise_breaks_whatever_is_killed_and_whenever(stack: ChaosStack, say: Say) -> None:
    say(f"chaos: TALLYSTICK_CHAOS_SEED={SEED} TALLYSTICK_CHAOS_ROUNDS={ROUNDS}")
    rng = random.Random(SEED)
    api = Api(stack.running.api)
    try:
        began = time.monotonic()
        circle = await found_circle(api, stack.admin, customers=CUSTOMERS, accounts=ACCOUNTS)
        load = Load(
            api,
            circle.customers,
            operator=circle.admin,
            rng=random.Random(rng.random()),
            rate=REQUESTS_PER_SECOND,
        )
        await fund(circle, load)
        say(f"chaos: {ACCOUNTS} accounts after {time.monotonic() - began:.1f} s")
        recoveries: dict[str, list[float]] = defaultdict(list)
        for number in range(1, ROUNDS + 1):
            await circle.renew_tokens()
            say(f"chaos: round {number} of {ROUNDS}: {await _round(stack, circle, load, rng, recoveries)}")
        for victim, seconds in sorted(recoveries.items()):
            say(f"chaos: {victim} was killed {len(seconds)} times, first 201 after {_summary(seconds)}")
    finally:
        await api.close()


async def _round(
    stack: ChaosStack, circle: Circle, load: Load, rng: random.Random, recoveries: dict[str, list[float]]
) -> str:
    """Kill everything once, let it come to rest, check all promises."""
    newcomers = Newcomers(circle, load, random.Random(rng.random()))
    load.start()
    newcomers.start()
    said = []
    for victim in rng.sample(VICTIMS, len(VICTIMS)):
        await asyncio.sleep(rng.uniform(0.3, 2.0))
        killed_at = time.monotonic()
        stack.kill(victim)
        recoveries[victim].append(await load.seconds_until_posted(killed_at, at_most=RECOVERY_SECONDS_MAX))
        said.append(f"{victim} {recoveries[victim][-1]:.1f}")
    await asyncio.sleep(rng.uniform(0.0, 1.0))
    await newcomers.finish()
    rest = await settle_and_check(stack.dsn, circle, load)
    newcomers.check_all_posted()
    return (
        f"{', '.join(said)} s; {rest}; {len(load.moves)} transfers,"
        f" {len(load.commands)} commands about them,"
        f" {len(newcomers.payments)} held ones released; {dict(load.tries)}"
    )


def _summary(seconds: list[float]) -> str:
    text = ", ".join(f"{each:.1f}" for each in sorted(seconds))
    return f"{text} s" + (" (long)" if max(seconds) > LONG_RECOVERY_SECONDS else "")
