"""All five services in one process, and everything goes wrong that a seed draws; afterwards every promise holds.

`TALLYSTICK_SEEDS` is how many seeds, `TALLYSTICK_SEED` the first of them. A seed draws what is asked, which faults
there are and how many, who is killed and where. It does not draw in which order tasks and PostgreSQL get their turns: a
seed that failed is likely, not certain, to fail again.
"""

import asyncio
import os
import random
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.simulation.conftest import Say
from tests.support.chaos_api import Api
from tests.support.chaos_newcomers import Newcomers
from tests.support.chaos_stack import Circle, found_circle, fund, settle_and_check
from tests.support.load import Load
from tests.support.simulated_world import SERVICES, World, simulated_world

SEEDS = int(os.environ.get("TALLYSTICK_SEEDS", "15"))
FIRST = int(os.environ.get("TALLYSTICK_SEED", "1"))
REQUESTS_PER_SECOND = 60.0
_NEWCOMERS = 0.3
"""The share of seeds in which people join as well, are paid before they are verified, and approved."""
CRASH_POINTS = {
    "gateway": (
        "gateway.intake_before_commit",
        "gateway.intake_after_commit",
        "gateway.command_before_commit",
        "gateway.command_after_commit",
        "delivery.before_offset_commit",
    ),
    "fraud": ("fraud.before_commit", "fraud.after_commit_before_publish", "delivery.before_offset_commit"),
    "ledger": (
        "ledger.before_commit",
        "ledger.after_commit_before_publish",
        "ledger.command_after_commit",
        "delivery.before_offset_commit",
    ),
    "kyc": ("delivery.before_offset_commit",),
    "accounts": ("delivery.before_offset_commit",),
}


@pytest.mark.timeout(120 + 60 * SEEDS)
# Whoever is killed closes nothing.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_no_promise_breaks_whatever_a_seed_draws(
    migrated_dsn: str, tmp_path: Path, logged: Path, say: Say
) -> None:
    drawn = random.Random()
    async with simulated_world(migrated_dsn, tmp_path) as world:
        api = Api(world.api)
        try:
            circle = await found_circle(api, world.admin, customers=2, accounts=10)
            load = Load(api, circle.customers, operator=circle.admin, rng=drawn, rate=REQUESTS_PER_SECOND)
            await fund(circle, load)
            for seed in range(FIRST, FIRST + SEEDS):
                drawn.seed(seed)
                began = time.monotonic()
                happened: list[str] = []
                try:
                    await _storm(world, circle, load, random.Random(seed), happened)
                except BaseException:
                    say(
                        f"simulation: seed {seed} failed after {'; '.join(happened)};"
                        f" the services' logs are in {logged}"
                    )
                    raise
                say(f"simulation: seed {seed}: {'; '.join(happened)}; {time.monotonic() - began:.1f} s in all")
            say(
                f"simulation: {SEEDS} seeds, {world.deaths} deaths, {len(load.moves)} transfers,"
                f" {len(load.commands)} commands about them"
            )
            shutil.rmtree(logged.parent)
        finally:
            await api.close()


async def _storm(world: World, circle: Circle, load: Load, rng: random.Random, happened: list[str]) -> None:
    """Let money move while everything goes wrong, then let it come to rest and check all promises.

    What happens is told in `happened` as it does.
    """
    world.faults.rng.seed(rng.random())
    world.faults.rates = world.faults.storm()
    await circle.renew_tokens()
    newcomers = Newcomers(circle, load, random.Random(rng.random())) if rng.random() < _NEWCOMERS else None
    load.start()
    if newcomers is not None:
        newcomers.start()
    happened.append(str(world.faults.rates))
    for _ in range(rng.randint(1, 4)):
        await asyncio.sleep(rng.uniform(0.1, 0.5))
        happened.append(await _strike(world, circle.api, rng))
    await asyncio.sleep(rng.uniform(0.1, 0.5))
    await world.calm()
    if newcomers is not None:
        await newcomers.finish()
        happened.append(f"{len(newcomers.payments)} held ones released")
    happened.append(await settle_and_check(world.dsn, circle, load))
    if newcomers is not None:
        newcomers.check_all_posted()


async def _strike(world: World, api: Api, rng: random.Random) -> str:
    """Kill somebody, at once or where he comes next, have two of him, cut his database, or lose the broker's logs."""
    kind = rng.choice(("kill", "crash", "crash", "two of", "cut", "forget"))
    name = rng.choice(SERVICES)
    if kind == "kill":
        await world.kill(name)
    elif kind == "crash":
        world.crash_at[name] = rng.choice(CRASH_POINTS[name])
        return f"{name} to crash at {world.crash_at[name]}"
    elif kind == "two of":
        async with world.two_of(name, unaware_seconds=rng.uniform(0.0, 1.0)) as address:
            with api.also(address) if name == "gateway" else nullcontext():
                await asyncio.sleep(rng.uniform(0.1, 1.5))
    elif kind == "cut":
        world.cut(name)
    else:
        world.broker.forget()
        return "the broker forgets"
    return f"{kind} {name}"
