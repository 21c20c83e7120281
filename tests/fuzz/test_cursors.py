"""Whatever comes back as a cursor: the one that was handed out for this question, to the character, or refused."""

from typing import Final
from uuid import UUID

from libs.common.errors import Unprocessable
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.id_pages import next_of, place_of
from tests.fuzz.fuzzing import damaged_text, fuzz

QUESTION: Final = {"account": "a", "from": None, "limit": 3}
POSITION_MAX: Final = 2**127
GOOD: Final = [
    encode_cursor(Cursor(side, position), question)
    for side in ("next", "prev")
    for position in (0, 7, POSITION_MAX, 2**128 - 1)
    for question in (QUESTION, {})
]


@fuzz(text=damaged_text(GOOD))
def test_a_cursor_is_what_encodes_back_to_the_same_text_or_refused(text: str) -> None:
    try:
        cursor = decode_cursor(text, QUESTION, position_max=POSITION_MAX)
    except Unprocessable as refused:
        assert refused.code == "cursor_invalid"
        return
    assert 0 <= cursor.position <= POSITION_MAX
    assert encode_cursor(cursor, QUESTION) == text
    assert len(text) == CURSOR_CHARACTERS


@fuzz(text=damaged_text([next_of(QUESTION, "01890a5d-ac96-774b-bcce-b302099a0001"), *GOOD]))
def test_the_place_of_a_page_is_an_id_or_refused(text: str) -> None:
    try:
        place = place_of(text, QUESTION)
    except Unprocessable as refused:
        assert refused.code == "cursor_invalid"
        return
    assert place == str(UUID(place))
