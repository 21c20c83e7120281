"""Fraud's deciding alone: decisions a second in batches of 500, and how long one takes at 500 a second.

`python -m bench.screening [--seconds 10]` starts a PostgreSQL of its own and prints a table: with the shipped rules,
and with none, in turn; one deciding process, and two that share the customers as partitions do. Each customer sends
from a device of his own and from an address that three share, nine times of ten to one of five payees. Counts and daily
sums are lifted, or nobody could send so much. Neither broker nor decoding is part of it.
"""

import argparse
import asyncio
import gc
import logging
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Final, NamedTuple

import asyncpg
import psutil
import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from bench.cpu import own_seconds
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
from services.fraud.store.counts import any_lane
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
_PAYEES: Final = 5
_TO_A_PAYEE: Final = 0.9
_AT_ONE_ADDRESS: Final = 3
_PROCESSES: Final = (1, 2)


class Rate(NamedTuple):
    """Decisions a second of all processes, and CPU µs a decision of them and of the PostgreSQL processes they ask."""

    per_second: float
    python_us: float
    postgres_us: float


class World:
    """One deciding process, with customers of its own."""

    def __init__(self, dsn: str, customers: int) -> None:
        """Construct the parts; `ready` connects."""
        self.hot = HotConnection(dsn, "bench")
        work = UnitOfWork(self.hot, Outbox("fraud", Nowhere(), self.hot))  # type: ignore[arg-type]  # stands for the bus, and confirms at once
        policy, screening = PolicyInForce(velocity_lifted=True), ScreeningInForce(OriginKeys("bench"))
        self.screen = ScreenTransfers(
            work, PayerCache(), policy, screening, PayersNearLimits(), lane=any_lane(), clock=system_clock
        )
        self.publish_shipped_rules = PublishShippedRules(work, system_clock)
        self._chance = random.Random(os.getpid())
        self._first_key = os.getpid() << 32
        self._people = [new_id() for _ in range(customers)]

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Connect, and let everybody pay a few times, so that all are known."""
        await self.hot.connect()
        for _ in range(4 * len(self._people) // BATCH):
            await self.screen(self.batch(BATCH))
        yield
        await self.hot.close()

    def batch(self, size: int) -> list[Asked]:
        """Return so many transfers that nobody has asked for yet."""
        now = to_rfc3339(system_clock())
        return [Asked((self._command(now),)) for _ in range(size)]

    def _command(self, now: str) -> TransferCommand:
        place = self._chance.randrange(len(self._people))
        paid = self._chance.randrange(len(self._people))
        if self._chance.random() < _TO_A_PAYEE:
            paid = place - 1 - paid % _PAYEES
        payer, payee = self._people[place], self._people[paid]
        return TransferCommand(
            transfer_id=new_id(),
            kind="transfer",
            actor_id=payer,
            payer=Party(payer, 1, 1),
            payees=(Party(payee, 1, 1),),
            legs=(Leg(payer, payee, self._chance.randint(1, 50_000), "USD", payee),),
            memo_commitment="",
            requested_at=now,
            address_key=self._first_key + place // _AT_ONE_ADDRESS + 1,
            device_key=self._first_key + place + 1,
        )


async def prepare(server: LocalPostgres, name: str, *, with_rules: bool) -> str:
    """Make a database in which rules are live, or none; return its address."""
    admin = await asyncpg.connect(server.dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    dsn = server.dsn.replace("/tallystick?", f"/{name}?")
    await migrate_services(dsn, {"fraud": "bench"})
    if with_rules:
        world = World(dsn, 0)
        async with world.ready():
            await world.publish_shipped_rules()
    return dsn


async def measure_rate(at: World, seconds: float) -> Rate:
    """Decide as fast as it goes, on batches made beforehand."""
    work = [at.batch(BATCH) for _ in range(int(seconds * 60))]
    async with at.hot.autocommit() as connection:
        backend = psutil.Process(connection.get_server_pid())
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as the services do
    began, cpu_began, backend_began = time.perf_counter(), time.process_time(), own_seconds(backend)
    decided = 0
    for batch in work:
        await at.screen(batch)
        decided += BATCH
        if time.perf_counter() - began > seconds:
            break
    took = time.perf_counter() - began
    python, served = time.process_time() - cpu_began, own_seconds(backend) - backend_began
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


async def _decide(dsn: str, customers: int, seconds: float, begin: Barrier) -> tuple[Rate, list[float]]:
    world = World(dsn, customers)
    async with world.ready():
        await asyncio.to_thread(begin.wait)
        rate = await measure_rate(world, seconds)
        # Latencies are those of one process that has both cores to itself and its PostgreSQL.
        return rate, await measure_latencies(world, seconds) if begin.parties == 1 else []


def decide_in_process(dsn: str, customers: int, seconds: float, begin: Barrier, said: Connection) -> None:
    """Be one deciding process, and send what it measured."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    said.send(uvloop.run(_decide(dsn, customers, seconds, begin)))


def measure(dsn: str, processes: int, seconds: float) -> tuple[Rate, list[float]]:
    """Let so many processes decide at once; return what they did together, and the latencies of one alone."""
    spawn = multiprocessing.get_context("spawn")
    begin = spawn.Barrier(processes)
    ends = [spawn.Pipe(duplex=False) for _ in range(processes)]
    workers = [
        spawn.Process(target=decide_in_process, args=(dsn, CUSTOMERS // processes, seconds, begin, said))
        for _, said in ends
    ]
    for worker in workers:
        worker.start()
    for _, said in ends:
        said.close()  # so that a process that dies ends the waiting for it
    found: list[tuple[Rate, list[float]]] = [heard.recv() for heard, _ in ends]
    for worker in workers:
        worker.join()
    rates = [rate for rate, _ in found]
    together = sum(rate.per_second for rate in rates)
    python_us, postgres_us = (
        sum(rate.per_second * getattr(rate, name) for rate in rates) / together for name in ("python_us", "postgres_us")
    )
    return Rate(together, python_us, postgres_us), [took for _, some in found for took in some]


def measure_all(server: LocalPostgres, seconds: float, console: Console) -> dict[str, object]:
    """Measure both worlds in turn, print a table, and return the figures."""
    dsns = {
        "shipped rules": uvloop.run(prepare(server, "ruled", with_rules=True)),
        "no rules": uvloop.run(prepare(server, "plain", with_rules=False)),
    }
    kinds = [(name, processes) for processes in _PROCESSES for name in dsns]
    found: dict[tuple[str, int], list[tuple[Rate, list[float]]]] = {kind: [] for kind in kinds}
    for _ in range(_PAIRS):
        for name, processes in kinds:
            found[name, processes].append(measure(dsns[name], processes, seconds))
    table = Table("rules", "processes", "decisions/s", "our CPU, µs", "PostgreSQL's, µs", "p50 ms at 500/s", "p99 ms")
    figures: dict[str, object] = {}
    for (name, processes), rounds in found.items():
        middle = sorted(rate for rate, _ in rounds)[len(rounds) // 2]
        cuts = [statistics.quantiles(latencies, n=100) for _, latencies in rounds if latencies]
        p50_ms, p99_ms = (statistics.median(cut[place] for cut in cuts) if cuts else None for place in (49, 98))
        table.add_row(
            name,
            str(processes),
            f"{middle.per_second:,.0f}",
            f"{middle.python_us:.1f}",
            f"{middle.postgres_us:.1f}",
            "" if p50_ms is None else f"{p50_ms:.1f}",
            "" if p99_ms is None else f"{p99_ms:.1f}",
        )
        figures[f"{name}, {processes} processes"] = middle._asdict() | {"p50_ms": p50_ms, "p99_ms": p99_ms}
    console.print(table)
    return figures


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console()
    with postgres() as server:
        figures = measure_all(server, arguments.seconds, console)
    console.print(f"written to {write_document(new_document() | {'screening': figures})}")


if __name__ == "__main__":
    main()
