"""What services say of the same money, read from their tables: a second opinion, which no service may have."""

import asyncio

import asyncpg

_ACROSS = {
    "every transfer the gateway accepted was decided, and nothing else was": (
        ("gateway.transfers", "ledger.transfers"),
        """
        SELECT format('transfer %s: accepted %s, status %s', coalesce(g.transfer_id, l.transfer_id), g.accepted_at,
            l.status)
        FROM gateway.transfers g FULL JOIN ledger.transfers l USING (transfer_id)
        LEFT JOIN gateway.commands c ON c.command_id = l.transfer_id
        WHERE l.transfer_id IS NULL OR (g.transfer_id IS NULL AND c.command_id IS NULL)
        """,
    ),
    "one idempotency key made one transfer": (
        ("gateway.transfers",),
        """
        SELECT format('principal %s, %s, key %s: %s transfers', principal_id, scope, idempotency_key, count(*))
        FROM gateway.transfers GROUP BY principal_id, scope, idempotency_key HAVING count(*) > 1
        """,
    ),
    "the gateway shows what the ledger decided": (
        ("gateway.outcomes", "ledger.transfers"),
        """
        SELECT format('transfer %s: ledger %s version %s, gateway %s version %s', l.transfer_id, l.status, l.version,
            coalesce(s.status, o.status, 'nothing'), coalesce(s.version, o.version, 0))
        FROM ledger.transfers l LEFT JOIN gateway.outcomes o USING (transfer_id) LEFT JOIN gateway.later_states s
            ON s.transfer_id = l.transfer_id AND s.version = l.version
        WHERE (l.status, l.version) IS DISTINCT FROM (coalesce(s.status, o.status), coalesce(s.version, o.version))
        """,
    ),
    "an account is the same account in accounts and in the books": (
        ("accounts.accounts", "ledger.accounts"),
        """
        SELECT format('account %s: %s %s %s in accounts, %s %s %s in the books', coalesce(a.account_id, l.account_id),
            a.owner_id, a.asset, a.status, l.owner_id, l.asset, l.status)
        FROM accounts.accounts a
        FULL JOIN (SELECT * FROM ledger.accounts WHERE kind = 'customer') l USING (account_id)
        WHERE a.account_id IS NULL
           OR (l.account_id IS NULL AND a.status = 'active')
           OR (a.owner_id, a.asset, a.account_number) IS DISTINCT FROM (l.owner_id, l.asset, l.account_number)
              AND l.account_id IS NOT NULL
           OR (a.status = 'closed') <> (l.status = 'closed')
        """,
    ),
    **{
        f"{schema} has told the bus everything it committed": (
            (f"{schema}.outbox",),
            f"SELECT format('row %s since %s', row_id, recorded_at) FROM {schema}.outbox",
        )
        for schema in ("accounts", "kyc", "fraud", "gateway")
    },
}


_UNDER_WAY_SECONDS = 2.0
"""Services say things of their own accord, such as what they have said before: that is in an outbox for a moment."""


async def differences_across_services(dsn: str) -> list[str]:
    """Return what differs, and still does a moment later; a promise about tables that do not exist is left out."""
    found = await _look(dsn)
    if not found:
        return []
    await asyncio.sleep(_UNDER_WAY_SECONDS)
    still_there = set(await _look(dsn))
    return [difference for difference in found if difference in still_there]


async def _look(dsn: str) -> list[str]:
    """Return what differs in one snapshot."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = []
            for promise, (tables, sql) in _ACROSS.items():
                if all([await connection.fetchval("SELECT to_regclass($1)", table) for table in tables]):
                    found += [f"{promise}: {row[0]}" for row in await connection.fetch(sql)]
            return found
    finally:
        await connection.close()
