"""A statement as CSV (RFC 4180): one header, lines of equal length, CRLF.

A spreadsheet takes a cell that begins with = + - or @ for a formula. No cell here can be one: a cell is a word of ours,
an integer (of which -5 is the number), a UUID, a time that begins with its year, or an asset's code. What customers
write stands in no statement; a column of it would have to be defused first.
"""

import csv
import io
from collections.abc import Iterable
from typing import Final

from services.ledger.views.accounts import AccountState, EntryState
from services.ledger.views.statements import Period

COLUMNS: Final = (
    "line",
    "seq",
    "posted_at",
    "transfer_id",
    "journal_index",
    "asset",
    "amount_minor",
    "balance_minor",
)


def statement_csv(account: AccountState, period: Period, entries: Iterable[EntryState]) -> str:
    """Return a page. `line` says what a line is: opening, entry, closing, and what is pending now: held, pending_out.

    Amounts and balances are integers in the asset's minor unit.
    """
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)

    def total(name: str, seq: int | None, balance_minor: int) -> None:
        lines.writerow((name, seq, None, None, None, account.asset, None, balance_minor))

    total("opening", period.opening_seq, period.opening_balance_minor)
    lines.writerows(
        (
            "entry",
            entry.seq,
            entry.posted_at,
            entry.transfer_id,
            entry.journal_index,
            account.asset,
            entry.amount_minor,
            entry.balance_after_minor,
        )
        for entry in entries
    )
    total("closing", period.closing_seq, period.closing_balance_minor)
    total("held", None, account.held_minor)
    total("pending_out", None, account.pending_out_minor)
    return text.getvalue()
