"""All five services in one process, and everything goes wrong that a seed draws; afterwards every promise holds.

`TALLYSTICK_SEEDS` is how many seeds, `TALLYSTICK_SEED` the first of them. A seed draws what is asked, which faults
there are and how many, who is killed and where. It does not draw in which order tasks and PostgreSQL get their turns: a
seed that failed is likely, not certain, to fail again.
"""

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.support.saying import Say
from tests.support.simulated_seeds import simulation

SEEDS = int(os.environ.get("TALLYSTICK_SEEDS", "10"))
FIRST = int(os.environ.get("TALLYSTICK_SEED", "1"))
OF_ONE_WORLD = 25
"""Seeds that share a world: to start one costs more than a seed, and to check it costs more the older it is."""


# Whoever is killed closes nothing.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(120 + 60 * OF_ONE_WORLD)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, OF_ONE_WORLD))
async def test_no_promise_breaks_whatever_a_seed_draws(
    first: int, migrated_dsn: str, tmp_path: Path, logged: Path, say: Say
) -> None:
    seeds = range(first, min(first + OF_ONE_WORLD, FIRST + SEEDS))
    async with simulation(migrated_dsn, tmp_path) as simulated:
        for seed in seeds:
            began, happened = time.monotonic(), list[str]()
            try:
                await simulated.storm(seed, happened)
            except BaseException:
                say(f"simulation: seed {seed} failed after {'; '.join(happened)}; the services' logs are in {logged}")
                raise
            say(f"simulation: seed {seed}: {'; '.join(happened)}; {time.monotonic() - began:.1f} s in all")
        load = simulated.load
        say(
            f"simulation: {len(seeds)} seeds, {simulated.world.deaths} deaths, {len(load.moves)} transfers,"
            f" {len(load.commands)} commands about them"
        )
    shutil.rmtree(logged.parent)
