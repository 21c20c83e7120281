"""Pages of lists whose place is an id: the parameters of such a route, and its cursors."""

from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query

from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor

PAGE: Final = 50
_PAGE_MAX: Final = 100
_ID_MAX: Final = 2**128 - 1

PageSize = Annotated[int, Query(ge=1, le=_PAGE_MAX, description="entries in one answer")]
PageCursor = Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of another page")]


def place_of(cursor: str | None, question: Mapping[str, object]) -> str | None:
    """Return the id behind which a page begins. Raises: Unprocessable `cursor_invalid`."""
    start = None if cursor is None else decode_cursor(cursor, question, position_max=_ID_MAX)
    return str(UUID(int=start.position)) if start else None


def next_of(question: Mapping[str, object], last_id: str) -> str:
    """Return the cursor of the page behind this id."""
    return encode_cursor(Cursor("next", UUID(last_id).int), question)
