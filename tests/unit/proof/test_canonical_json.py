"""RFC 8785, restricted to values without floats."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.proof.canonical_json import INTEGER_LIMIT, JsonValue, NotCanonical, canonical, parse_canonical

STRINGS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_LIMIT, INTEGER_LIMIT) | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=20,
)


def test_the_key_order_example_of_the_rfc() -> None:
    # RFC 8785, 3.2.3: the emoji is a surrogate pair and so comes before U+FB33.
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    ordered = list(json.loads(canonical(value)).values())
    assert ordered == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_escape_what_the_rfc_escapes_and_nothing_else() -> None:
    # RFC 8785, 3.2.2.2.
    assert canonical('\u20ac$\x0f\nA\'B"\\\\"/\x7f') == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'.encode()
    assert canonical("\b\t\n\f\r\x00\x1f") == rb'"\b\t\n\f\r\u0000\u001f"'


def test_nested_values_have_no_space_and_ordered_keys() -> None:
    assert canonical({"b": [True, None, {"z": 1, "a": -2}], "a": ""}) == b'{"a":"","b":[true,null,{"a":-2,"z":1}]}'


@given(VALUES)
def test_every_value_survives_its_canonical_text(value: JsonValue) -> None:
    assert parse_canonical(canonical(value)) == value


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), 2**53, -(2**53), {1: "a"}, {"a": {2.5: 1}}, "\ud800", {"\udfff": 1}, b"a", {1, 2}],
)
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical({"value": value})


def test_a_value_nested_too_deeply_is_refused() -> None:
    with pytest.raises(NotCanonical):
        canonical(json.loads("[" * 66 + "]" * 66))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a":1} ',
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-0}',
        b'{"a":NaN}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"9" * 5_000 + b"}",
        rb'{"a":"\u0041"}',
        rb'{"a":"\/"}',
        rb'{"a":"\ud800"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b"[" * 100_000,
        b"[" * 66 + b"]" * 66,
    ],
)
def test_every_other_spelling_is_refused(text: bytes) -> None:
    with pytest.raises(NotCanonical):
        parse_canonical(text)
