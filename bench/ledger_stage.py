"""The ledger's stage alone: batches of screened transfers through the writer into PostgreSQL, no bus, no HTTP.

`python -m bench.ledger_stage [--seconds 5] [--batch 1000] [--accounts 10000] [--hot]` starts a PostgreSQL of its own
and prints transfers a second and CPU a transfer, PostgreSQL's backend included.
"""

import argparse
import asyncio
import gc
import json
import random
import resource
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.cpu import cpu_seconds
from libs.common.clock import monotonic_seconds, system_clock, to_rfc3339
from libs.common.contracts.fraud import TransferScreened
from libs.common.contracts.transfers import Leg, Party, TransferCommand
from libs.common.db.hot import HotConnection
from libs.common.db.migrate import migrate_services
from libs.common.ids import new_id
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.use_cases.post_transfers import PostTransfers
from services.ledger.use_cases.publish_outcomes import PublishOutcomes
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.watch_clock import WatchClock
from tallystick.stack.postgres import LocalPostgres

WARM_UP_BATCHES: Final = 5
SHARD: Final = 0
START_MINOR: Final = 1_000_000_000


class Nowhere:
    """Stands for the bus: confirms at once."""

    async def send(self, batch: Sequence[Outgoing]) -> "asyncio.Future[None]":  # noqa: ARG002 -- nobody reads it
        """Confirm."""
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed


def screened(payer: tuple[str, str], payee: tuple[str, str], now: str) -> TransferScreened:
    """Return an approved transfer between two (account, owner) pairs."""
    leg = Leg(payer[0], payee[0], 100, "USD", payee[1])
    command = TransferCommand(
        transfer_id=new_id(),
        kind="transfer",
        actor_id=payer[1],
        payer=Party(payer[1], 1, 1),
        payees=(Party(payee[1], 1, 1),),
        legs=(leg,),
        memo_commitment="",
        requested_at=now,
    )
    return TransferScreened(
        decision_id=new_id(),
        verdict="approve",
        code="",
        reasons=(),
        ruleset=1,
        facts={},
        screened_at=now,
        command=command,
    )


async def fill(dsn: str, number: int) -> list[tuple[str, str]]:
    """Put that many funded accounts in; returns (account id, owner id)."""
    accounts = [(new_id(), new_id()) for _ in range(number)]
    connection = await asyncpg.connect(dsn)
    now = system_clock()
    await connection.copy_records_to_table(
        "accounts",
        schema_name="ledger",
        columns=["account_id", "account_number", "owner_id", "asset", "kind", "status", "posted_minor", "opened_at"],
        records=[
            (UUID(account), f"B{at:013}", UUID(owner), "USD", "customer", "active", START_MINOR, now)
            for at, (account, owner) in enumerate(accounts)
        ],
    )
    await connection.execute("ANALYZE ledger.accounts")
    await connection.close()
    return accounts


def batches(accounts: list[tuple[str, str]], *, size: int, number: int, hot: bool) -> list[list[TransferScreened]]:
    """Make the input beforehand, so that only the ledger is measured. `hot`: everybody pays the same account."""
    chance = random.Random(7)
    now = to_rfc3339(system_clock())
    made = []
    for _ in range(number):
        batch = []
        for _ in range(size):
            payer, payee = chance.sample(accounts[1:], 2)
            batch.append(screened(payer, accounts[0] if hot else payee, now))
        made.append(batch)
    return made


async def measure(arguments: argparse.Namespace, server: LocalPostgres) -> dict[str, float]:
    """Run the stage for the asked time and return its figures."""
    await migrate_services(server.dsn, {"ledger": "bench"})
    accounts = await fill(server.dsn, arguments.accounts)
    writer, publisher = HotConnection(server.dsn, "ledger-writer"), HotConnection(server.dsn, "ledger-publisher")
    outcomes = PublishOutcomes(publisher, Nowhere(), SHARD)
    await outcomes.start()
    post = PostTransfers(
        hot=writer,
        outcomes=outcomes,
        signer=Signer("bench.example/ledger", Ed25519PrivateKey.generate()),
        clock=WatchClock(system_clock, monotonic_seconds),
        shard=SHARD,
    )
    most = int(arguments.seconds * 30_000 / arguments.batch) + WARM_UP_BATCHES
    work = batches(accounts, size=arguments.batch, number=most, hot=arguments.hot)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    for batch in work[:WARM_UP_BATCHES]:
        await post(batch)
    began, cpu = monotonic_seconds(), _cpu_seconds(server)
    transfers = 0
    for batch in work[WARM_UP_BATCHES:]:
        await post(batch)
        transfers += len(batch)
        if monotonic_seconds() - began > arguments.seconds:
            break
    seconds = monotonic_seconds() - began
    used = {name: after - cpu[name] for name, after in _cpu_seconds(server).items()}
    await outcomes.stop()
    await writer.close()
    await publisher.close()
    return {
        "transfers": transfers,
        "transfers_per_second": round(transfers / seconds),
        **{f"{name}_us": round(value / transfers * 1e6, 1) for name, value in used.items()},
    }


def _cpu_seconds(server: LocalPostgres) -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {"python": own.ru_utime + own.ru_stime} | cpu_seconds({"postgres": server.pids()[:1]})


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--hot", action="store_true", help="everybody pays the same account")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tallystick-bench-"))
    server = LocalPostgres(folder)
    try:
        server.start()
        print(json.dumps(uvloop.run(measure(arguments, server))))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
