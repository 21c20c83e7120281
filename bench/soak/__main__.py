"""`python -m bench.soak --minutes 30`: load for long, with faults, and a look at everything that could grow.

Starts a stack of its own, finds what it can do, keeps it at 70 per cent of that and lets a fault happen about twice a
minute. Every ten seconds it looks at memory, files, connections, tables, outboxes and lag. In the end everything has to
come to rest, every promise is checked, and nothing may have grown without bound. Writes `build/soak/`: figures and a
picture.
"""

import argparse
import asyncio
import json
import random
import secrets
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Final

import asyncpg
import httpx2
from rich.console import Console

from bench.documents import new_document
from bench.running_stack import bench_stack
from bench.soak.faults import strike
from bench.soak.growth import what_grew
from bench.soak.load import SHARE, Slice, SteadyLoad
from bench.soak.pictures import draw
from bench.soak.samples import Sample, take_sample
from bench.world import make_world
from bench.wrk import NoGenerator, require_generator
from tallystick.stack.errors import StackError
from tallystick.stack.stack_file import Stack, find_stack
from tests.support.chaos_books import wait_until_quiet
from tests.support.invariants import check_everything

BUILD: Final = Path("build/soak")
_BETWEEN_SAMPLES_SECONDS: Final = 10.0
_BETWEEN_FAULTS_SECONDS: Final = 30.0
_REST_SECONDS: Final = 600.0
_VACUUM_SECONDS: Final = 90.0
"""After the load: autovacuum wakes once a minute."""


class Soak:
    """What goes on at the same time: load, faults, looks."""

    def __init__(self, folder: Path, load: SteadyLoad, *, seconds: float, rng: random.Random, console: Console) -> None:
        """Go on for so long on the stack of this folder."""
        self._folder = folder
        self._load = load
        self._rng = rng
        self._console = console
        self._began = time.monotonic()
        self._ends = self._began + seconds
        self.samples: list[Sample] = []
        self.slices: list[Slice] = []
        self.faults: list[str] = []

    async def run(self) -> None:
        """Load, strike and look until the time is over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_loading())
            group.create_task(self._keep_striking())
            group.create_task(self._keep_looking())

    def find(self) -> Stack:
        """Return the stack as it is now: process ids change."""
        return find_stack(self._folder, {})

    async def look(self) -> None:
        """Take a sample; while PostgreSQL is away there is none."""
        try:
            self.samples.append(await take_sample(self.find(), time.monotonic() - self._began))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, StackError):
            return

    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends

    async def _keep_loading(self) -> None:
        while not self._is_over():
            try:
                await self._load.renew_tokens()
            except (httpx2.HTTPError, RuntimeError):
                await asyncio.sleep(1.0)  # who hands out tokens was killed just now
                continue
            seen = await asyncio.to_thread(self._load.slice, self._began)
            self.slices.append(seen)
            self._console.print(
                f"{seen.ended_seconds / 60:5.1f} min  {seen.answered_per_second:7.0f}/s  p50 {seen.p50_ms:6.0f} ms"
                f"  p99 {seen.p99_ms:6.0f} ms  {seen.failed} failed"
            )

    async def _keep_striking(self) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / _BETWEEN_FAULTS_SECONDS))
            if self._is_over():
                return
            self.faults.append(await asyncio.to_thread(strike, self._rng, self.find))
            self._console.print(f"{(time.monotonic() - self._began) / 60:5.1f} min  {self.faults[-1]}")

    async def _keep_looking(self) -> None:
        while not self._is_over():
            await self.look()
            await asyncio.sleep(_BETWEEN_SAMPLES_SECONDS)


def main() -> int:
    """Soak and report. Returns the exit code: 1 when something grew or a promise broke, 2 without a load generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="repeats the faults of an earlier run")
    arguments = parser.parse_args()
    console = Console(width=120)
    try:
        require_generator()
    except NoGenerator as missing:
        console.print(str(missing))
        return 2
    with tempfile.TemporaryDirectory(prefix="tallystick-soak-") as name:
        folder = Path(name) / "stack"
        with bench_stack(folder) as stack:
            broken = asyncio.run(_soak(stack, folder, arguments.minutes, arguments.seed, console))
    for line in broken:
        console.print(line, style="red")
    console.print(f"{len(broken)} findings; figures and picture are in {BUILD}")
    return 1 if broken else 0


async def _soak(stack: Stack, folder: Path, minutes: float, seed: str, console: Console) -> list[str]:
    console.print(f"seed {seed}; customers and accounts are made through the API …")
    customers = await make_world(stack.api, {"email": stack.admin.email, "password": stack.admin.password})
    before = await _accepted(stack)
    load = SteadyLoad(stack.api, customers, folder.with_name("world"))
    await asyncio.to_thread(load.find_maximum)
    console.print(f"{load.maximum_per_second:.0f}/s at most; {SHARE:.0%} of that for {minutes:g} minutes")
    soak = Soak(folder, load, seconds=60 * minutes, rng=random.Random(seed), console=console)
    await soak.run()
    quiet_seconds, _ = await wait_until_quiet(stack.postgres, seconds=_REST_SECONDS)
    console.print(f"at rest after {quiet_seconds:.0f} s; all promises are checked …")
    broken = []
    if (lost := load.answered - (await _accepted(stack) - before)) > 0:
        broken.append(f"{lost} transfers were answered 2xx and are not stored")
    try:
        await check_everything(stack.postgres, _vkey(stack.api))
    except AssertionError as failure:
        broken.append(str(failure))
    await asyncio.sleep(_VACUUM_SECONDS)
    samples = list(soak.samples)
    await soak.look()
    broken += what_grew(samples, soak.samples[-1])
    BUILD.mkdir(parents=True, exist_ok=True)
    draw(soak.samples, soak.slices, BUILD / "soak.svg")
    document = new_document() | {
        "seed": seed,
        "maximum_per_second": load.maximum_per_second,
        "answered": load.answered,
        "faults": soak.faults,
        "findings": broken,
        "slices": [asdict(each) for each in soak.slices],
        "samples": [asdict(each) for each in soak.samples],
    }
    (BUILD / "soak.json").write_text(json.dumps(document, indent=1))
    return broken


async def _accepted(stack: Stack) -> int:
    """Return how many transfers the gateway has stored."""
    connection = await asyncpg.connect(stack.postgres)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM gateway.transfers"))
    finally:
        await connection.close()


def _vkey(api: str) -> str:
    with urllib.request.urlopen(f"{api}/api/v1/transparency/key", timeout=10) as answer:  # noqa: S310 -- our own loopback
        text: str = answer.read().decode()
    return text


if __name__ == "__main__":
    sys.exit(main())
