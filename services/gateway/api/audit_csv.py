"""The audit log as CSV (RFC 4180), page after page as it is read. A client chooses what it calls itself."""

import csv
import io
from collections.abc import AsyncGenerator, Iterable
from typing import Final

from libs.common.contracts.audit import AuditEntry
from libs.common.http.cursors import Cursor
from services.gateway.api.csv_cells import defused
from services.gateway.views.audit_entries import AuditEntriesView, AuditQuery

LINES_MAX: Final = 100_000
_PAGE: Final = 500
_COLUMNS: Final = AuditEntry.__struct_fields__


async def audit_csv(view: AuditEntriesView, asked: AuditQuery) -> AsyncGenerator[str]:
    """Yield the header and then pages, newest entry first, 100,000 lines at most. Raises: Unavailable."""
    yield _lines([_COLUMNS])
    start, left = None, LINES_MAX
    while left > 0:
        page = await view.page(asked, start, limit=min(_PAGE, left))
        if page.entries:
            yield _lines([defused(getattr(entry, name)) for name in _COLUMNS] for entry in page.entries)
        if page.older_than is None:
            return
        left -= len(page.entries)
        start = Cursor("next", page.older_than)


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
