"""Fraud's watch alone: postings a second that are heard, judged and kept, PostgreSQL beside it.

`python -m bench.watch [--postings 60000]` starts a PostgreSQL of its own and prints a table. Batches of 500 as delivery
gives them; after every four of them what was heard is judged. Neither broker nor decoding is part of it.
"""

import argparse
import gc
import logging
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import asyncpg
import msgspec
import psutil
import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from bench.cpu import own_seconds
from bench.ledger.__main__ import postgres
from libs.common.clock import system_clock, to_rfc3339
from libs.common.contracts.ledger import TransferChanged
from libs.common.db.hot import HotConnection
from libs.common.db.migrate import migrate_services
from libs.common.ids import new_id
from services.fraud.store.aml_memory import Memory
from services.fraud.store.aml_watch import Watch
from services.fraud.use_cases.judge_postings import SETTLED_AFTER, JudgePostings
from services.fraud.use_cases.watch_postings import WatchPostings
from tallystick.stack.postgres import LocalPostgres

BATCH: Final = 500
_BATCHES_BETWEEN: Final = 4
_MEDIAN_MINOR: Final = 80_00


class Load(NamedTuple):
    """Among how many customers is paid, whether half of it goes to a hundred of them, or lies below a threshold."""

    customers: int
    is_skewed: bool = False
    is_structured: bool = False


class Rate(NamedTuple):
    """What a measurement found: CPU of this process, and of the one of PostgreSQL that it asks."""

    postings: int
    seconds: float
    cpu_seconds: float
    postgres_cpu_seconds: float
    alerts: int


_COLUMNS: Final = (
    "transfer_id",
    "decision_id",
    "user_id",
    "verdict",
    "code",
    "reasons",
    "ruleset",
    "usd_minor",
    "features",
    "decided_at",
)
LOADS: Final = {
    "20,000 customers, in memory": Load(20_000),
    "500,000 customers, most of them read anew": Load(500_000),
    "20,000 customers, half of it to a hundred": Load(20_000, is_skewed=True),
    "5,000 customers, half of it below a threshold": Load(5_000, is_structured=True),
}


async def measure(server: LocalPostgres, name: str, load: Load, postings: int) -> Rate:
    """Hear and judge so many postings over a database of its own; the first tenth warms up and is not counted."""
    dsn = server.dsn.replace("/tallystick?", f"/{name}?")
    admin = await asyncpg.connect(server.dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    await migrate_services(dsn, {"fraud": "bench"})
    changes = await _decide(dsn, load, postings)
    hot, memory = HotConnection(dsn, "bench"), Memory()
    now = system_clock()
    watch, judge = (
        WatchPostings(Watch(hot), memory, clock=lambda: now),
        JudgePostings(Watch(hot), memory, clock=lambda: now + 2 * SETTLED_AFTER),
    )
    batches = [changes[begin : begin + BATCH] for begin in range(0, postings, BATCH)]
    warm_up = len(batches) // 10
    await _run(watch, judge, batches[:warm_up])
    async with hot.autocommit() as connection:
        backend = psutil.Process(connection.get_server_pid())
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as the services do
    began, cpu_began, backend_began = time.perf_counter(), time.process_time(), own_seconds(backend)
    await _run(watch, judge, batches[warm_up:])
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    backend_seconds = own_seconds(backend) - backend_began
    gc.unfreeze()
    async with hot.autocommit() as connection:
        alerts = await connection.fetchval("SELECT count(*) FROM fraud.alerts")
    await hot.close()
    return Rate(postings - warm_up * BATCH, seconds, cpu_seconds, backend_seconds, alerts)


async def _run(watch: WatchPostings, judge: JudgePostings, batches: Sequence[Sequence[TransferChanged]]) -> None:
    for number, batch in enumerate(batches, start=1):
        await watch(batch)
        if number % _BATCHES_BETWEEN == 0:
            await judge()
    await judge()


async def _decide(dsn: str, load: Load, postings: int) -> list[TransferChanged]:
    """Store a decision for each posting, an hour of them, and return how the ledger says that they were posted."""
    chance = random.Random(7)
    people = [new_id() for _ in range(load.customers)]
    began = system_clock() - timedelta(hours=1)
    rows: list[tuple[object, ...]] = []
    changes = []
    for index in range(postings):
        payer, payee = chance.sample(people, 2)
        if load.is_skewed and index % 2:
            payee = chance.choice(people[:100])
        minor = 1 + int(_MEDIAN_MINOR * chance.lognormvariate(0, 1.5))  # one in a thousand lies near a threshold
        if load.is_structured and index % 2:
            minor = chance.randint(8_000_00, 9_999_99)
        features = {
            "kind": "transfer",
            "amounts_minor": {"USD": minor},
            "rates": {"USD": (1, 1)},
            "payees": [(payee, 1, 1)],
        }
        at = began + timedelta(hours=1) * index / postings
        transfer_id = new_id()
        rows.append((transfer_id, transfer_id, payer, "approve", "", [], 1, minor, msgspec.json.encode(features), at))
        changes.append(_posted(transfer_id, index, to_rfc3339(at)))
    admin = await asyncpg.connect(dsn)
    await admin.copy_records_to_table("decisions", schema_name="fraud", columns=_COLUMNS, records=rows)
    await admin.execute("ANALYZE fraud.decisions")
    await admin.close()
    return changes


def _posted(transfer_id: str, index: int, at: str) -> TransferChanged:
    return TransferChanged(
        transfer_id=transfer_id,
        status="posted",
        version=1,
        code="",
        reasons=(),
        facts={},
        shard=0,
        journal_index=index,
        occurred_at=at,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postings", type=int, default=60_000)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    table = Table("load", "postings/s", "our CPU, µs a posting", "PostgreSQL's", "alerts")
    with postgres() as server:
        for number, (name, load) in enumerate(LOADS.items()):
            rate = uvloop.run(measure(server, f"watch{number}", load, arguments.postings))
            per_second = rate.postings / rate.seconds
            cpu = [seconds / rate.postings * 1e6 for seconds in (rate.cpu_seconds, rate.postgres_cpu_seconds)]
            table.add_row(name, f"{per_second:,.0f}", *(f"{us:.0f}" for us in cpu), str(rate.alerts))
    Console().print(table)


if __name__ == "__main__":
    main()
