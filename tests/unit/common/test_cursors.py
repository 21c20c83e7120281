"""A cursor comes back as it was handed out, for the question it was handed out for, or not at all."""

from contextlib import suppress
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import Unprocessable
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor

QUESTION = {"account": "a", "from": None, "limit": 3}
POSITION_MAX = 2**128 - 1
sides: st.SearchStrategy[Literal["next", "prev"]] = st.sampled_from(("next", "prev"))


@given(sides, st.integers(0, POSITION_MAX))
def test_a_cursor_comes_back_as_it_was(side: Literal["next", "prev"], position: int) -> None:
    cursor = Cursor(side, position)
    text = encode_cursor(cursor, QUESTION)
    assert len(text) == CURSOR_CHARACTERS
    assert decode_cursor(text, QUESTION, position_max=POSITION_MAX) == cursor


@given(st.integers(0, CURSOR_CHARACTERS - 1), st.characters())
def test_a_cursor_of_which_one_character_was_changed_is_another_or_none(at: int, character: str) -> None:
    text = encode_cursor(Cursor("next", 7), QUESTION)
    changed = text[:at] + character + text[at + 1 :]
    if changed != text:
        # A position can be changed to another one: that grants nothing.
        with suppress(Unprocessable):
            assert decode_cursor(changed, QUESTION, position_max=POSITION_MAX) != Cursor("next", 7)


@pytest.mark.parametrize("text", ["", "x", "=" * 32, "A" * 31, "A" * 32, "A" * 33, "é" * 32, "\x00" * 32])
def test_what_was_never_handed_out_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable, match="cursor_invalid"):
        decode_cursor(text, QUESTION, position_max=POSITION_MAX)


def test_a_cursor_belongs_to_its_question() -> None:
    text = encode_cursor(Cursor("next", 7), QUESTION)
    assert decode_cursor(text, {"limit": 3, "account": "a"}, position_max=7) == Cursor("next", 7)
    for other in ({**QUESTION, "account": "b"}, {**QUESTION, "from": "x"}, {}):
        with pytest.raises(Unprocessable, match="cursor_invalid"):
            decode_cursor(text, other, position_max=7)
    with pytest.raises(Unprocessable, match="cursor_invalid"):
        decode_cursor(text, QUESTION, position_max=6)


@pytest.mark.parametrize("tail", ["\n", " ", "=", "===="])
def test_a_cursor_has_no_second_spelling(tail: str) -> None:
    with pytest.raises(Unprocessable, match="cursor_invalid"):
        decode_cursor(encode_cursor(Cursor("prev", 7), QUESTION) + tail, QUESTION, position_max=POSITION_MAX)
