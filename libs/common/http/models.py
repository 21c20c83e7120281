"""Request bodies: strict types, no unknown fields, every text bounded.

Each pattern here stands in the OpenAPI document and is what the validation does, so that whoever keeps to the document
is understood. Patterns mean the same to Python, to ECMA-262 and to Rust.
"""

import re
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from libs.common.ids import is_id

_EMAIL_CHARACTERS_MAX: Final = 254  # RFC 5321, 4.5.3.1.3, less the brackets
_PARTS_MAX: Final = 1000
"""More members or items than any body has."""


class StrictModel(BaseModel):
    """A body whose every field is exactly what it says: no coercion, nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _of_few_parts(cls, body: object) -> object:
        """Refuse at once what has more parts than it may: an error for each of 300,000 takes five seconds."""
        if isinstance(body, dict) and any(_has_too_many_parts(part) for part in (body, *body.values())):
            message = f"has more than {_PARTS_MAX} members or items"
            raise ValueError(message)
        return body


def _has_too_many_parts(part: object) -> bool:
    return isinstance(part, (dict, list)) and len(part) > _PARTS_MAX


PRINTABLE_SCHEMA: Final = {"pattern": r"^[^\x00-\x1f\x7f]*$"}
"""For OpenAPI: what `is_printable` takes."""
# Python's idea of space among what is printable; with it, text would be empty once stripped.
_SPACES: Final = r" \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_NAME_PATTERN: Final = rf"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f{_SPACES}][^\x00-\x1f\x7f]*$"
_EMAIL_PATTERN: Final = rf"^ *[^@\x00-\x1f\x7f{_SPACES}]+@[^@\x00-\x1f\x7f{_SPACES}]+ *$"
_find_control: Final = re.compile(r"[\x00-\x1f\x7f]").search


def is_printable(text: str) -> bool:
    """Tell whether there is no control character; lone surrogates are refused before this, since they are no text."""
    return _find_control(text) is None


def _printable(text: str) -> str:
    if not is_printable(text):
        message = "must not contain control characters"
        raise ValueError(message)
    return text


def _whole(number: Any) -> Any:
    """Return a whole number however it is written: to JSON Schema, as to JavaScript, 320.0 is an integer."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _canonical_id(text: str) -> str:
    if not is_id(text):
        message = "must be a lower-case UUID with hyphens"
        raise ValueError(message)
    return text


Printable = AfterValidator(_printable)
ShortText = Annotated[
    str, StringConstraints(min_length=1, max_length=140), Printable, Field(json_schema_extra=PRINTABLE_SCHEMA)
]
NameText = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=_NAME_PATTERN), AfterValidator(str.strip)
]
EmailText = Annotated[
    str,
    StringConstraints(min_length=3, max_length=_EMAIL_CHARACTERS_MAX, pattern=_EMAIL_PATTERN),
    AfterValidator(str.strip),
]
WholeNumber = BeforeValidator(_whole)
"""For integers that are no money: `Annotated[int, Field(ge=0), WholeNumber]`. An amount with a fraction is refused."""
ID_SCHEMA: Final = {"format": "uuid", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
"""For OpenAPI: what `is_id` takes."""
IdText = Annotated[
    str,
    StringConstraints(min_length=36, max_length=36),
    AfterValidator(_canonical_id),
    Field(json_schema_extra=ID_SCHEMA),
]
_METADATA_SCHEMA: Final = {
    "additionalProperties": {"type": "string", "maxLength": 200, **PRINTABLE_SCHEMA},
    "propertyNames": {"minLength": 1, "maxLength": 40, **PRINTABLE_SCHEMA},
}
MetadataMap = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=40), Printable],
        Annotated[str, StringConstraints(max_length=200), Printable],
    ],
    Field(
        max_length=20,
        description="Up to 20 pairs of your own words: keys of 1 to 40 characters, values up to 200.",
        json_schema_extra=_METADATA_SCHEMA,
    ),
]
AssetCode = Annotated[str, StringConstraints(min_length=3, max_length=12, pattern=r"^[A-Z][A-Z0-9]*$")]
AmountMinor = Annotated[int, Field(gt=0, le=2**53 - 1)]
