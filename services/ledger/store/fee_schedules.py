"""Rows of `ledger.fee_schedules` in, fee schedules out."""

from collections.abc import Mapping
from typing import Final

import asyncpg
import msgspec

from services.ledger.domain.engine import FREE_OF_CHARGE
from services.ledger.domain.fees import FeeRule, FeeSchedule

_LOAD: Final = "SELECT version, rules FROM ledger.fee_schedules"


class StoredRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule as it is stored and hashed: canonical JSON, fields in their sorted order."""

    exempt_account_ids: list[str]
    rules: list[FeeRule]


_decode: Final = msgspec.json.Decoder(StoredRules).decode


async def load_fee_schedules(connection: asyncpg.Connection) -> Mapping[int, FeeSchedule]:
    """Return all schedules by version, 0 included: holds keep the one of their day."""
    schedules = dict(FREE_OF_CHARGE)
    for version, text in await connection.fetch(_LOAD):
        stored = _decode(text)
        schedules[version] = FeeSchedule(version, tuple(stored.rules), frozenset(stored.exempt_account_ids))
    return schedules


def accounts_of_fees(schedules: Mapping[int, FeeSchedule]) -> frozenset[str]:
    """Return every account that a rule credits."""
    return frozenset(rule.account_id for schedule in schedules.values() for rule in schedule.rules)
