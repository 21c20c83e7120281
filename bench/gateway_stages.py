"""The gateway's two stages alone: requests it keeps a second, and outcomes it keeps a second, in batches of 2,000.

`python -m bench.gateway_stages [--seconds 8]` starts a PostgreSQL of its own and prints a table. Each batch is asked
for at once, as bulk does, by customers drawn from 10,000; what was kept then becomes `posted`. Neither HTTP nor the
broker is part of it.
"""

import argparse
import asyncio
import gc
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeVar

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
from libs.common.contracts.ledger import TransferChanged
from libs.common.contracts.transfers import Leg, Party
from libs.common.db.hot import HotConnection
from libs.common.db.migrate import migrate_services
from libs.common.ids import new_id
from services.gateway.domain.outcomes import Outcome
from services.gateway.use_cases.accept_transfers import Intake, Submission
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.use_cases.prepare_transfer import Draft
from services.gateway.use_cases.project_outcomes import project_outcomes
from tallystick.stack.postgres import LocalPostgres

BATCH: Final = 2_000
_CUSTOMERS: Final = 10_000
_WARM_UP_BATCHES: Final = 5
_MOST_A_SECOND: Final = 40_000
_BODY_HASH: Final = bytes(32)

T = TypeVar("T")


class Rate(NamedTuple):
    """Transfers a second, and CPU µs a transfer of this process and of the PostgreSQL process that it asks."""

    per_second: float
    python_us: float
    postgres_us: float


class _Publisher(Nowhere):
    """Stands for the bus, which never has anything left to send."""

    waiting_messages = 0


class Stages:
    """One gateway process without its doors."""

    def __init__(self, dsn: str) -> None:
        """Construct the parts; the connections open with their first use."""
        self.keeping, self.projecting = HotConnection(dsn, "bench-intake"), HotConnection(dsn, "bench-projection")
        self._intake = Intake(self.keeping, _Publisher(), Waiters(), system_clock)  # type: ignore[arg-type]  # stands for the bus
        self._chance = random.Random(7)
        self._people = [new_id() for _ in range(_CUSTOMERS)]

    def requests(self) -> list[Submission]:
        """Return a batch of requests that nobody has made yet."""
        loop = asyncio.get_running_loop()
        return [self._request(loop.create_future()) for _ in range(BATCH)]

    def _request(self, answer: "asyncio.Future[Outcome]") -> Submission:
        payer, payee = self._chance.sample(self._people, 2)
        leg = Leg(payer, payee, self._chance.randint(1, 50_000), "USD", payee)
        draft = Draft("transfer", payer, Party(payer, 1, 1), (Party(payee, 1, 1),), (leg,), None, None, "")
        return Submission("transfers", new_id(), _BODY_HASH, draft, 0.0, answer)

    async def keep(self, batch: Sequence[Submission]) -> None:
        """Keep requests, as the front door does."""
        for submission in batch:
            self._intake.submit(submission)
        await asyncio.gather(*(submission.answer for submission in batch))

    async def project(self, batch: Sequence[TransferChanged]) -> None:
        """Keep outcomes, as the consumer does."""
        await project_outcomes(batch, self.projecting)

    async def run(self) -> None:
        """Store what is submitted until cancelled."""
        await self._intake.run()


async def measure(dsn: str, seconds: float) -> dict[str, Rate]:
    """Keep requests for so long, then let them become posted."""
    stages = Stages(dsn)
    storing = asyncio.create_task(stages.run())
    work = [stages.requests() for _ in range(int(seconds * _MOST_A_SECOND / BATCH) + _WARM_UP_BATCHES)]
    kept, intake = await _drive(stages.keep, work, stages.keeping, seconds)
    outcomes = [[_posted(submission.transfer_id, index) for index, submission in enumerate(batch)] for batch in kept]
    _, projection = await _drive(stages.project, outcomes, stages.projecting, seconds)
    storing.cancel()
    await asyncio.gather(storing, return_exceptions=True)
    await asyncio.gather(stages.keeping.close(), stages.projecting.close())
    return {"intake": intake, "projection": projection}


async def _drive(
    work: Callable[[Sequence[T]], Awaitable[None]], batches: list[list[T]], hot: HotConnection, seconds: float
) -> tuple[list[list[T]], Rate]:
    """Do batch after batch for so long; return those that were done, and how fast."""
    for batch in batches[:_WARM_UP_BATCHES]:
        await work(batch)
    async with hot.autocommit() as connection:
        backend = psutil.Process(connection.get_server_pid())
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as the services do
    began, cpu_began, backend_began = time.perf_counter(), time.process_time(), own_seconds(backend)
    done = _WARM_UP_BATCHES
    for batch in batches[_WARM_UP_BATCHES:]:
        await work(batch)
        done += 1
        if time.perf_counter() - began > seconds:
            break
    took, python = time.perf_counter() - began, time.process_time() - cpu_began
    served = own_seconds(backend) - backend_began
    gc.unfreeze()
    count = (done - _WARM_UP_BATCHES) * BATCH
    return batches[:done], Rate(count / took, python / count * 1e6, served / count * 1e6)


def _posted(transfer_id: str, index: int) -> TransferChanged:
    return TransferChanged(
        transfer_id=transfer_id,
        status="posted",
        version=1,
        code="",
        reasons=(),
        facts={},
        shard=0,
        journal_index=index,
        occurred_at=to_rfc3339(system_clock()),
    )


async def prepare(server: LocalPostgres) -> str:
    """Make a database for the gateway; return its address."""
    admin = await asyncpg.connect(server.dsn)
    await admin.execute("CREATE DATABASE stages")
    await admin.close()
    dsn = server.dsn.replace("/tallystick?", "/stages?")
    await migrate_services(dsn, {"gateway": "bench"})
    return dsn


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console()
    with postgres() as server:
        rates = uvloop.run(measure(uvloop.run(prepare(server)), arguments.seconds))
    table = Table("stage", "transfers/s", "our CPU, µs", "PostgreSQL's, µs")
    for name, rate in rates.items():
        table.add_row(name, f"{rate.per_second:,.0f}", f"{rate.python_us:.1f}", f"{rate.postgres_us:.1f}")
    console.print(table)
    figures = {name: rate._asdict() for name, rate in rates.items()}
    console.print(f"written to {write_document(new_document() | {'gateway_stages': figures})}")


if __name__ == "__main__":
    main()
