"""Wraps by the newest master key whatever an older one wrapped, page by page, while the services run."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import asyncpg

from libs.common.personal.sealing import Sealer

PAGE: Final = 200
_FIRST: Final = "00000000-0000-0000-0000-000000000000"
_COMMAND_SECONDS: Final = 60.0


class Wrapped(NamedTuple):
    """A column of one service's table that begins with the id of the master key that wrapped it."""

    table: str
    row_id: str
    column: str
    renew: Callable[[Sealer, str, bytes], bytes]


PERSONAL: Final = {
    "accounts": (
        Wrapped("accounts.customers", "user_id", "personal_key", lambda sealer, of, old: sealer.rewrap(old, of)),
        Wrapped("accounts.mails", "mail_id", "content", lambda sealer, of, old: sealer.reseal_in_passing(of, old)),
    ),
    "kyc": (
        Wrapped("kyc.verifications", "user_id", "personal_key", lambda sealer, of, old: sealer.rewrap(old, of)),
        Wrapped("kyc.document_holders", "user_id", "personal_key", lambda sealer, of, old: sealer.rewrap(old, of)),
    ),
}


async def rewrap(dsn: str, sealer: Sealer, wrapped: Wrapped) -> tuple[int, int]:
    """Go through the whole table once; return how many were wrapped anew, and how many an older key still wraps.

    What is sealed under a customer's key stays as it is. Commits: each page. Broken off, it goes on when it is begun
    again: what is done is passed over. Locks: a page's rows that an older key wrapped.
    Raises: InvariantBroken for what none of the keys wrapped; OSError, asyncpg.PostgresError.
    """
    renewed, after = 0, _FIRST
    async with _connection(dsn) as connection:
        while page := await _renew_page(connection, sealer, wrapped, after):
            renewed, after = renewed + len(page), page[-1]
        left = await connection.fetchval(
            f"SELECT count(*) FROM {wrapped.table} WHERE {_of_older(wrapped)}",  # noqa: S608 -- names written above
            sealer.newest_id,
        )
    return renewed, left


async def _renew_page(connection: asyncpg.Connection, sealer: Sealer, wrapped: Wrapped, after: str) -> Sequence[str]:
    """Renew one page behind `after`, and return its ids in order."""
    table, row_id, column, renew = wrapped
    # tidy: allow commit-outside-unit-of-work: an administrator's work, of which nobody is told
    async with connection.transaction():
        rows = await connection.fetch(
            f"SELECT {row_id}::text AS row_id, {column} AS old FROM {table}"  # noqa: S608 -- as above
            f" WHERE {row_id} > $2::uuid AND {_of_older(wrapped)} ORDER BY {row_id} LIMIT {PAGE} FOR NO KEY UPDATE",
            sealer.newest_id,
            after,
        )
        await connection.executemany(
            f"UPDATE {table} SET {column} = $2 WHERE {row_id} = $1::uuid",  # noqa: S608 -- as above
            [(row["row_id"], renew(sealer, row["row_id"], row["old"])) for row in rows],
        )
    return [row["row_id"] for row in rows]


def _of_older(wrapped: Wrapped) -> str:
    # What was erased has no key any more.
    return f"{wrapped.column} IS NOT NULL AND substring({wrapped.column} FOR octet_length($1::bytea)) <> $1::bytea"


@asynccontextmanager
async def _connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        dsn, timeout=10, command_timeout=_COMMAND_SECONDS, server_settings={"application_name": "tallystick-rewrap"}
    )
    try:
        yield connection
    finally:
        await connection.close()
