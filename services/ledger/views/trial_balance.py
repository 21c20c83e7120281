"""The trial balance: every account's balance by asset, type and code, now or at a moment that has passed."""

from datetime import datetime
from operator import add
from typing import Final

import msgspec

from libs.common.db.hot import begun
from libs.common.db.reading import Reading

# What an account had is a balance of credits less debits, so it counts as a credit above zero and as a debit below.
_NOW: Final = """
SELECT asset, type, code, count(*), coalesce(sum(-posted_minor) FILTER (WHERE posted_minor < 0), 0)::bigint,
       coalesce(sum(posted_minor) FILTER (WHERE posted_minor > 0), 0)::bigint
FROM ledger.accounts GROUP BY asset, type, code ORDER BY asset, code, type
"""
# An account that was not touched since costs one look at its last entry, any other about 20: see docs/performance.md.
# Page by page, since a statement may take five seconds, and some 90,000 accounts take that long.
_AT: Final = """
SELECT asset, type, code, count(*), coalesce(sum(-balance_minor) FILTER (WHERE balance_minor < 0), 0)::bigint,
       coalesce(sum(balance_minor) FILTER (WHERE balance_minor > 0), 0)::bigint, max(account_id::text)
FROM (
    SELECT account_id, asset, type, code, ledger.balance_at(account_id, $1) AS balance_minor
    FROM ledger.accounts WHERE account_id > $2 AND (opened_at <= $1 OR last_seq > 0) ORDER BY account_id LIMIT $3
) AS account GROUP BY asset, type, code
"""
_PAGE: Final = 20_000
_NO_ACCOUNT: Final = "00000000-0000-0000-0000-000000000000"


class CodeTotals(msgspec.Struct, frozen=True):
    """The balances of all accounts of one asset, type and code."""

    asset: str
    type: str
    code: str
    accounts: int
    debit_minor: int
    credit_minor: int


class TrialBalanceView:
    """Sums the books up, all of it at one moment: by one statement or in one snapshot."""

    def __init__(self, reading: Reading) -> None:
        """Take what it reads with."""
        self._reading = reading

    async def now(self) -> list[CodeTotals]:
        """Return today's totals by (asset, code), from the accounts' balances. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return [CodeTotals(*row) for row in await connection.fetch(_NOW)]

    async def at(self, moment: datetime) -> list[CodeTotals]:
        """Return the totals by (asset, code) of a moment that has passed. Raises: Unavailable."""
        totals: dict[tuple[str, str, str], list[int]] = {}
        after: str | None = _NO_ACCOUNT
        async with (
            self._reading.connection() as connection,
            begun(connection, "ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        ):
            while after is not None:
                rows = await connection.fetch(_AT, moment, after, _PAGE)
                for asset, type_, code, *numbers, _ in rows:
                    sums = totals.setdefault((asset, code, type_), [0, 0, 0])
                    sums[:] = map(add, sums, numbers)
                after = max((row[-1] for row in rows), default=None)
        return [CodeTotals(asset, type_, code, *sums) for (asset, code, type_), sums in sorted(totals.items())]
