"""What is wrong with single fields of a request, as a problem document's `errors`: JSON pointers and sentences."""

import re
from collections.abc import Iterable
from typing import Final, Literal, TypedDict

FIELD_ERRORS_MAX: Final = 20
_SHOWN_CHARACTERS_MAX: Final = 100

# What msgspec says of a value (msgspec.ValidationError), and how it writes the path to it.
_WITH_PATH: Final = re.compile(r"(?P<what>.*) - at `(?:key` in `)?\$(?P<path>[^`]*)`", re.DOTALL)
_OF_MEMBER: Final = re.compile(r"Object (?:missing required|contains unknown) field `(?P<member>.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")

Place = Literal["body", "query", "path", "header", "cookie"]
FieldError = TypedDict("FieldError", {"in": str, "pointer": str, "detail": str})


def field_error(place: str, path: Iterable[str | int], detail: str) -> FieldError:
    """Return one of `errors`; what may repeat a name of the caller's is bounded, however long that is."""
    return {"in": place, "pointer": _in_short(pointer_of(path)), "detail": _in_short(detail)}


def pointer_of(path: Iterable[str | int]) -> str:
    """Return the JSON pointer of a path (RFC 6901, 3); that of the whole is empty."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def body_error_of(message: str) -> FieldError:
    """Return what msgspec says of a body's value as a field error.

    A value of a free mapping is pointed at as far as its mapping: msgspec does not say under which key.
    """
    found = _WITH_PATH.fullmatch(message)
    what, steps = (found["what"], _STEP.finditer(found["path"])) if found else (message, iter(()))
    path: list[str | int] = []
    for step in steps:
        if step["any"]:
            break
        path.append(step["name"] or int(step["index"]))
    member = _OF_MEMBER.fullmatch(what)
    return field_error("body", [*path, member["member"]] if member else path, what)


def _in_short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…"
