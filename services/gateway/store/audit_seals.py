"""The chain over collected audit entries: a leaf each, and a signed seal over all leaves so far."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

_LEASE: Final = """
UPDATE gateway.audit_sealer SET holder = $1, expires_at = now() + make_interval(secs => $2)
WHERE holder = $1 OR expires_at < now() RETURNING true
"""
_NEWEST: Final = "SELECT size, peaks, note FROM gateway.audit_seals ORDER BY size DESC LIMIT 1"
_LEAVES: Final = """
INSERT INTO gateway.audit_leaves (leaf_index, entry_id, leaf_hash)
SELECT $1 + l.place - 1, l.entry_id, l.leaf_hash
FROM unnest($2::uuid[], $3::bytea[]) WITH ORDINALITY AS l (entry_id, leaf_hash, place)
"""
_DONE: Final = "DELETE FROM gateway.audit_unsealed WHERE entry_id = ANY($1::uuid[])"
_SEAL: Final = "INSERT INTO gateway.audit_seals (size, peaks, note) VALUES ($1, $2, $3)"


class StoredSeal(NamedTuple):
    """The tree of `size` leaves by its peaks, and the note that was signed over its root."""

    size: int
    peaks: bytes
    note: str


async def take_lease(connection: asyncpg.Connection, holder: str, seconds: float) -> bool:
    """Tell whether this process is the sealer for so long; whoever held it may have stopped without saying so."""
    return await connection.fetchval(_LEASE, holder, seconds) is not None


async def load_newest_seal(connection: asyncpg.Connection) -> StoredSeal | None:
    """Return the newest seal; None while nothing has been sealed."""
    row = await connection.fetchrow(_NEWEST)
    return None if row is None else StoredSeal(*row)


async def save_seal(
    connection: asyncpg.Connection,
    *,
    first_index: int,
    entry_ids: Sequence[str],
    leaves: Sequence[bytes],
    seal: StoredSeal,
) -> None:
    """Append the leaves and the seal over them, and take the entries off the list of those that wait for it.

    Whoever has sealed meanwhile has these indexes: nothing is written then. Raises: UniqueViolationError.
    """
    await connection.execute(_LEAVES, first_index, entry_ids, leaves)
    await connection.execute(_DONE, entry_ids)
    await connection.execute(_SEAL, seal.size, seal.peaks, seal.note)
