"""From where money was asked for: lumps of a second, each proven by an audit entry with its digest."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import asyncpg
import msgspec

RECORDED_AS: Final = "audit.money_callers"
"""The action of the entry that proves a lump."""

_SAVE: Final = """
INSERT INTO gateway.money_callers (lump_id, first_id, last_id, said) VALUES ($1, $2, $3, $4)
ON CONFLICT ON CONSTRAINT money_callers_pkey DO NOTHING
"""
# Whichever process kept it: of the lumps that end at this transfer or later, one of the first few has it.
_FIND: Final = """
SELECT DISTINCT l.lump_id, l.said FROM unnest($1::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT near.* FROM (
        SELECT * FROM gateway.money_callers WHERE last_id >= wanted.id ORDER BY last_id LIMIT 32
    ) AS near WHERE near.first_id <= wanted.id
) AS l
"""


class Caller(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """From where, by which client, with which API key; without one, a person had logged in."""

    address: str
    user_agent: str
    key_id: str = ""


class Said(msgspec.Struct, frozen=True, gc=False):
    """The JSON of a lump: (transfer id, request id, place in `callers`), and the callers."""

    requests: list[tuple[str, str, int]]
    callers: list[Caller]


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Said).decode


class Lump(NamedTuple):
    """Who asked for some transfers, as it is stored."""

    lump_id: str
    first_id: str
    last_id: str
    requests: int
    said: bytes

    def digest(self) -> str:
        """Return the hex SHA-256 of all that the row says."""
        return sha256(f"{self.lump_id}{self.first_id}{self.last_id}".encode() + self.said).hexdigest()


class CallerOf(NamedTuple):
    """From where one transfer was asked for."""

    request_id: str
    address: str
    user_agent: str
    key_id: str


def lump_of(lump_id: str, requests: list[tuple[str, str, int]], callers: Sequence[Caller]) -> Lump:
    """Return these as a lump; there is at least one."""
    first_id, last_id = min(requests)[0], max(requests)[0]
    return Lump(lump_id, first_id, last_id, len(requests), _encode(Said(requests, list(callers))))


async def save_lump(connection: asyncpg.Connection, lump: Lump) -> None:
    """Keep a lump. Idempotent by: lump id."""
    await connection.execute(_SAVE, lump.lump_id, lump.first_id, lump.last_id, lump.said)


async def find_callers(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, CallerOf]:
    """Return those that are known, by transfer; what a killed process noted in its last second is not."""
    wanted = set(transfer_ids)
    found: dict[str, CallerOf] = {}
    for _, text in await connection.fetch(_FIND, transfer_ids):
        said = _decode(text)
        for transfer_id, request_id, place in said.requests:
            if transfer_id in wanted:
                found[transfer_id] = CallerOf(request_id, *msgspec.structs.astuple(said.callers[place]))
    return found
