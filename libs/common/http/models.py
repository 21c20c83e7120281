"""Request bodies: strict types, no unknown fields, every text bounded."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from libs.common.ids import is_id

_EMAIL_CHARACTERS_MAX: Final = 254  # RFC 5321, 4.5.3.1.3, less the brackets


class StrictModel(BaseModel):
    """A body whose every field is exactly what it says: no coercion, nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _printable(text: str) -> str:
    """Refuse control characters; lone surrogates are refused before this, since they are no text at all."""
    if any(character < " " or character == "\x7f" for character in text):
        message = "must not contain control characters"
        raise ValueError(message)
    return text


def _canonical_id(text: str) -> str:
    if not is_id(text):
        message = "must be a lower-case UUID with hyphens"
        raise ValueError(message)
    return text


ShortText = Annotated[str, StringConstraints(min_length=1, max_length=140), AfterValidator(_printable)]
NameText = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_printable)
]
EmailText = Annotated[
    str,
    StringConstraints(
        min_length=3, max_length=_EMAIL_CHARACTERS_MAX, strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$"
    ),
    AfterValidator(_printable),
]
ID_SCHEMA: Final = {"format": "uuid", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
"""For OpenAPI: what `is_id` takes."""
IdText = Annotated[
    str,
    StringConstraints(min_length=36, max_length=36),
    AfterValidator(_canonical_id),
    Field(json_schema_extra=ID_SCHEMA),
]
MetadataMap = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_printable)],
        Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)],
    ],
    Field(max_length=20, description="Up to 20 pairs of your own words: keys of 1 to 40 characters, values up to 200."),
]
AssetCode = Annotated[str, StringConstraints(min_length=3, max_length=12, pattern=r"^[A-Z][A-Z0-9]*$")]
AmountMinor = Annotated[int, Field(gt=0, le=2**53 - 1)]
