"""Identifiers: UUIDv7 (RFC 9562) in their canonical lower-case text form, one NewType per kind.

Ids travel as text on the bus and on the hot path, because building `uuid.UUID` objects costs more than everything else
done with them; PostgreSQL stores them as `uuid` and refuses what is not one.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NewType
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils

TransferId = NewType("TransferId", str)
AccountId = NewType("AccountId", str)
UserId = NewType("UserId", str)
DecisionId = NewType("DecisionId", str)
BatchId = NewType("BatchId", str)
MessageId = NewType("MessageId", str)

LOWEST_ID: Final = "00000000-0000-0000-0000-000000000000"
"""No id is lower: whoever reads page after page in their order begins behind it."""

_SYSTEM_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:tallystick:system-accounts")
_TEXT_LENGTH: Final = 36
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_VERSION: Final = 7


def new_id() -> str:
    """Return a fresh UUIDv7 as text; ids made by one process sort in the order they were made."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Tell whether the text is a UUID in the canonical form that this system hands out (lower case, with hyphens)."""
    if len(text) != _TEXT_LENGTH:
        return False
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def system_account_id(asset: str, number: str) -> AccountId:
    """Return the id of a system account, the same in every installation.

    `number` is the human number without the asset, such as `SYS-RESERVE-0001`. The id is a UUIDv5 (RFC 9562), so that
    a migration, a service and an auditor derive it alike without asking each other.
    """
    return AccountId(str(uuid5(_SYSTEM_NAMESPACE, f"{asset}/{number}")))


def first_id_at(moment: datetime) -> str:
    """Return the smallest UUIDv7 (RFC 9562, 5.7) of this millisecond: a bound for ids by time."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND  # in integers: seconds as a float would fall short of some
    return str(UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62)))


def moment_of(uuid: str) -> datetime | None:
    """Return the millisecond that a UUIDv7 tells; None for a UUID of another kind, or of a year that does not exist."""
    found = UUID(uuid)
    if found.version != _VERSION:
        return None
    try:
        return _EPOCH + (found.int >> 80) * _MILLISECOND
    except OverflowError:
        return None
