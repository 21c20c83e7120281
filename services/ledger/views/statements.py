"""Statements: what an account had when a period began, each entry of it, and what it had at its end."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from services.ledger.views.accounts import AccountState, AccountView, EntryState

_TICK: Final = timedelta(microseconds=1)
"""PostgreSQL keeps times to the microsecond: the last moment before another is one less."""


class Period(NamedTuple):
    """The entries of a period by number: after `opening_seq`, up to and with `closing_seq`."""

    opening_seq: int
    closing_seq: int
    opening_balance_minor: int
    closing_balance_minor: int


class StatementView:
    """Reads statements, a page at a time."""

    def __init__(self, accounts: AccountView) -> None:
        """Take the view that reads single accounts."""
        self._accounts = accounts

    async def period(
        self, account: AccountState, begins_at: datetime | None, ends_before: datetime | None, closing_seq: int | None
    ) -> Period:
        """Find a period's ends; without a moment it has all there is. Raises: Unavailable.

        `closing_seq` is where an earlier page of the same statement found its end: what was posted since moves it not.
        """
        opening_seq = opening_minor = 0
        if begins_at is not None:
            opening_seq, opening_minor, *_ = await self._accounts.balance_at(account.account_id, begins_at - _TICK)
        if closing_seq is not None:
            end = await self._at_seq(account.account_id, min(closing_seq, account.last_seq))
        elif ends_before is not None:
            end = (await self._accounts.balance_at(account.account_id, ends_before - _TICK))[:2]
        else:
            end = (account.last_seq, account.posted_minor)
        closing_seq, closing_minor = end
        if closing_seq <= opening_seq:
            # Nothing was posted in the period, or it ends before it begins.
            return Period(opening_seq, opening_seq, opening_minor, opening_minor)
        return Period(opening_seq, closing_seq, opening_minor, closing_minor)

    async def page(
        self, account_id: str, period: Period, *, beyond_seq: int | None, backwards: bool, limit: int
    ) -> list[EntryState]:
        """Return a page of the period in order of time: what follows `beyond_seq`, or what stands right before it.

        Raises: Unavailable.
        """
        after_seq, before_seq = period.opening_seq, period.closing_seq + 1
        if beyond_seq is not None and backwards:
            before_seq = min(before_seq, beyond_seq)
        elif beyond_seq is not None:
            after_seq = max(after_seq, beyond_seq)
        entries = await self._accounts.entries(
            account_id, after_seq=after_seq, before_seq=before_seq, limit=limit, oldest_first=not backwards
        )
        return entries[::-1] if backwards else entries

    async def _at_seq(self, account_id: str, seq: int) -> tuple[int, int]:
        entries = await self._accounts.entries(
            account_id, after_seq=seq - 1, before_seq=seq + 1, limit=1, oldest_first=True
        )
        return (seq, entries[0].balance_after_minor) if entries else (0, 0)
