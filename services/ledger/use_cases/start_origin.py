"""Let the ledger go on under a new origin, when the end of what it had signed cannot be brought back.

Signing sizes again that were signed before would be a fork: two histories under one name. Under another name it is
another log, which says of itself where it left the first.
"""

import re
from typing import Final

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.clock import from_rfc3339
from libs.common.proof.departure import Departure
from libs.common.proof.signed_note import sign_note
from services.ledger.store.origins import insert_departure

_NUMBERED: Final = re.compile(r"(?P<first>.+)/origin-(?P<number>[1-9][0-9]{0,8})")


def next_origin(current: str) -> str:
    """Return the name after this one: `ledger.example/0`, `ledger.example/0/origin-2`, `ledger.example/0/origin-3`."""
    numbered = _NUMBERED.fullmatch(current)
    first, number = (numbered["first"], int(numbered["number"])) if numbered else (current, 1)
    return f"{first}/origin-{number + 1}"


async def start_origin(connection: asyncpg.Connection, departure: Departure, signing_key: Ed25519PrivateKey) -> None:
    """Record the departure, signed with the key under the name that is left, for ever.

    Raises: asyncpg.UniqueViolationError when the new origin was started before.
    """
    await insert_departure(
        connection,
        shard=departure.shard,
        origin=departure.origin,
        started_at=from_rfc3339(departure.started_at),
        note=sign_note(departure.text(), departure.floor.origin, signing_key),
    )
