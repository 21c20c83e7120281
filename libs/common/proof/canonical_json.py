"""The one byte sequence of a JSON value (RFC 8785), without the part of RFC 8785 that formats floats.

Records hold integers, strings, booleans, null, arrays and objects. A float is refused, not rounded.
"""

import json
from typing import Final, TypeAlias

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | bool | None"

INTEGER_LIMIT: Final = 2**53 - 1
"""The largest magnitude that every JSON reader keeps exactly (RFC 8785, appendix D)."""

DEPTH_LIMIT: Final = 64
"""Deeper values are refused: no record nests further, and a hostile one would exhaust the stack."""


class NotCanonical(ValueError):
    """The value or text has no canonical form, or is not written in it."""


def canonical(value: object) -> bytes:
    """Return the canonical UTF-8 text of the value.

    Raises: NotCanonical (a ValueError) for floats, integers beyond ±(2^53-1), keys that are no strings, lone
    surrogates, other types, and nesting beyond DEPTH_LIMIT.
    """
    text = json.dumps(_ordered(value, depth=0), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _utf8(text)


def parse_canonical(text: bytes) -> JsonValue:
    """Return the value of a canonical text, and refuse every other spelling of the same value.

    Raises: NotCanonical.
    """
    try:
        value: JsonValue = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"the text is not JSON: {type(error).__name__}") from error
    if canonical(value) != text:
        raise NotCanonical("the text is JSON, but not its canonical form")
    return value


def _ordered(value: object, *, depth: int) -> JsonValue:
    """Return the value with the keys of every object in canonical order, having checked every part of it."""
    if depth > DEPTH_LIMIT:
        raise NotCanonical(f"nested deeper than {DEPTH_LIMIT}")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if not -INTEGER_LIMIT <= value <= INTEGER_LIMIT:
            raise NotCanonical("an integer is beyond 2^53-1, where JSON readers begin to round")
        return value
    if isinstance(value, list | tuple):
        return [_ordered(item, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _ordered(value[key], depth=depth + 1) for key in sorted(value, key=_code_units)}
    raise NotCanonical(f"a {type(value).__name__} has no canonical form here")


def _code_units(key: object) -> bytes:
    """Return the sort key of an object's key: its UTF-16 code units (RFC 8785, 3.2.3).

    Python orders strings by code point, which differs as soon as one key is beyond the basic plane and
    another lies between U+E000 and U+FFFF.
    """
    if not isinstance(key, str):
        raise NotCanonical(f"a key is a {type(key).__name__}, not a string")
    try:
        return key.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise NotCanonical("a key holds a lone surrogate") from error


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("a string holds a lone surrogate") from error
