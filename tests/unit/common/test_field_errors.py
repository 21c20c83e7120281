"""What is wrong with a field is pointed at, whoever found it."""

from typing import Annotated

import msgspec
import pytest

from libs.common.field_errors import body_error_of, field_error, pointer_of


class Leg(msgspec.Struct, forbid_unknown_fields=True):
    amount_minor: Annotated[int, msgspec.Meta(ge=1)]


class Transfer(msgspec.Struct, forbid_unknown_fields=True):
    legs: list[Leg]
    metadata: dict[Annotated[str, msgspec.Meta(max_length=3)], Annotated[str, msgspec.Meta(max_length=3)]] | None = None


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b"[]", "", "Expected `object`, got `array`"),
        (b"{}", "/legs", "Object missing required field `legs`"),
        (b'{"legs": [], "odd/one~": 1}', "/odd~1one~0", "Object contains unknown field `odd/one~`"),
        (b'{"legs": [{"amount_minor": 1}, {"amount_minor": 0}]}', "/legs/1/amount_minor", "Expected `int` >= 1"),
        (b'{"legs": [{}]}', "/legs/0/amount_minor", "Object missing required field `amount_minor`"),
        (b'{"legs": [{"amount_minor": 1, "x": 2}]}', "/legs/0/x", "Object contains unknown field `x`"),
        (b'{"legs": [], "metadata": {"a": "long"}}', "/metadata", "Expected `str` of length <= 3"),
        (b'{"legs": [], "metadata": {"long": "a"}}', "/metadata", "Expected `str` of length <= 3"),
    ],
)
def test_what_is_wrong_in_a_body_is_pointed_at(body: bytes, pointer: str, detail: str) -> None:
    with pytest.raises(msgspec.ValidationError) as failure:
        msgspec.json.decode(body, type=Transfer)
    assert body_error_of(str(failure.value)) == {"in": "body", "pointer": pointer, "detail": detail}


def test_a_pointer_is_escaped_as_the_standard_says() -> None:
    assert pointer_of([]) == ""
    assert pointer_of(["a/b", "m~n", 0, ""]) == "/a~1b/m~0n/0/"


def test_of_a_long_name_only_the_beginning_is_repeated() -> None:
    found = field_error("query", ["x" * 1000], "y" * 1000)
    assert len(found["pointer"]) == len(found["detail"]) == 101
