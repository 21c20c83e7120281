"""What other services told us of customers and accounts. The newest version wins, whatever the order of arrival."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from libs.common.clock import from_rfc3339
from libs.common.contracts.accounts import AccountChanged, CustomerChanged
from libs.common.contracts.kyc import VerificationChanged

_ACCOUNTS: Final = """
    INSERT INTO fraud.accounts AS a (account_id, owner_id, asset, status, version)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[])
    ON CONFLICT (account_id) DO UPDATE SET status = excluded.status, version = excluded.version
    WHERE a.version < excluded.version
"""

# A customer is as old as his first account. His limits do not rest on it, so the row's own version stays.
_SINCE: Final = """
    INSERT INTO fraud.users AS u (user_id, version, account_since)
    SELECT owner_id, 1, min(opened_at) FROM unnest($1::uuid[], $2::timestamptz[]) AS opened (owner_id, opened_at)
    GROUP BY owner_id
    ON CONFLICT (user_id) DO UPDATE SET account_since = excluded.account_since
    WHERE u.account_since IS NULL OR u.account_since > excluded.account_since
"""

# The row's own version moves too: memory elsewhere must not go on with the old profile or tier.
_PROFILES: Final = """
    INSERT INTO fraud.users AS u (user_id, version, profile, profile_version)
    SELECT changed.user_id, 1, changed.profile, changed.version
    FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS changed (user_id, profile, version)
    ON CONFLICT (user_id) DO UPDATE
    SET profile = excluded.profile, profile_version = excluded.profile_version, version = u.version + 1
    WHERE u.profile_version < excluded.profile_version
    RETURNING u.user_id::text
"""

_VERIFICATIONS: Final = """
    INSERT INTO fraud.users AS u (user_id, version, kyc_status, kyc_tier, kyc_version, kyc_since)
    SELECT changed.user_id, 1, changed.status, changed.tier, changed.version, changed.since
    FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::timestamptz[])
        AS changed (user_id, status, tier, version, since)
    ON CONFLICT (user_id) DO UPDATE
    SET kyc_status = excluded.kyc_status, kyc_tier = excluded.kyc_tier, kyc_version = excluded.kyc_version,
        kyc_since = excluded.kyc_since, version = u.version + 1
    WHERE u.kyc_version < excluded.kyc_version
    RETURNING u.user_id::text
"""

_OWNERS: Final = "SELECT account_id::text, owner_id::text FROM fraud.accounts WHERE account_id = ANY($1::uuid[])"


async def find_owners(connection: asyncpg.Connection, account_ids: Sequence[str]) -> dict[str, str]:
    """Return account_id → owner's user_id for the accounts we were told of."""
    return dict(await connection.fetch(_OWNERS, account_ids))


async def save_accounts(connection: asyncpg.Connection, changes: Sequence[AccountChanged]) -> None:
    """Keep each account's newest state. At most one change an account."""
    await connection.execute(
        _ACCOUNTS,
        [change.account_id for change in changes],
        [change.owner_id for change in changes],
        [change.asset for change in changes],
        [change.status for change in changes],
        [change.version for change in changes],
    )
    await connection.execute(
        _SINCE, [change.owner_id for change in changes], [from_rfc3339(change.occurred_at) for change in changes]
    )


async def save_profiles(connection: asyncpg.Connection, changes: Sequence[CustomerChanged]) -> list[str]:
    """Keep each customer's newest profile; at most one change a customer. Returns whose row changed."""
    rows = await connection.fetch(
        _PROFILES,
        [change.user_id for change in changes],
        [change.profile for change in changes],
        [change.version for change in changes],
    )
    return [row[0] for row in rows]


async def save_verifications(connection: asyncpg.Connection, changes: Sequence[VerificationChanged]) -> list[str]:
    """Keep each customer's newest KYC state; at most one change a customer. Returns whose row changed."""
    rows = await connection.fetch(
        _VERIFICATIONS,
        [change.user_id for change in changes],
        [change.status for change in changes],
        [change.tier for change in changes],
        [change.version for change in changes],
        [from_rfc3339(change.occurred_at) for change in changes],
    )
    return [row[0] for row in rows]
