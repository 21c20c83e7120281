"""A statement as CSV is RFC 4180 and holds no cell that a spreadsheet would compute."""

import csv
import io

from services.ledger.api.statement_csv import COLUMNS, statement_csv
from services.ledger.views.accounts import AccountState, EntryState
from services.ledger.views.statements import Period

ACCOUNT = AccountState(
    "0198c0de-0000-7000-8000-000000000001", "TS1", "USD", "active", -2, 0, 30, 40, 2, 2, None, -40, 2**53 - 1
)
ENTRIES = [
    EntryState(1, "0198c0de-0000-7000-8000-00000000000a", 5, 5, "2026-03-01T09:30:00.000000Z", 3),
    EntryState(2, "0198c0de-0000-7000-8000-00000000000b", -7, -2, "2026-03-01T09:31:00.000000Z", 8),
]
TEXT = statement_csv(ACCOUNT, Period(0, 2, 0, -2), ENTRIES)


def test_it_reads_from_the_opening_to_the_closing_balance() -> None:
    assert TEXT == (
        "line,seq,posted_at,transfer_id,journal_index,asset,amount_minor,balance_minor\r\n"
        "opening,0,,,,USD,,0\r\n"
        "entry,1,2026-03-01T09:30:00.000000Z,0198c0de-0000-7000-8000-00000000000a,3,USD,5,5\r\n"
        "entry,2,2026-03-01T09:31:00.000000Z,0198c0de-0000-7000-8000-00000000000b,8,USD,-7,-2\r\n"
        "closing,2,,,,USD,,-2\r\n"
        "held,,,,,USD,,40\r\n"
        "pending_out,,,,,USD,,30\r\n"
    )


def test_a_cell_that_begins_like_a_formula_is_a_number() -> None:
    rows = list(csv.reader(io.StringIO(TEXT, newline="")))
    assert {len(row) for row in rows} == {len(COLUMNS)}
    suspicious = [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [int(cell) for cell in suspicious] == [-7, -2, -2]
