"""The one middleware: request id, security headers, body limit, metrics, and the last catch.

A plain ASGI callable, because Starlette's BaseHTTPMiddleware costs 0.2 ms a request.
"""

from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.clock import monotonic_seconds
from libs.common.errors import TooLarge
from libs.common.http.problems import error_response, problem_response
from libs.common.ids import is_id, new_id
from libs.common.telemetry.metrics import HTTP_REQUEST_SECONDS

log = structlog.get_logger()

MAX_BODY_BYTES: Final = 1024 * 1024

# The API serves no pages: nothing may be framed, run or sniffed (OWASP secure headers; RFC 6797 for HSTS).
_SECURITY_HEADERS: Final = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_UNMATCHED: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

_children: dict[tuple[str, str, int], object] = {}


class Edge:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap it."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other ASGI events pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = monotonic_seconds()
        length, chunked, request_id = _read_headers(scope)
        scope["request_id"] = request_id
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    *_SECURITY_HEADERS,
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            if length > MAX_BODY_BYTES:
                await error_response(_too_large(), request_id)(scope, receive, send_marked)
            else:
                await self._app(scope, _bounded(receive) if chunked else receive, send_marked)
        except TooLarge as error:
            await error_response(error, request_id)(scope, receive, send_marked)
        except Exception:
            # The last catch: whatever escaped is our fault, the caller gets no insides, the log gets all of it.
            log.exception("request_failed", request_id=request_id, path=_route_of(scope))
            if status:
                raise
            response = problem_response(500, "internal_error", "Our fault; try again later.", request_id=request_id)
            await response(scope, receive, send_marked)
        finally:
            _observe(scope, status, monotonic_seconds() - began)


def _read_headers(scope: Scope) -> tuple[int, bool, str]:
    """Return (content length, whether the length is unknown, request id: the caller's if it is a UUID, else ours)."""
    length = 0
    chunked = False
    request_id = ""
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else MAX_BODY_BYTES + 1
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"x-request-id":
            text = value.decode("latin-1")
            request_id = text if is_id(text) else ""
    return length, chunked, request_id or new_id()


def _bounded(receive: Receive) -> Receive:
    """Count a body of unknown length as it comes. Raises: TooLarge."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return counting


def _too_large() -> TooLarge:
    return TooLarge("body_too_large", f"The body may have {MAX_BODY_BYTES} bytes; send less, or in several requests.")


def _route_of(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", None) or scope.get("route_template", _UNMATCHED)


def _observe(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    key = (method, _route_of(scope), status)
    child = _children.get(key)
    if child is None:
        child = _children[key] = HTTP_REQUEST_SECONDS.labels(*key)
    child.observe(seconds)  # type: ignore[attr-defined]
