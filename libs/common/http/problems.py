"""Errors as problem documents (RFC 9457): one shape, stable codes, facts as members, nothing of our insides."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from libs.common.errors import Conflict, InvariantBroken, TallystickError, TooManyRequests, Unavailable

_encode = msgspec.json.Encoder().encode
_PROBLEM_TYPE: Final = "application/problem+json"
_RETRY_AFTER_SECONDS: Final = 1

TITLES: Final[Mapping[int, str]] = {
    400: "The request cannot be read",
    401: "Credentials are missing or not valid",
    403: "Not allowed",
    404: "Not found",
    405: "The method is not offered here",
    408: "The request took too long to arrive",
    409: "Conflict with what is stored",
    413: "The request is too large",
    414: "The URL is too long",
    415: "The content type is not accepted",
    422: "The request cannot be carried out",
    429: "Too many requests",
    431: "The headers are too large",
    500: "Our fault",
    502: "A service behind this one failed",
    503: "Not available now",
}


def problem_document(
    status: int, code: str, detail: str, *, request_id: str = "", facts: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Return a problem document; `facts` become members of their own and never replace the standard ones.

    Its `type` is the path at which the gateway explains the code (RFC 9457, 3.1.1).
    """
    document: dict[str, Any] = {**(facts or {})}
    document.update(
        type=f"/errors/{code}",
        title=TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        code=code,
    )
    if request_id:
        document["instance"] = f"urn:tallystick:request:{request_id}"
    return document


def problem_body(
    status: int, code: str, detail: str, *, request_id: str = "", facts: Mapping[str, object] | None = None
) -> bytes:
    """Encode a problem document."""
    return _encode(problem_document(status, code, detail, request_id=request_id, facts=facts))


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str = "",
    facts: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with a problem document."""
    return Response(
        problem_body(status, code, detail, request_id=request_id, facts=facts),
        status_code=status,
        headers=dict(headers or {}),
        media_type=_PROBLEM_TYPE,
    )


def error_response(error: TallystickError, request_id: str = "") -> Response:
    """Answer with an error of our tree; a broken promise of ours says only that it is our fault."""
    headers: dict[str, str] = {}
    match error:
        case InvariantBroken():
            return problem_response(
                500, error.code, "Nothing was changed by this request; we have been told.", request_id=request_id
            )
        case Unavailable():
            headers["Retry-After"] = str(error.facts.get("retry_after_seconds", _RETRY_AFTER_SECONDS))
        case Conflict() if "retry_after_seconds" in error.facts:
            headers["Retry-After"] = str(error.facts["retry_after_seconds"])
        case TooManyRequests():
            headers["Retry-After"] = str(error.facts["retry_after_seconds"])
            headers |= {name.decode(): value.decode() for name, value in error.headers}
        case _ if error.http_status == 401:  # noqa: PLR2004 -- RFC 9110, 11.6.1 asks for the challenge
            headers["WWW-Authenticate"] = "Bearer"
    return problem_response(
        error.http_status, error.code, error.detail, request_id=request_id, facts=error.facts, headers=headers
    )
