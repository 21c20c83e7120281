"""What few transfers have, against the records that prove it: settlements, reversals, answered commands."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from libs.common.clock import to_rfc3339
from services.ledger.audit.check_transfers import parties
from services.ledger.audit.findings import BALANCES, EDITED, Finding, Verification, differences
from services.ledger.audit.replay_journal import POSTED, VOIDED, ReplayJournal
from services.ledger.store.audit import Audit
from services.ledger.store.journal_record import (
    AccountRecord,
    CommandRecord,
    FeesRecord,
    JournalRecord,
    ReleaseRecord,
    RepairRecord,
    TransferRecord,
    decode_record,
)

_FEES: Final = msgspec.json.Decoder(list[tuple[int, str, int]])
_COMMAND: Final = ("kind", "subject_id", "status", "code", "shard", "journal_index", "decided_at")


class CheckRows:
    """Compares all rows (`everything`), or those that the replayed records must have made."""

    def __init__(
        self, audit: Audit, replay: ReplayJournal, shard: int, found: Verification, *, everything: bool
    ) -> None:
        """Take the replay after its last record."""
        self._audit = audit
        self._replay = replay
        self._shard = shard
        self._found = found
        self._everything = everything

    async def run(self) -> None:
        """Check the three tables, and that fee schedules are what they were hashed as."""
        await self._check_settlements()
        await self._check_commands()
        await self._check_reversals()
        await self._check_fee_schedules()

    async def _check_fee_schedules(self) -> None:
        expected = dict(self._replay.fee_schedules)
        for row in await self._audit.fee_schedules():
            record = expected.pop(row["version"], None)
            if record is None and not self._everything:
                continue  # of before; the full verification has its record
            made = sha256(row["rules"]).hexdigest()
            stored = {
                "rules": made,
                "sha256": row["sha256"].hex(),
                "published_by": row["published_by"],
                "shard": row["shard"],
                "journal_index": row["journal_index"],
                "published_at": to_rfc3339(row["published_at"]),
            }
            computed = {
                "rules": "" if record is None else record.rules_sha256,
                "sha256": made,
                "published_by": "" if record is None else record.actor_id,
                "shard": self._shard,
                "journal_index": -1 if record is None else record.index,
                "published_at": "" if record is None else record.time,
            }
            if stored != computed:
                self._find(
                    "record_altered",
                    "fee_schedules",
                    str(row["version"]),
                    record,
                    "the schedule is not the one its record has published",
                    stored,
                    computed,
                )
        self._find_missing("fee_schedules", {str(version): one.index for version, one in expected.items()}, set())

    async def _check_settlements(self) -> None:
        wanted = None if self._everything else list(self._replay.settled)
        seen = set()
        async for row in self._audit.rows("settlements", wanted):
            transfer_id = row["transfer_id"]
            seen.add(transfer_id)
            newest = _transfer_record(row["newest"])
            if not row["is_there"]:
                self._find(
                    "missing_record", "settlements", transfer_id, newest, "the transfer's settlement is not there"
                )
            elif newest is None:
                self._find("record_altered", "settlements", transfer_id, None, "no record settles this transfer")
            else:
                self._compare_settlement(row, newest, _transfer_record(row["legs"]))
        if not self._everything:
            for transfer_id in self._replay.settled - seen:
                self._find("missing_record", "settlements", transfer_id, None, "the transfer's settlement is not there")

    def _compare_settlement(self, row: Any, newest: TransferRecord, first: TransferRecord | None) -> None:
        stored = {
            name: row[name]
            for name in (
                "shard",
                "resolver",
                "fee_schedule",
                "amounts_minor",
                "captured_minor",
                "reversed_minor",
                "is_open",
            )
        }
        stored["expires_at"] = "" if row["expires_at"] is None else to_rfc3339(row["expires_at"])
        computed: dict[str, Any] = {
            "shard": self._shard,
            "resolver": newest.resolver,
            "expires_at": newest.expires_at,
            "fee_schedule": newest.fee_schedule,
            "is_open": newest.status == "held",
        }
        if first is None or first.transfer_id != row["transfer_id"] or first.version != 1:
            stored["legs_index"], computed["legs_index"] = row["legs_index"], "the transfer's first record"
        else:
            computed |= _amounts(newest, first)
        stored["fees"], computed["fees"] = self._fees(row, newest, first)
        if any(stored[name] != value for name, value in computed.items()):
            self._find(
                "record_altered",
                "settlements",
                row["transfer_id"],
                newest,
                "the settlement is not what the transfer's records say",
                stored,
                computed,
            )

    def _fees(self, row: Any, newest: TransferRecord, first: TransferRecord | None) -> tuple[Any, Any]:
        """Return the fees as stored and as they should be; the sum alone where not all records were seen."""
        try:
            stored = {(leg, account, minor < 0): minor for leg, account, minor in _FEES.decode(row["fees"])}
        except msgspec.MsgspecError:
            return row["fees"], "a list of fees"
        if not self._everything:
            return sum(stored.values()), newest.fee_minor
        computed = dict(self._replay.fees_minor.get(row["transfer_id"], {}))
        if first is not None and first.kind == POSTED:
            for fee in first.fees:
                key = (fee.leg, fee.account_id, False)
                computed[key] = computed.get(key, 0) + fee.amount_minor
        return stored, computed

    async def _check_commands(self) -> None:
        expected = self._replay.commands
        seen = set()
        async for row in self._audit.rows("commands", None if self._everything else list(expected)):
            seen.add(row["command_id"])
            record = _record(row["record"], row["record_kind"])
            want = None if record is None else _command(record)
            if want is None or expected.get(row["command_id"]) != row["journal_index"]:
                self._find(
                    "record_altered",
                    "commands",
                    row["command_id"],
                    None,
                    "no record answers this command so",
                    {"journal_index": row["journal_index"], "shard": row["shard"]},
                    {
                        "journal_index": expected.get(row["command_id"], "a record with this command's id"),
                        "shard": self._shard,
                    },
                )
                continue
            stored = {name: row[name] for name in _COMMAND} | {"decided_at": to_rfc3339(row["decided_at"])}
            if stored != want | {"shard": self._shard}:
                self._find(
                    "record_altered",
                    "commands",
                    row["command_id"],
                    record,
                    "the answer is not what its record says",
                    stored,
                    want | {"shard": self._shard},
                )
        self._find_missing("commands", expected, seen)

    async def _check_reversals(self) -> None:
        expected = self._replay.reversals
        seen = set()
        async for row in self._audit.rows("reversals", None if self._everything else list(expected)):
            seen.add(row["reversal_id"])
            record = _record(row["record"], row["record_kind"])
            if not isinstance(record, TransferRecord) or expected.get(row["reversal_id"]) != row["journal_index"]:
                self._find(
                    "record_altered",
                    "reversals",
                    row["reversal_id"],
                    None,
                    "no record makes this reversal",
                    {"journal_index": row["journal_index"], "shard": row["shard"]},
                    {
                        "journal_index": expected.get(row["reversal_id"], "a record of this reversal"),
                        "shard": self._shard,
                    },
                )
                continue
            computed = {
                "transfer_id": record.reverses,
                "actor_id": record.actor_id,
                "amounts_minor": [leg.amount_minor for leg in record.legs],
                "reason_commitment": record.memo_commitment,
                "shard": self._shard,
                "reversed_at": record.time,
            }
            stored = {name: row[name] for name in computed} | {"reversed_at": to_rfc3339(row["reversed_at"])}
            if stored != computed:
                self._find(
                    "record_altered",
                    "reversals",
                    row["reversal_id"],
                    record,
                    "the reversal is not what its record says",
                    stored,
                    computed,
                )
        self._find_missing("reversals", expected, seen)

    def _find_missing(self, table: str, expected: Mapping[str, int], seen: set[str]) -> None:
        for row_id, index in expected.items():
            if row_id not in seen:
                self._found.find(
                    Finding("missing_record", table, row_id, "the record's row is not there", BALANCES, index)
                )

    def _find(
        self,
        kind: Any,
        table: str,
        row: str,
        record: JournalRecord | None,
        detail: str,
        stored: Mapping[str, Any] | None = None,
        computed: Mapping[str, Any] | None = None,
    ) -> None:
        self._found.find(
            Finding(
                kind,
                table,
                row,
                detail,
                BALANCES if record is not None else EDITED,
                None if record is None else record.index,
                record.transfer_id if isinstance(record, TransferRecord) else "",
                parties(record) if isinstance(record, TransferRecord) else (),
                differences=differences(stored or {}, computed or {}),
            )
        )


def _amounts(newest: TransferRecord, first: TransferRecord) -> dict[str, Sequence[int]]:
    amounts_minor = [leg.amount_minor for leg in first.legs]
    nothing = [0] * len(amounts_minor)
    captured_minor = (list(newest.captured_minor) or nothing) if newest.resolver else amounts_minor
    return {
        "amounts_minor": amounts_minor,
        "captured_minor": captured_minor,
        "reversed_minor": list(newest.reversed_minor) or nothing,
    }


def _command(record: JournalRecord) -> dict[str, Any] | None:
    """Return the row of the command that a record answers."""
    said: dict[str, Any] = {"journal_index": record.index, "decided_at": record.time, "status": "done", "code": ""}
    match record:
        case CommandRecord():
            return said | {
                "kind": record.command,
                "subject_id": record.subject_id,
                "status": "refused",
                "code": record.code,
            }
        case AccountRecord():
            return said | {"kind": "account_change", "subject_id": record.account_id}
        case TransferRecord():
            # What ended a hold and moved nothing was a void.
            is_void = record.kind == VOIDED or not record.legs
            return said | {"kind": "void" if is_void else "capture", "subject_id": record.transfer_id}
        case FeesRecord():
            return said | {"kind": "fee_schedule", "subject_id": record.command_id}
        case ReleaseRecord() | RepairRecord():
            return None


def _record(text: bytes | None, kind: str) -> JournalRecord | None:
    try:
        return None if text is None else decode_record(text, kind)
    except msgspec.MsgspecError:
        return None


def _transfer_record(text: bytes | None) -> TransferRecord | None:
    record = _record(text, POSTED)
    return record if isinstance(record, TransferRecord) else None
