"""How refusals and permissions stand in OpenAPI: problem documents with the codes of a route, and who may call it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.routing import BaseRoute

from libs.common.http.gate import action_of
from libs.common.http.permissions import PERMISSIONS

CODES_MEMBER: Final = "x-codes"
"""The codes of a response for programs; people read them in its description."""
ACTION_MEMBER: Final = "x-action"
"""The operation's action in the permission matrix."""
PROBLEM_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "The path of the page that explains the code: `/errors/{code}`.",
        },
        "title": {"type": "string", "description": "What the status means, in a few words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong this time, in a sentence for people."},
        "code": {"type": "string", "description": "The stable name of the reason: decide by it."},
        "instance": {
            "type": "string",
            "format": "uri-reference",
            "description": "The request, or the transfer if the problem is what became of one.",
        },
        "errors": {
            "type": "array",
            "description": "The fields that are wrong.",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "detail"],
                "properties": {
                    "in": {
                        "type": "string",
                        "enum": ["body", "query", "path", "header", "cookie"],
                        "description": "Which part of the request.",
                    },
                    "pointer": {
                        "type": "string",
                        "format": "json-pointer",
                        "description": "Which field of it (RFC 6901).",
                    },
                    "detail": {"type": "string", "description": "What is wrong with it."},
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
    return {"4XX": problem_of("A problem document (RFC 9457).", *codes)}


def problem_of(description: str, *codes: str) -> dict[str, Any]:
    """Return the response that is a problem document with one of these codes, or one that every route has."""
    named = (
        f" Its `code` is one of {', '.join(f'`{code}`' for code in codes)}, or one that every route has."
        if codes
        else ""
    )
    return {
        "description": f"{description}{named}",
        "content": {"application/problem+json": {"schema": PROBLEM_REFERENCE}},
        CODES_MEMBER: list(codes),
    }


def name_actions(document: Mapping[str, Any], routes: Iterable[BaseRoute]) -> None:
    """Write into each operation of the document which action of the permission matrix it is."""
    for route in routes:
        action = action_of(route)
        operations = document["paths"].get(getattr(route, "path", None), {})
        for method in getattr(route, "methods", None) or ():
            if action is not None and method.lower() in operations:
                operations[method.lower()][ACTION_MEMBER] = action


def secure(operation: dict[str, Any]) -> None:
    """Say who may call an operation, as the permission matrix has it for its action; what names none is public."""
    permission = PERMISSIONS.get(operation.get(ACTION_MEMBER, ""))
    if permission is None or permission.public:
        operation["security"] = []
        return
    operation["security"] = [{"bearer": [permission.scope] if permission.scope else []}]
    who = [*sorted(permission.roles), *([permission.related] if permission.related else [])]
    scope = f" An API key needs the scope `{permission.scope}`." if permission.scope else " No API key may."
    description = operation.get("description", "").rstrip()
    operation["description"] = f"{description}\n\n**Who may:** {', '.join(who)}.{scope}".lstrip()
