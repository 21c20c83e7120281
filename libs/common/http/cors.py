"""Which pages of other origins may call the API from a browser (Fetch, 3.2): those of a list, and by default none."""

import re
from collections.abc import Collection
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from libs.common.http.edge import SECURITY_HEADERS
from libs.common.http.problems import problem_response
from libs.common.ids import new_id

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SENT: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Prefer",
    "Tallystick-Device",
    "X-Request-Id",
)
_SHOWN: Final = (
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
)
_KEPT_SECONDS: Final = 600
_OK: Final = 200
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?|https?://\[[0-9a-f:]+\](?::\d{1,5})?")


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _require_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Let origins pass as browsers send them (RFC 6454, 6.2): no path, no capital, and no `*`."""
    wrong = [origin for origin in origins if not _ORIGIN.fullmatch(origin)]
    if wrong:
        message = f"not an origin such as https://shop.example: {', '.join(wrong)}"
        raise ValueError(message)
    return origins


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_require_origins)]
"""A setting: origins separated by commas."""


class CrossOrigin(CORSMiddleware):
    """Starlette's own, around the whole application; what it refuses is a problem document as everything is.

    Cookies and the like stay out: who calls shows a token.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        """Let pages of these origins call the application."""
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_SENT,
            allow_credentials=False,
            expose_headers=_SHOWN,
            max_age=_KEPT_SECONDS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks before it sends."""
        answer = super().preflight_response(request_headers)
        request_id = new_id()
        if answer.status_code != _OK:
            allowed = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
            answer = problem_response(
                answer.status_code,
                "cross_origin_refused",
                "Pages of this origin may not send such a request.",
                request_id=request_id,
                headers=allowed,
            )
        for name, value in (*SECURITY_HEADERS, (b"x-request-id", request_id.encode())):
            answer.headers[name.decode()] = value.decode()
        return answer
