"""One measured row: load for some seconds, transfers counted in the ledger's tables, CPU by process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.cpu import cpu_seconds, spent
from bench.wrk import Load, Measured, run_load
from tallystick.stack.stack_file import Stack

WARM_UP_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Row:
    """What one load did: rates per second of wall time, CPU in microseconds a transfer."""

    name: str
    connections: int
    transfers: int
    transfers_per_second: float
    latency: Measured
    cpu_us: dict[str, float]

    @property
    def cpu_us_sum(self) -> float:
        """Return the CPU of everything, generator included, a transfer."""
        return sum(self.cpu_us.values())


def measure_row(name: str, load: Load, stack: Stack, world: Path, seconds: int) -> Row:
    """Warm up, then measure. Posted transfers are counted in PostgreSQL, not taken from the generator's word.

    Raises: RuntimeError when nothing was posted; a rate of zero is no measurement.
    """
    run_load(load, stack.api, world, WARM_UP_SECONDS)
    pids = _pids(stack)
    counted_before, before = asyncio.run(count_posted(stack.postgres)), cpu_seconds(pids)
    latency = run_load(load, stack.api, world, seconds)
    used = spent(before, cpu_seconds(pids)) | {"generator": latency.generator_cpu_seconds}
    transfers = asyncio.run(count_posted(stack.postgres)) - counted_before
    if not transfers:
        message = f"{name}, {load.connections} connections: nothing was posted in {seconds} s; the stack stood still"
        raise RuntimeError(message)
    return Row(
        name=name,
        connections=load.connections,
        transfers=transfers,
        transfers_per_second=transfers / latency.seconds,
        latency=latency,
        cpu_us={part: 1e6 * cpu / transfers for part, cpu in used.items()},
    )


async def count_posted(dsn: str) -> int:
    """Return how many transfers the ledger has posted."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM ledger.transfers WHERE status = 'posted'"))
    finally:
        await connection.close()


def _pids(stack: Stack) -> dict[str, Sequence[int]]:
    """Return name → main processes; what they started belongs to them."""
    services: dict[str, Sequence[int]] = {name: service.pids for name, service in stack.services.items()}
    return services | {name: part["pids"][:1] for name, part in stack.infrastructure.items()}
