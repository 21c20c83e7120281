"""Every service's audit entries in one table, and the list of those not sealed yet."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from libs.common.audit.entry import COLUMNS, as_row, from_row
from libs.common.contracts.audit import AuditEntry

_NAMES: Final = ", ".join((*COLUMNS, "service"))
_ARRAYS: Final = ", ".join(
    f"${number}::{kind}"
    for number, kind in enumerate(("uuid[]", "timestamptz[]", *["text[]"] * (len(COLUMNS) - 1)), start=1)
)
_COLLECT: Final = f"""
WITH fresh AS (
    INSERT INTO gateway.audit_entries ({_NAMES}) SELECT * FROM unnest({_ARRAYS})
    ON CONFLICT ON CONSTRAINT audit_entries_pkey DO NOTHING RETURNING entry_id
)
INSERT INTO gateway.audit_unsealed (entry_id) SELECT entry_id FROM fresh
"""  # noqa: S608 -- the names stand in the contract
_UNSEALED: Final = f"""
SELECT {", ".join(f"e.{name}" for name in COLUMNS)}, e.service
FROM gateway.audit_unsealed u JOIN gateway.audit_entries e USING (entry_id) ORDER BY entry_id LIMIT $1
"""  # noqa: S608 -- as above
_AGE: Final = "SELECT coalesce(extract(epoch FROM now() - min(collected_at)), 0)::float8 FROM gateway.audit_unsealed"


async def save_entries(connection: asyncpg.Connection, entries: Sequence[AuditEntry]) -> None:
    """Keep entries that are new, in one statement. Idempotent by: entry id."""
    rows = [as_row(entry) | {"service": entry.service} for entry in entries]
    await connection.execute(_COLLECT, *([row[name] for row in rows] for name in (*COLUMNS, "service")))


async def load_unsealed(connection: asyncpg.Connection, limit: int) -> list[AuditEntry]:
    """Return entries that are not sealed, in the order of their ids."""
    return [from_row(row[-1], row[:-1]) for row in await connection.fetch(_UNSEALED, limit)]


async def unsealed_age_seconds(connection: asyncpg.Connection) -> float:
    """Return for how long the oldest entry has waited for its seal; 0 if none does."""
    age: float = await connection.fetchval(_AGE)
    return age
