"""A random history of a small ledger, kept twice: as rows, as the writer leaves them, and as plain lists to ask."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from libs.common.clock import from_rfc3339, to_rfc3339
from services.ledger.domain.transfer import TransferStatus
from services.ledger.store.journal_record import RecordLeg, TransferRecord, encode_record
from tests.support.ledger_builders import NOW, RESERVE, id_of

START = from_rfc3339(NOW)


@dataclass
class ModelEntry:
    seq: int
    transfer_id: str
    journal_index: int
    amount_minor: int
    balance_after_minor: int
    posted_at: datetime


@dataclass
class ModelTransfer:
    transfer_id: str
    place: int
    began_at: datetime
    legs: list[tuple[str, str, int]]
    status: str
    version: int
    index: int
    changed_at: datetime
    was_held: bool = False
    captured: int = 0

    def is_shown_to(self, account_id: str) -> bool:
        if any(source == account_id for source, _, _ in self.legs):
            return True
        shown = self.was_held or self.status == "posted"
        return shown and any(account_id == destination for _, destination, _ in self.legs)


@dataclass
class RandomBooks:
    """Random transfers between the named accounts: posted, held, captured in parts, voided, refused."""

    names: tuple[str, ...]
    seed: int
    entries: dict[str, list[ModelEntry]] = field(default_factory=dict)
    transfers: dict[str, ModelTransfer] = field(default_factory=dict)
    records: list[tuple[datetime, str, str, bytes]] = field(default_factory=list)
    block_ends: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.now = START
        self.accounts = [id_of(name) for name in self.names]

    def live(self, steps: int) -> None:
        """Do that many things, several in a batch of one time, and now and then two batches of the same time."""
        for _ in range(steps):
            held = [each for each in self.transfers.values() if each.status == "held"]
            if held and self.chance.random() < 0.3:
                self._go_on(self.chance.choice(held))
            else:
                self._begin()
            if self.chance.random() < 0.4:
                self.block_ends.append(len(self.records))
                self.now += timedelta(microseconds=self.chance.choice((0, 1, 1_000, 3_600_000_000)))
        if not self.block_ends or self.block_ends[-1] < len(self.records):
            self.block_ends.append(len(self.records))

    def balance_minor(self, account_id: str, *, until: datetime | None = None, index: int | None = None) -> int:
        return sum(
            entry.amount_minor
            for entry in self.entries.get(account_id, [])
            if (until is None or entry.posted_at <= until) and (index is None or entry.journal_index <= index)
        )

    def listed(self, account_ids: list[str] | None = None) -> list[ModelTransfer]:
        """All transfers of these accounts, newest first."""
        shown = [
            each
            for each in self.transfers.values()
            if account_ids is None or any(each.is_shown_to(account_id) for account_id in account_ids)
        ]
        return sorted(shown, key=lambda each: -each.place)

    def _begin(self) -> None:
        legs = []
        for _ in range(self.chance.choice((1, 1, 1, 2, 5))):
            source, destination = self.chance.sample([*self.accounts, RESERVE], 2)
            legs.append((source, destination, self.chance.randint(1, 1_000)))
        status = self.chance.choice(("posted", "posted", "posted", "held", "refused", "blocked"))
        name = id_of(f"{self.seed} transfer {len(self.transfers)}")
        transfer = ModelTransfer(name, len(self.records), self.now, legs, status, 1, len(self.records), self.now)
        self.transfers[name] = transfer
        transfer.was_held = status == "held"
        if status == "posted":
            self._move(transfer)
        self._record(transfer)

    def _go_on(self, transfer: ModelTransfer) -> None:
        what = self.chance.choice(("held", "posted", "voided"))
        transfer.status, transfer.version = what, transfer.version + 1
        transfer.index, transfer.changed_at = len(self.records), self.now
        if what != "voided":  # a part of it, or the rest
            self._move(transfer)
        self._record(transfer)

    def _move(self, transfer: ModelTransfer) -> None:
        for source, destination, amount_minor in transfer.legs:
            for account_id, signed in ((source, -amount_minor), (destination, amount_minor)):
                entries = self.entries.setdefault(account_id, [])
                after = signed + (entries[-1].balance_after_minor if entries else 0)
                index = len(self.records)
                entries.append(ModelEntry(len(entries) + 1, transfer.transfer_id, index, signed, after, self.now))

    def _record(self, transfer: ModelTransfer) -> None:
        first = transfer.version == 1
        status: Any = transfer.status
        record = TransferRecord(
            actor_id=id_of("somebody"),
            code="" if status in {"posted", "held"} else "for_no_reason",
            decision_id="",
            index=len(self.records),
            kind=f"transfer.{'captured' if status == 'held' and not first else status}",
            legs=[RecordLeg(amount, "USD", destination, source) for source, destination, amount in transfer.legs],
            memo_commitment="",
            reasons=(),
            requested_at=to_rfc3339(self.now),
            ruleset=1,
            shard=0,
            time=to_rfc3339(self.now),
            transfer_id=transfer.transfer_id,
            transfer_kind="transfer",
            verdict="approve",
            version=transfer.version,
        )
        self.records.append((self.now, record.kind, transfer.transfer_id, encode_record(record)))

    async def write(self, connection: asyncpg.Connection) -> None:
        """Write all of it as the administrator; foreign keys and append-only tables are as they always are."""
        await connection.execute("UPDATE ledger.accounts SET minimum_minor = -9007199254740991 WHERE kind = 'system'")
        for number, name in enumerate(self.names):
            await connection.execute(
                "INSERT INTO ledger.accounts (account_id, account_number, owner_id, asset, kind, status, opened_at, "
                "minimum_minor) VALUES ($1, $2, $3, 'USD', 'customer', 'active', $4, -9007199254740991)",
                id_of(name),
                f"TS{number:014}",
                id_of(f"owner of {name.split('/')[0]}"),
                START,
            )
        await self._write_entries(connection)
        await self._write_journal(connection)
        await self._write_transfers(connection)

    async def _write_entries(self, connection: asyncpg.Connection) -> None:
        for account_id, entries in self.entries.items():
            await _copy(
                connection,
                "entries",
                "account_id seq transfer_id journal_index amount_minor balance_after_minor posted_at",
                [
                    (
                        account_id,
                        e.seq,
                        e.transfer_id,
                        e.journal_index,
                        e.amount_minor,
                        e.balance_after_minor,
                        e.posted_at,
                    )
                    for e in entries
                ],
            )
            await connection.execute(
                "UPDATE ledger.accounts SET posted_minor = $2, last_seq = $3 WHERE account_id = $1",
                account_id,
                entries[-1].balance_after_minor,
                len(entries),
            )

    async def _write_journal(self, connection: asyncpg.Connection) -> None:
        none = bytes(32)
        await _copy(
            connection,
            "journal",
            "shard journal_index kind transfer_id record leaf_hash chain_hash",
            [
                (0, at, kind, transfer_id, text, none, none)
                for at, (_, kind, transfer_id, text) in enumerate(self.records)
            ],
        )
        before = 0
        for size in sorted(set(self.block_ends)):
            if size > before:
                sealed_at = self.records[size - 1][0]
                await connection.execute(
                    "INSERT INTO ledger.blocks VALUES (0, $1, $2, $3, $3, $4)", size, before, none, sealed_at
                )
                before = size
        await connection.execute(
            "UPDATE ledger.heads SET size = $1, last_record_at = $2 WHERE shard = 0", before, self.now
        )

    async def _write_transfers(self, connection: asyncpg.Connection) -> None:
        await _copy(
            connection,
            "transfers",
            "transfer_id kind status version code reasons shard journal_index changed_at",
            [
                (t.transfer_id, "transfer", t.status, t.version, _code(t.status), [], 0, t.index, t.changed_at)
                for t in self.transfers.values()
            ],
        )
        held = [t for t in self.transfers.values() if t.was_held]
        for t in held:
            amounts = [amount for _, _, amount in t.legs]
            await connection.execute(
                "INSERT INTO ledger.settlements VALUES ($1, 0, $2, 'caller', $3, 1, $4, $4, $5, '[]', false)",
                t.transfer_id,
                t.place,
                t.began_at,
                amounts,
                [0] * len(amounts),
            )


def _code(status: TransferStatus | str) -> str:
    return "" if status in {"posted", "held"} else "for_no_reason"


async def _copy(connection: asyncpg.Connection, table: str, columns: str, rows: list[Any]) -> None:
    names = columns.split()
    typed = [
        tuple(UUID(value) if name.endswith("_id") else value for name, value in zip(names, row, strict=True))
        for row in rows
    ]
    await connection.copy_records_to_table(table, schema_name="ledger", columns=names, records=typed)
