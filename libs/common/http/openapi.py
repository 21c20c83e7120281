"""How refusals stand in OpenAPI: problem documents with the codes a route may answer with."""

from typing import Any, Final

CODES_MEMBER: Final = "x-codes"
"""The codes of a response for programs; people read them in its description."""

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "detail"],
                "properties": {
                    "in": {"type": "string", "enum": ["body", "query", "path", "header", "cookie"]},
                    "pointer": {"type": "string", "format": "json-pointer"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}


def refusals(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that refuses with these codes, besides those that every route has.

    Said for all of 4XX at once: FastAPI would otherwise promise its own form of a 422, which is never sent.
    """
    named = (
        f" Its `code` is one of {', '.join(f'`{code}`' for code in codes)}, or one that every route has."
        if codes
        else ""
    )
    return {
        "4XX": {
            "description": f"A problem document (RFC 9457).{named}",
            "content": {"application/problem+json": {"schema": _PROBLEM}},
            CODES_MEMBER: list(codes),
        }
    }
