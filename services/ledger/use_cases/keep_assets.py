"""Add assets, and bring back the accounts of the house: an administrator's work, by commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from libs.common.clock import Clock
from libs.common.errors import Conflict
from services.ledger.store.assets import Asset, insert_asset, load_assets, restore_accounts_of_the_house


class KeepAssets:
    """Works as the administrator: the running ledger's role may read assets and no more."""

    def __init__(self, admin_dsn: str, clock: Clock) -> None:
        """Take the administrator's DSN."""
        self._dsn = admin_dsn
        self._clock = clock

    async def add(self, code: str, exponent: int) -> bool:
        """Add the asset with its accounts of the house; False when it is there already.

        Raises: Conflict asset_exponent_fixed; asyncpg.PostgresError.
        """
        async with self._transaction() as connection:
            is_new = await insert_asset(connection, code, exponent, self._clock())
            (known,) = [asset for asset in await load_assets(connection) if asset.code == code]
            if known.exponent != exponent:
                raise Conflict(
                    "asset_exponent_fixed",
                    f"{code} has {known.exponent} decimal digits; amounts were written with them, so they stay.",
                    exponent=known.exponent,
                )
            await restore_accounts_of_the_house(connection, self._clock())
        return is_new

    async def known(self) -> list[Asset]:
        """Return all assets, oldest first. Raises: asyncpg.PostgresError."""
        async with self._transaction() as connection:
            return await load_assets(connection)

    async def restore_accounts(self) -> list[str]:
        """Bring back what is missing or altered of the house's accounts, and return which those were.

        A balance is summed up from the account's entries and the open holds; entries are not touched.
        Raises: asyncpg.PostgresError.
        """
        async with self._transaction() as connection:
            return await restore_accounts_of_the_house(connection, self._clock())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            self._dsn, timeout=10, server_settings={"application_name": "tallystick-assets"}
        )
        try:
            # tidy: allow commit-outside-unit-of-work: the running ledger tells of it, from the table
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()
