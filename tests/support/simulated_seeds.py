"""Seeds of the simulation: people and money in a simulated world, one storm after the other."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tests.support.chaos_api import Api
from tests.support.chaos_newcomers import Newcomers
from tests.support.chaos_stack import Circle, found_circle, fund, settle_and_check
from tests.support.limit_replay import replay
from tests.support.load import Load
from tests.support.simulated_world import SERVICES, World, simulated_world

_REQUESTS_PER_SECOND = 40.0
_NEWCOMERS = 0.3
"""The share of seeds in which people join as well, are paid before they are verified, and approved."""
_CRASH_POINTS = {
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


_ANYWHERE = ("statement", "answer", "publish", "acknowledgement")
_VICTIMS = (*SERVICES, "gateway", "fraud", "ledger")
"""Who moves the money is struck twice as often."""
_KINDS = ("kill", "crash at a name", "crash at work", "crash at work", "two of", "cut", "forget")


@dataclass
class Simulation:
    """A world with people in it who pay each other."""

    world: World
    circle: Circle
    load: Load
    drawn: random.Random
    """What the load draws from."""

    async def storm(self, seed: int, happened: list[str]) -> None:
        """Let money move while everything goes wrong, then let it come to rest and check all promises.

        What happens is told in `happened` as it does. Raises: AssertionError, or a group of what clients met.
        """
        rng, world = random.Random(seed), self.world
        self.drawn.seed(seed)
        world.faults.rng.seed(rng.random())
        world.faults.rates = world.faults.storm()
        happened.append(str(world.faults.rates))
        await self.circle.renew_tokens()
        newcomers = Newcomers(self.circle, self.load, random.Random(rng.random()))
        if do_join := rng.random() < _NEWCOMERS:
            newcomers.start()
        self.load.start()
        for _ in range(rng.randint(1, 7)):
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            happened.append(await self._strike(rng))
        await asyncio.sleep(rng.uniform(0.1, 0.5))
        await world.calm()
        await self.load.finish()
        await newcomers.finish()
        happened.append(await settle_and_check(world.dsn, self.circle, self.load))
        newcomers.check_all_posted()
        await self._check_limits()
        if do_join:
            happened.append(f"{len(newcomers.payments)} held ones released")

    async def _check_limits(self) -> None:
        """Check that every decision saw of its payer's limits what counting his whole history gives."""
        connection = await asyncpg.connect(self.world.dsn)
        try:
            await replay(connection, [person.user_id for person in self.circle.customers])
        finally:
            await connection.close()

    async def _strike(self, rng: random.Random) -> str:
        """Kill somebody, now or where he comes next, have two of him, cut his database, lose the broker's logs."""
        world, kind, name = self.world, rng.choice(_KINDS), rng.choice(_VICTIMS)
        if kind == "kill":
            await world.kill(name)
        elif kind.startswith("crash"):
            is_named = kind == "crash at a name"
            point = rng.choice(_CRASH_POINTS[name] if is_named else _ANYWHERE)
            world.crash_at[name] = (point, rng.randint(1, 3 if is_named else 60))
            return f"{name} to crash at {point}, time {world.crash_at[name][1]}"
        elif kind == "two of":
            async with world.two_of(name, unaware_seconds=rng.uniform(0.0, 1.0)) as address:
                with self.circle.api.also(address) if name == "gateway" else nullcontext():
                    await asyncio.sleep(rng.uniform(0.1, 1.5))
        elif kind == "cut":
            world.cut(name)
        else:
            world.broker.forget()
            return "the broker forgets"
        return f"{kind} {name}"


@asynccontextmanager
async def simulation(dsn: str, folder: Path) -> AsyncIterator[Simulation]:
    """Start a world on a migrated database and give its people their first money; nothing goes wrong yet."""
    drawn = random.Random()
    async with simulated_world(dsn, folder) as world:
        api = Api(world.api)
        try:
            circle = await found_circle(api, world.admin, customers=2, accounts=10)
            load = Load(api, circle.customers, operator=circle.admin, rng=drawn, rate=_REQUESTS_PER_SECOND)
            await fund(circle, load)
            yield Simulation(world, circle, load, drawn)
        finally:
            await api.close()
