"""Fraud's deciding alone: decisions a second in batches of 500, and how long one takes at 500 a second.

`python -m bench.screening [--seconds 10]` starts a PostgreSQL of its own and prints a table: with the shipped rules,
and with none, in turn. Customers have paid before and are known; each transfer comes from one of many addresses and
devices. Counts and daily sums are lifted, or nobody could send so much. Neither broker nor decoding is part of it.
"""

import argparse
import asyncio
import gc
import logging
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import asyncpg
import psutil
import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from bench.documents import new_document, write_document
from bench.ledger.__main__ import postgres
from bench.ledger.stage import Nowhere
from libs.common.clock import system_clock, to_rfc3339
from libs.common.contracts.transfers import Leg, Party, TransferCommand
from libs.common.db.hot import HotConnection
from libs.common.db.migrate import migrate_services
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from libs.common.origins import OriginKeys
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.ask_outcomes import PayersNearLimits
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.publish_shipped_rules import PublishShippedRules
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.use_cases.read_screening_data import ScreeningInForce
from services.fraud.use_cases.screen_transfers import ScreenTransfers
from tallystick.stack.postgres import LocalPostgres

BATCH: Final = 500
CUSTOMERS: Final = 10_000
PER_SECOND: Final = 500
_PAIRS: Final = 3


class Rate(NamedTuple):
    """Decisions a second, and CPU µs a decision of this process and of the PostgreSQL process that it asks."""

    per_second: float
    python_us: float
    postgres_us: float


class World:
    """One deciding process over a database of its own."""

    def __init__(self, dsn: str) -> None:
        """Construct the parts; `office` connects."""
        self.hot = HotConnection(dsn, "bench")
        work = UnitOfWork(self.hot, Outbox("fraud", Nowhere(), self.hot))  # type: ignore[arg-type]  # stands for the bus, and confirms at once
        policy, screening = PolicyInForce(velocity_lifted=True), ScreeningInForce(OriginKeys("bench"))
        self.screen = ScreenTransfers(
            work, PayerCache(), policy, screening, PayersNearLimits(), lane=0, clock=system_clock
        )
        self.publish_shipped_rules = PublishShippedRules(work, system_clock)
        self._chance = random.Random(7)
        self._people = [new_id() for _ in range(CUSTOMERS)]

    def batch(self, size: int) -> list[Asked]:
        """Return so many transfers that nobody has asked for yet."""
        now = to_rfc3339(system_clock())
        return [Asked((self._command(now),)) for _ in range(size)]

    def _command(self, now: str) -> TransferCommand:
        payer, payee = self._chance.sample(self._people, 2)
        return TransferCommand(
            transfer_id=new_id(),
            kind="transfer",
            actor_id=payer,
            payer=Party(payer, 1, 1),
            payees=(Party(payee, 1, 1),),
            legs=(Leg(payer, payee, self._chance.randint(1, 50_000), "USD", payee),),
            memo_commitment="",
            requested_at=now,
            address_key=self._chance.randint(1, CUSTOMERS),
            device_key=self._chance.randint(1, CUSTOMERS),
        )


@asynccontextmanager
async def world(server: LocalPostgres, name: str, *, with_rules: bool) -> AsyncIterator[World]:
    """Give a world in which everybody is known."""
    admin = await asyncpg.connect(server.dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    dsn = server.dsn.replace("/tallystick?", f"/{name}?")
    await migrate_services(dsn, {"fraud": "bench"})
    made = World(dsn)
    await made.hot.connect()
    if with_rules:
        await made.publish_shipped_rules()
    for _ in range(4 * CUSTOMERS // BATCH):
        await made.screen(made.batch(BATCH))
    yield made
    await made.hot.close()


async def measure_rate(at: World, seconds: float) -> Rate:
    """Decide as fast as it goes, on batches made beforehand."""
    work = [at.batch(BATCH) for _ in range(int(seconds * 60))]
    async with at.hot.autocommit() as connection:
        backend = psutil.Process(connection.get_server_pid())
    gc.collect()
    gc.freeze()
    began, cpu_began, backend_began = time.perf_counter(), time.process_time(), _cpu_seconds(backend)
    decided = 0
    for batch in work:
        await at.screen(batch)
        decided += BATCH
        if time.perf_counter() - began > seconds:
            break
    took = time.perf_counter() - began
    python, served = time.process_time() - cpu_began, _cpu_seconds(backend) - backend_began
    gc.unfreeze()
    return Rate(decided / took, python / decided * 1e6, served / decided * 1e6)


async def measure_latencies(at: World, seconds: float) -> list[float]:
    """Ask for 500 decisions a second, evenly, and return how many ms each took, its waiting included."""
    waiting: list[tuple[float, Asked]] = []
    asked = at.batch(int(seconds * PER_SECOND))
    took: list[float] = []
    began = time.perf_counter()
    place = 0
    while len(took) < len(asked):
        due = min(len(asked), int((time.perf_counter() - began) * PER_SECOND) + 1)
        waiting += [(began + number / PER_SECOND, asked[number]) for number in range(place, due)]
        place = due
        if not waiting:
            await asyncio.sleep(0.0005)
            continue
        taken, waiting = waiting[:BATCH], waiting[BATCH:]
        await at.screen([one for _, one in taken])
        done = time.perf_counter()
        took += [(done - arrived) * 1e3 for arrived, _ in taken]
    return took


async def measure_all(server: LocalPostgres, seconds: float, console: Console) -> dict[str, object]:
    """Measure both worlds in turn, print a table, and return the figures."""
    async with world(server, "ruled", with_rules=True) as ruled, world(server, "plain", with_rules=False) as plain:
        rates: dict[str, list[Rate]] = {"shipped rules": [], "no rules": []}
        for _ in range(_PAIRS):
            rates["shipped rules"].append(await measure_rate(ruled, seconds))
            rates["no rules"].append(await measure_rate(plain, seconds))
        latencies = {
            "shipped rules": await measure_latencies(ruled, seconds),
            "no rules": await measure_latencies(plain, seconds),
        }
    table = Table("rules", "decisions/s", "our CPU, µs", "PostgreSQL's, µs", "p50 ms at 500/s", "p99 ms")
    figures: dict[str, object] = {}
    for name, found in rates.items():
        middle = sorted(found)[len(found) // 2]
        cuts = statistics.quantiles(latencies[name], n=100)
        table.add_row(
            name,
            f"{middle.per_second:,.0f}",
            f"{middle.python_us:.1f}",
            f"{middle.postgres_us:.1f}",
            f"{cuts[49]:.1f}",
            f"{cuts[98]:.1f}",
        )
        figures[name] = middle._asdict() | {"p50_ms": cuts[49], "p99_ms": cuts[98]}
    console.print(table)
    return figures


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console()
    with postgres() as server:
        figures = uvloop.run(measure_all(server, arguments.seconds, console))
    console.print(f"written to {write_document(new_document() | {'screening': figures})}")


if __name__ == "__main__":
    main()
