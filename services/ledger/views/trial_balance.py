"""The trial balance: every account's balance by asset, type and code, now or at a moment that has passed."""

from datetime import datetime
from typing import Final

import msgspec

from libs.common.db.reading import Reading

# What an account had is a balance of credits less debits, so it counts as a credit above zero and as a debit below.
_TOTALS: Final = """
SELECT asset, type, code, count(*), coalesce(sum(-balance_minor) FILTER (WHERE balance_minor < 0), 0)::bigint,
       coalesce(sum(balance_minor) FILTER (WHERE balance_minor > 0), 0)::bigint
FROM ({balances}) AS account GROUP BY asset, type, code ORDER BY asset, code, type
"""
_NOW: Final = _TOTALS.format(balances="SELECT asset, type, code, posted_minor AS balance_minor FROM ledger.accounts")
# An account that was not touched since costs one look at its last entry, any other about 20: see docs/performance.md.
_AT: Final = _TOTALS.format(
    balances="""
    SELECT asset, type, code, ledger.balance_at(account_id, $1) AS balance_minor
    FROM ledger.accounts WHERE opened_at <= $1 OR last_seq > 0 OFFSET 0"""
)


class CodeTotals(msgspec.Struct, frozen=True):
    """The balances of all accounts of one asset, type and code."""

    asset: str
    type: str
    code: str
    accounts: int
    debit_minor: int
    credit_minor: int


class TrialBalanceView:
    """Sums the books up. One statement, so all of it is one moment."""

    def __init__(self, reading: Reading) -> None:
        """Take what it reads with."""
        self._reading = reading

    async def now(self) -> list[CodeTotals]:
        """Return today's totals by (asset, code), from the accounts' balances. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return [CodeTotals(*row) for row in await connection.fetch(_NOW)]

    async def at(self, moment: datetime) -> list[CodeTotals]:
        """Return the totals by (asset, code) of a moment that has passed. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return [CodeTotals(*row) for row in await connection.fetch(_AT, moment)]
