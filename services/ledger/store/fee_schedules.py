"""Rows of `ledger.fee_schedules` in, fee schedules out."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import asyncpg
import msgspec

from libs.common.clock import from_rfc3339
from services.ledger.domain.commands import FeeRule
from services.ledger.domain.engine import FREE_OF_CHARGE
from services.ledger.domain.fees import FeeSchedule, account_of
from services.ledger.domain.run import FeeAnswer

_LOAD: Final = "SELECT version, rules FROM ledger.fee_schedules"


class StoredRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule as it is stored and hashed: canonical JSON, fields in their sorted order."""

    exempt_account_ids: list[str]
    rules: list[FeeRule]


_INSERT: Final = """
INSERT INTO ledger.fee_schedules (version, rules, sha256, published_by, shard, journal_index, published_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_decode: Final = msgspec.json.Decoder(StoredRules).decode
_encode: Final = msgspec.json.Encoder(order="sorted").encode


def encode_rules(schedule: FeeSchedule) -> bytes:
    """Return a schedule's canonical text (RFC 8785): what its record has the SHA-256 of."""
    return _encode(StoredRules(sorted(schedule.exempt_account_ids), list(schedule.rules)))


async def write_fee_schedule(connection: asyncpg.Connection, published: FeeAnswer, shard: int) -> None:
    """Write a schedule that the batch puts in force."""
    text = encode_rules(published.schedule)
    await connection.execute(
        _INSERT,
        published.schedule.version,
        text,
        sha256(text).digest(),
        published.actor_id,
        shard,
        published.journal_index,
        from_rfc3339(published.changed_at),
    )


async def load_fee_schedules(connection: asyncpg.Connection) -> Mapping[int, FeeSchedule]:
    """Return all schedules by version, 0 included: holds keep the one of their day."""
    schedules = dict(FREE_OF_CHARGE)
    for version, text in await connection.fetch(_LOAD):
        stored = _decode(text)
        schedules[version] = FeeSchedule(version, tuple(stored.rules), frozenset(stored.exempt_account_ids))
    return schedules


def accounts_of_fees(schedules: Mapping[int, FeeSchedule]) -> frozenset[str]:
    """Return every account that a rule credits."""
    return frozenset(account_of(rule) for schedule in schedules.values() for rule in schedule.rules)
