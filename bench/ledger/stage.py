"""The ledger's stage alone: batches of screened transfers through the writer into PostgreSQL, no bus, no HTTP."""

import asyncio
import gc
import random
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.cpu import cpu_seconds
from libs.common.clock import monotonic_seconds, system_clock, to_rfc3339
from libs.common.contracts.fraud import TransferScreened
from libs.common.contracts.gateway import ChangeAccount, FeeRule, FeeTier, PublishFeeSchedule
from libs.common.contracts.transfers import Leg, Party, TransferCommand
from libs.common.db.hot import HotConnection
from libs.common.db.migrate import migrate_services
from libs.common.ids import new_id
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.money import MAX_AMOUNT_MINOR
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.use_cases.post_transfers import PostTransfers
from services.ledger.use_cases.publish_outcomes import PublishOutcomes
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.verify_ledger import verify_ledger
from services.ledger.use_cases.watch_clock import WatchClock
from tallystick.stack.postgres import LocalPostgres

ACCOUNTS: Final = 10_000
OVERDRAFT_MINOR: Final = 1_000_000_000
_SHARD: Final = 0
_WARM_UP_BATCHES: Final = 3
_MOST_TRANSFERS_A_SECOND: Final = 30_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is posted: transfers a batch, legs a transfer, and whether everybody pays one account."""

    batch: int = 1_000
    legs: int = 1
    hot: bool = False


class Rate(NamedTuple):
    """Transfers, seconds, and CPU µs a transfer of this process and of PostgreSQL."""

    transfers: int
    seconds: float
    python_us: float
    postgres_us: float

    @property
    def per_second(self) -> float:
        """Transfers a second."""
        return self.transfers / self.seconds


class Nowhere:
    """Stands for the bus: confirms at once."""

    async def send(self, batch: Sequence[Outgoing]) -> "asyncio.Future[None]":  # noqa: ARG002 -- nobody reads it
        """Confirm."""
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed


class Stage:
    """One ledger over a database of its own."""

    def __init__(self, server: LocalPostgres, name: str) -> None:
        """Take the server and the database's name; nothing is there yet."""
        self._server = server
        self._name = name
        self._dsn = server.dsn.replace("/tallystick?", f"/{name}?")
        self._chance = random.Random(7)
        self._accounts: list[tuple[str, str]] = []

    async def open(self) -> None:
        """Make the database, the accounts and the writer."""
        admin = await asyncpg.connect(self._server.dsn)
        await admin.execute(f"CREATE DATABASE {self._name}")
        await admin.close()
        await migrate_services(self._dsn, {"ledger": "bench"})
        self._accounts = await _fill(self._dsn)
        self._writer = HotConnection(self._dsn, "ledger-writer")
        self._publisher = HotConnection(self._dsn, "ledger-publisher")
        self._outcomes = PublishOutcomes(self._publisher, Nowhere(), _SHARD)
        await self._outcomes.start()
        self._signer = Signer("bench.example/ledger", Ed25519PrivateKey.generate())
        self._post = PostTransfers(
            hot=self._writer,
            outcomes=self._outcomes,
            signer=self._signer,
            clock=WatchClock(system_clock, monotonic_seconds),
            shard=_SHARD,
        )
        for first in range(0, ACCOUNTS, 1_000):
            await self._post([_overdraft(account) for account, _ in self._accounts[first : first + 1_000]])

    async def close(self) -> None:
        """Disconnect."""
        await self._outcomes.stop()
        await self._writer.close()
        await self._publisher.close()

    async def charge(self) -> None:
        """Put a fee on every transfer: 1 cent and 2.5 per mille, credited to one account of the house."""
        tier = FeeTier(from_minor=0, flat_minor=1, rate_per_million=2_500)
        rule = FeeRule(
            rule_id="transfers",
            asset="USD",
            kind="transfer",
            credit="fees",
            tiers=(tier,),
            minimum_minor=1,
            maximum_minor=MAX_AMOUNT_MINOR,
            rounding="down",
        )
        command = PublishFeeSchedule(
            command_id=new_id(),
            actor_id=new_id(),
            rules=(rule,),
            exempt_account_ids=(),
            requested_at=to_rfc3339(system_clock()),
        )
        await self._post([command])

    async def grow_to(self, transfers: int) -> None:
        """Post until so many transfers are there."""
        for _ in range(0, transfers, 1_000):
            await self._post(self._batch(Load()))

    async def measure(self, load: Load, seconds: float) -> Rate:
        """Post batches for so long, made beforehand, so that only the ledger is measured."""
        most = int(seconds * _MOST_TRANSFERS_A_SECOND / (load.batch * load.legs)) + _WARM_UP_BATCHES + 1
        work = [self._batch(load) for _ in range(most)]
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        for batch in work[:_WARM_UP_BATCHES]:
            await self._post(batch)
        began, cpu = monotonic_seconds(), self._cpu_seconds()
        transfers = 0
        for batch in work[_WARM_UP_BATCHES:]:
            await self._post(batch)
            transfers += len(batch)
            if monotonic_seconds() - began > seconds:
                break
        took = monotonic_seconds() - began
        used = {name: (after - cpu[name]) / transfers * 1e6 for name, after in self._cpu_seconds().items()}
        gc.unfreeze()
        return Rate(transfers, took, round(used["python"], 1), round(used["postgres"], 1))

    async def verify(self) -> Rate:
        """Verify the whole journal and all it has made, as `tallystick verify` does: records instead of transfers."""
        gc.collect()
        gc.disable()
        cpu = self._cpu_seconds()
        found = await verify_ledger(
            self._dsn, parse_vkeys(self._signer.vkey), shard=_SHARD, monotonic_seconds=monotonic_seconds
        )
        used = {name: (after - cpu[name]) / found.records * 1e6 for name, after in self._cpu_seconds().items()}
        gc.enable()
        if not found.is_good:
            raise RuntimeError(f"the ledger that was measured does not verify: {found.findings[0]}")
        return Rate(found.records, found.seconds, round(used["python"], 1), round(used["postgres"], 1))

    def _batch(self, load: Load) -> list[TransferScreened]:
        now = to_rfc3339(system_clock())
        return [self._screened(load, now) for _ in range(load.batch)]

    def _screened(self, load: Load, now: str) -> TransferScreened:
        payer, *payees = self._chance.sample(self._accounts[1:], load.legs + 1)
        if load.hot:
            payees = [self._accounts[0]]
        return _screened(payer, payees, now)

    def _cpu_seconds(self) -> dict[str, float]:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return {"python": own.ru_utime + own.ru_stime} | cpu_seconds({"postgres": self._server.pids()[:1]})


def _screened(payer: tuple[str, str], payees: Sequence[tuple[str, str]], now: str) -> TransferScreened:
    """Return an approved transfer of a dollar to each payee; parties are (account, owner)."""
    command = TransferCommand(
        transfer_id=new_id(),
        kind="transfer",
        actor_id=payer[1],
        payer=Party(payer[1], 1, 1),
        payees=tuple(Party(owner, 1, 1) for _, owner in payees),
        legs=tuple(Leg(payer[0], account, 100, "USD", owner) for account, owner in payees),
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


def _overdraft(account_id: str) -> ChangeAccount:
    """Return what lets an empty account pay: money that no record has brought would not verify."""
    return ChangeAccount(
        command_id=new_id(),
        account_id=account_id,
        actor_id=new_id(),
        status=None,
        minimum_minor=-OVERDRAFT_MINOR,
        maximum_minor=None,
        reason_commitment="",
        requested_at=to_rfc3339(system_clock()),
    )


async def _fill(dsn: str) -> list[tuple[str, str]]:
    """Put accounts in; returns (account id, owner id)."""
    accounts = [(new_id(), new_id()) for _ in range(ACCOUNTS)]
    connection = await asyncpg.connect(dsn)
    now = system_clock()
    await connection.copy_records_to_table(
        "accounts",
        schema_name="ledger",
        columns=["account_id", "account_number", "owner_id", "asset", "kind", "status", "opened_at"],
        records=[
            (UUID(account), f"B{at:013}", UUID(owner), "USD", "customer", "active", now)
            for at, (account, owner) in enumerate(accounts)
        ],
    )
    await connection.execute("ANALYZE ledger.accounts")
    await connection.close()
    return accounts
