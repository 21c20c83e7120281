"""Bodies are exactly what they say: texts are bounded and printable, numbers are integers, nothing is unknown."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator as Validator
from pydantic import Field, SecretStr, ValidationError

from libs.common.http.models import (
    AmountMinor,
    AssetCode,
    EmailText,
    IdText,
    MetadataMap,
    NameText,
    ShortText,
    StrictModel,
)
from services.accounts.api.models import MailedTokenText


class Body(StrictModel):
    short: ShortText = "text"
    name: NameText = "Ada"
    email: EmailText = "ada@example.com"
    id: IdText = "01890a5d-ac96-774b-bcce-b302099a8057"
    asset: AssetCode = "USD"
    amount_minor: AmountMinor = 1
    metadata: MetadataMap = Field(default_factory=dict)
    secret: MailedTokenText = SecretStr("token")


def read(raw: str | bytes) -> Body:
    return Body.model_validate_json(raw)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("short", "x" * 140),
        ("short", "Grüße, 世界 🙂"),
        ("name", "x" * 200),
        ("email", f"{'a' * 242}@example.com"),
        ("id", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ("asset", "A23456789012"),
        ("amount_minor", 2**53 - 1),
    ],
)
def test_what_is_within_its_bounds_is_taken_as_it_is(field: str, value: object) -> None:
    assert getattr(read(json.dumps({field: value})), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("short", ""),
        ("short", "x" * 141),
        ("short", "a\x00b"),
        ("short", "a\x1bb"),
        ("short", "a\x7fb"),
        ("short", 1),
        ("name", "   "),
        ("name", "x" * 201),
        ("name", "Ada\nLovelace"),
        ("email", "ada"),
        ("email", "ada@"),
        ("email", "a da@example.com"),
        ("email", "a@b@c"),
        ("email", f"{'a' * 243}@example.com"),
        ("email", "ada\x00@example.com"),
        ("id", "01890A5D-AC96-774B-BCCE-B302099A8057"),
        ("id", "1"),
        ("asset", "usd"),
        ("asset", "US"),
        ("asset", "1USD"),
        ("asset", "USD\n"),
        ("amount_minor", 0),
        ("amount_minor", -1),
        ("amount_minor", 2**53),
        ("amount_minor", 10**30),
        ("amount_minor", 1.0),
        ("amount_minor", 1.5),
        ("amount_minor", "1"),
        ("amount_minor", True),
        ("amount_minor", None),
        ("nobody_knows", 1),
    ],
)
def test_what_is_out_of_bounds_of_another_type_or_unknown_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        read(json.dumps({field: value}))


@pytest.mark.parametrize("raw", [r'{"short": "\ud800"}', b'{"short": "\xed\xa0\x80"}', b'{"short": "\xff"}'])
def test_a_lone_surrogate_or_other_bytes_are_no_text(raw: Any) -> None:
    with pytest.raises(ValidationError):
        read(raw)


@pytest.mark.parametrize("raw", ['{"amount_minor": NaN}', '{"amount_minor": 1e400}', '{"amount_minor": Infinity}'])
def test_what_is_no_number_of_json_is_refused(raw: str) -> None:
    with pytest.raises(ValidationError):
        read(raw)


@pytest.mark.parametrize("part", [{f"m{number}": 1 for number in range(1001)}, {"short": [1] * 1001}])
def test_what_has_more_parts_than_any_body_gets_one_error_and_not_one_for_each(part: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="more than 1000 members or items") as refused:
        Body.model_validate(part)
    assert refused.value.error_count() == 1


def test_white_space_around_names_and_addresses_is_nobodys_wish() -> None:
    assert read('{"name": "  Ada  "}').name == "Ada"
    assert read('{"email": " ada@example.com "}').email == "ada@example.com"


@pytest.mark.parametrize("field", ["short", "name", "email", "asset", "metadata", "secret"])
def test_the_document_says_of_every_character_whether_it_is_taken(field: str) -> None:
    # In ECMA-262, which JSON Schema's patterns are, `$` is the end; in Python it is before a last newline, too.
    schema = Validator(json.loads(json.dumps(Body.model_json_schema()).replace('$"', r'\\Z"')))
    for character in (*map(chr, range(0x100)), "\u1680", "\u2003", "\u2028", "\ufeff", "世", "🙂"):
        for text in (character, f"ab{character}cd", f"a@b{character}", f"abc{character}"):
            for value in [{text: "x"}, {"x": text}] if field == "metadata" else [text]:
                body = {field: value}
                assert schema.is_valid(body) == is_read(body), repr(body)


def is_read(body: dict[str, Any]) -> bool:
    try:
        read(json.dumps(body))
    except ValidationError:
        return False
    return True


def test_a_body_that_was_read_does_not_change() -> None:
    with pytest.raises(ValidationError):
        read("{}").short = "other"  # type: ignore[misc]  # what it refuses at run time
