"""A dead letter's headers are JSON that people can read, and come back byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.messaging.stored_headers import original_headers, stored_headers

HEADERS = st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.binary()))


@given(HEADERS)
def test_what_is_stored_as_json_comes_back_as_it_was(headers: list[tuple[str, bytes | None]]) -> None:
    text = json.dumps(stored_headers(headers))
    assert original_headers(json.loads(text)) == headers
    assert "\\u0000" not in text  # jsonb cannot hold it


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (b"plain text", "plain text"),
        ("Grüße".encode(), "Grüße"),
        (b"", ""),
        (None, None),
        (b"\xff", {"base64": "/w=="}),
        (b"a\x00", {"base64": "YQA="}),
    ],
)
def test_text_stays_text_and_a_null_stays_a_null(value: bytes | None, stored: object) -> None:
    assert stored_headers([("name", value)]) == [("name", stored)]
