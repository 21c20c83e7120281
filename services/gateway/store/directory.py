"""The gateway's projections of accounts and customers."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

_ACCOUNTS = """
SELECT a.account_id::text, a.owner_id::text, a.asset, a.status, a.version
FROM gateway.accounts a WHERE a.account_id = ANY($1::uuid[])
"""
_CUSTOMERS = """
SELECT c.user_id::text, c.profile, c.profile_version, c.kyc_tier, c.kyc_version
FROM gateway.customers c WHERE c.user_id = ANY($1::uuid[])
"""
_SAVE_ACCOUNTS = """
INSERT INTO gateway.accounts AS a (account_id, owner_id, asset, status, version)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[])
ON CONFLICT ON CONSTRAINT accounts_pkey DO UPDATE SET status = EXCLUDED.status, version = EXCLUDED.version
WHERE a.version < EXCLUDED.version
"""
_SAVE_PROFILES = """
INSERT INTO gateway.customers AS c (user_id, profile, profile_version)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[])
ON CONFLICT ON CONSTRAINT customers_pkey DO UPDATE
SET profile = EXCLUDED.profile, profile_version = EXCLUDED.profile_version
WHERE c.profile_version < EXCLUDED.profile_version
"""
_SAVE_TIERS = """
INSERT INTO gateway.customers AS c (user_id, kyc_tier, kyc_version)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[])
ON CONFLICT ON CONSTRAINT customers_pkey DO UPDATE
SET kyc_tier = EXCLUDED.kyc_tier, kyc_version = EXCLUDED.kyc_version
WHERE c.kyc_version < EXCLUDED.kyc_version
"""


@dataclass(slots=True)
class KnownAccount:
    """An account as the gateway knows it."""

    account_id: str
    owner_id: str
    asset: str
    status: str
    version: int


@dataclass(slots=True)
class KnownCustomer:
    """A customer as the gateway knows him; one it never heard of is retail and unverified."""

    user_id: str
    profile: str = "retail"
    profile_version: int = 0
    kyc_tier: int = 0
    kyc_version: int = 0


async def load_accounts(connection: asyncpg.Connection, account_ids: Sequence[str]) -> list[KnownAccount]:
    """Return those of the accounts that are known."""
    return [KnownAccount(*row) for row in await connection.fetch(_ACCOUNTS, account_ids)]


async def load_customers(connection: asyncpg.Connection, user_ids: Sequence[str]) -> list[KnownCustomer]:
    """Return those of the customers that are known."""
    return [KnownCustomer(*row) for row in await connection.fetch(_CUSTOMERS, user_ids)]


async def save_accounts(connection: asyncpg.Connection, accounts: Sequence[KnownAccount]) -> None:
    """Keep newer states; at most one per account in a call."""
    await connection.execute(
        _SAVE_ACCOUNTS,
        [a.account_id for a in accounts],
        [a.owner_id for a in accounts],
        [a.asset for a in accounts],
        [a.status for a in accounts],
        [a.version for a in accounts],
    )


async def save_profiles(connection: asyncpg.Connection, rows: Sequence[tuple[str, str, int]]) -> None:
    """Keep newer (user id, profile, version); at most one per customer in a call."""
    await connection.execute(_SAVE_PROFILES, *(list(column) for column in zip(*rows, strict=True)))


async def save_tiers(connection: asyncpg.Connection, rows: Sequence[tuple[str, int, int]]) -> None:
    """Keep newer (user id, KYC tier, version); at most one per customer in a call."""
    await connection.execute(_SAVE_TIERS, *(list(column) for column in zip(*rows, strict=True)))
