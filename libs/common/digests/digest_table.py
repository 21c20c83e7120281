"""What one service says of many ids, in digests that do not depend on the order of the rows.

A row is an id and one text that says what the service holds for it. A group is all ids that begin with the same
hexadecimal digits; its digest is how many rows it has, and the sum of the first 60 bits of SHA-256 over their texts. An
id is a UUIDv7, so the first digits are a time: 6 of them are 4.7 hours, 8 are 65 seconds, 10 a quarter of a second.
Equal digests mean equal rows for anything that happens by accident or by hand; the journal's hashes are the proof.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple

import asyncpg

ROWS_MAX: Final = 10_000
"""Most rows that one answer names."""
PREFIX_DIGITS: Final = (6, 8, 10)
"""How many digits name a group, coarse to fine."""
LAST_ID: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_PATIENCE_SECONDS: Final = 120
_DIGITS: Final = 32
_HYPHENS_AFTER: Final = (8, 12, 16, 20)

_GROUPS: Final = """
SELECT left(replace(id::text, '-', ''), $3) AS prefix, count(*),
    sum(('x' || left(encode(sha256(convert_to(said, 'UTF8')), 'hex'), 15))::bit(60)::bigint)::text
FROM ({rows}) AS r WHERE id BETWEEN $1 AND $2 GROUP BY 1 ORDER BY 1
"""
_ROWS: Final = "SELECT id::text, said FROM ({rows}) AS r WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3"

Connect = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]


class Group(NamedTuple):
    """A group's digest; `total` is written out, because it may be larger than JSON readers keep exact."""

    rows: int
    total: str


class DigestTable:
    """One table of a service, as digests. `rows` is a SELECT of `id` (uuid) and `said` (text, never null)."""

    def __init__(self, connect: Connect, rows: str) -> None:
        """`connect` lends a connection; the text stands in the code."""
        self._connect = connect
        self._groups_sql = _GROUPS.replace("{rows}", rows)
        self._rows_sql = _ROWS.replace("{rows}", rows)

    async def groups(self, prefix: str, digits: int, upto: str) -> dict[str, Group]:
        """Return the digests of the groups of `digits` digits below the prefix, of ids up to this one."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._groups_sql, *_between(prefix, upto), digits, timeout=_PATIENCE_SECONDS)
        return {row[0]: Group(row[1], row[2]) for row in rows}

    async def rows(self, prefix: str, upto: str) -> dict[str, str]:
        """Return id → what is said of it, the first `ROWS_MAX` below the prefix."""
        async with self._connect() as connection:
            rows = await connection.fetch(self._rows_sql, *_between(prefix, upto), ROWS_MAX, timeout=_PATIENCE_SECONDS)
        return {row[0]: row[1] for row in rows}


def _between(prefix: str, upto: str) -> tuple[str, str]:
    return _as_id(prefix.ljust(_DIGITS, "0")), min(_as_id(prefix.ljust(_DIGITS, "f")), upto)


def _as_id(digits: str) -> str:
    parts = [digits[start:end] for start, end in zip((0, *_HYPHENS_AFTER), (*_HYPHENS_AFTER, _DIGITS), strict=True)]
    return "-".join(parts)
