"""The one middleware: request id, security headers, body limit, unknown queries, metrics, and the last catch.

A plain ASGI callable, because Starlette's BaseHTTPMiddleware costs 0.2 ms a request.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

import structlog
from prometheus_client import Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.audit.asker import Asker, bounded_user_agent
from libs.common.clock import monotonic_seconds
from libs.common.errors import NotFound, TallystickError, TooLarge, TooManyRequests, Unavailable, Unprocessable
from libs.common.http.audited import Audited, note_hot_refusal
from libs.common.http.body_reading import BodyReading, too_large
from libs.common.http.client_address import TrustedProxies
from libs.common.http.gate import GuardedEndpoint
from libs.common.http.hot import HotAnswer, HotRequest, error_answer
from libs.common.http.json_bodies import has_json, in_utf8
from libs.common.http.known_query import KnownQueries
from libs.common.http.large_bodies import MAX_BODY_BYTES
from libs.common.http.problems import error_response, problem_body, problem_response
from libs.common.ids import is_id, new_id
from libs.common.telemetry.metrics import HTTP_REQUEST_SECONDS
from libs.common.telemetry.traces import read_traceparent

log = structlog.get_logger()

# What the API serves may not be framed, run, sniffed or embedded (OWASP secure headers; RFC 6797 for HSTS).
# An answer that is a page says itself what it needs.
SECURITY_HEADERS: Final = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_SERVER_FAULT: Final = 500
_UNMATCHED: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

_LENGTH_DIGITS_MAX: Final = 16
NO_LENGTH: Final = 10**_LENGTH_DIGITS_MAX
"""Stands for a length that is none: more than anything."""
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Admission = Callable[[Scope], Awaitable[None]]
"""Lets a request in, or raises TooManyRequests or Unavailable; may put headers of the answer in `answer_headers`.

In `count_refusal` it may put what is awaited when the application refuses the request, and raises the same.
"""

_children: dict[tuple[str, str, int], Histogram] = {}


class Edge:
    """Wraps the whole application."""

    def __init__(
        self,
        app: ASGIApp | Audited,
        hot: Mapping[str, GuardedEndpoint],
        readable: Collection[str],
        queries: KnownQueries,
        proxies: TrustedProxies | None = None,
        admission: Admission | None = None,
        body_bounds: Mapping[str, int] | None = None,
    ) -> None:
        """Wrap it; `hot` maps exact paths to the endpoints that answer POST there.

        At the paths in `readable` the application itself answers GET. `admission` is asked about whatever the
        application answers; hot endpoints ask themselves. `body_bounds` maps exact paths to how many bytes a body may
        have there.
        """
        self._app = app
        self._hot = hot
        self._readable = readable
        self._queries = queries
        self._proxies = proxies
        self._admission = admission
        self._body_bounds = body_bounds or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other ASGI events pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._locate(scope)
        endpoint = self._hot.get(scope["path"])
        if endpoint is not None and not (scope["method"] == "GET" and scope["path"] in self._readable):
            methods = b"GET, POST" if scope["path"] in self._readable else b"POST"
            await _serve_hot(endpoint, methods, scope, receive, send)
            return
        began = monotonic_seconds()
        length, chunked, request_id = _read_headers(scope)
        scope["request_id"] = request_id
        scope["asker"] = _asker_of(scope, request_id)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*message.get("headers", ()), *scope.get("answer_headers", ())]
                said = {name.lower() for name, _ in own}
                standing = [pair for pair in SECURITY_HEADERS if pair[0] not in said]
                message["headers"] = [*own, *standing, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            bound = self._body_bounds.get(scope["path"], MAX_BODY_BYTES)
            await self._admit(scope, length, bound)
            body = _bounded(receive, bound) if chunked else receive
            await self._app(scope, in_utf8(body) if has_json(scope["headers"]) else body, send_marked)
        except (NotFound, TooLarge, Unprocessable, TooManyRequests, Unavailable) as error:
            if isinstance(error, TooManyRequests) and isinstance(self._app, Audited):
                self._app.note_not_admitted(scope, error)
            await error_response(error, request_id)(scope, receive, send_marked)
        except ClientDisconnect:
            status = status or 400  # for the log; nobody reads it
        # The last catch: whatever escaped is our fault; the caller gets no insides, the log gets all of it.
        except Exception:  # the edge answers for everything
            log.exception("request_failed", request_id=request_id, path=_route_of(scope))
            if status:
                raise
            response = problem_response(500, "internal_error", "Our fault; try again later.", request_id=request_id)
            await response(scope, receive, send_marked)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            # A stream is answered once it has begun: how long somebody listens is no latency.
            ended = scope.get("stream_began") or monotonic_seconds()
            _observe((method, _route_of(scope), status), ended - began)

    async def _admit(self, scope: Scope, length: int, bound: int) -> None:
        """Let in what the application may look at. Raises: NotFound, TooLarge, Unprocessable, what admission does."""
        if _CONTROLS.search(scope["path"]):
            # Routes end with `$`, which also matches before a last newline: `/login%0a` would be `/login` to the router
            # and something else to whoever compares paths.
            raise _no_such_route()
        if length > bound:
            raise too_large(bound)
        self._queries.require_known(scope)
        if self._admission is not None:
            await self._admission(scope)

    def _locate(self, scope: Scope) -> None:
        """Make whom trusted proxies speak for the client that everybody sees from here on."""
        if self._proxies is not None and scope["client"]:
            host, port = scope["client"]
            scope["client"] = (self._proxies.address_of(host, scope["headers"]), port)


async def _serve_hot(endpoint: GuardedEndpoint, methods: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a hot endpoint's request that came over ASGI (an `Expect` header, a test's client)."""
    request, length = hot_request(scope["headers"], scope["client"])
    request.path, request.query = scope["path"], scope["query_string"]
    reading = BodyReading(endpoint, request)
    try:
        body = await _read_body(receive, reading, length)
        if body is None:
            return
        request.body = body
        answer = (
            await answer_hot(endpoint, request) if scope["method"] == "POST" else _method_not_allowed(request, methods)
        )
    except TallystickError as error:
        answer = refused_answer(endpoint, request, error)
    finally:
        reading.end()
    headers = [
        (b"content-type", answer.media_type),
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
        *SECURITY_HEADERS,
        (b"x-request-id", request.request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def answer_hot(endpoint: GuardedEndpoint, request: HotRequest) -> HotAnswer:
    """Ask the endpoint; every failure becomes a problem document, and every answer is measured."""
    began = monotonic_seconds()
    try:
        answer = await endpoint(request)
    except TallystickError as error:
        if error.http_status >= _SERVER_FAULT:
            log.warning("request_unavailable", request_id=request.request_id, path=request.path, code=error.code)
        answer = error_answer(error, request.request_id)
        if endpoint.trail is not None:
            note_hot_refusal(endpoint.trail, endpoint.action, request, error)
    except Exception:  # the edge answers for everything, as above
        log.exception("request_failed", request_id=request.request_id, path=request.path)
        body = problem_body(500, "internal_error", "Our fault; try again later.", request_id=request.request_id)
        answer = HotAnswer(500, body, b"application/problem+json")
    answer.headers += request.answer_headers
    _observe(("POST", request.path, answer.status), monotonic_seconds() - began)
    return answer


def refused_answer(endpoint: GuardedEndpoint, request: HotRequest, error: TallystickError) -> HotAnswer:
    """Answer a request whose body is not read."""
    if endpoint.trail is not None:
        note_hot_refusal(endpoint.trail, endpoint.action, request, error)
    _observe(("POST", request.path, error.http_status), 0.0)
    return error_answer(error, request.request_id)


def observe_refused(status: int) -> None:
    """Count what was refused before it had a method or a route."""
    _observe(("OTHER", _UNMATCHED, status), 0.0)


def hot_request(headers: Iterable[tuple[bytes, bytes]], client: tuple[str, int] | None) -> tuple[HotRequest, int]:
    """Return (what a hot endpoint may know of its request, the announced length of its body)."""
    authorization = key = prefer = traceparent = None
    request_id = ""
    user_agent = device = b""
    length = 0
    for name, value in headers:
        if name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == b"idempotency-key":
            key = value.decode("latin-1")
        elif name == b"content-length":
            length = length_of(value)
        elif name == b"prefer":
            prefer = value.decode("latin-1")
        elif name == b"user-agent":
            user_agent = value
        elif name == b"tallystick-device":
            device = value
        elif name == b"x-request-id":
            text = value.decode("latin-1")
            request_id = text if is_id(text) else ""
        elif name == b"traceparent":
            # Two of them cannot be told apart, so neither counts (W3C Trace Context).
            traceparent = read_traceparent(value) if traceparent is None else ""
    address = client[0] if client else "unknown"
    request = HotRequest(authorization, key, prefer, address, request_id or new_id(), traceparent or "")
    request.user_agent = user_agent
    request.device = device
    return request, length


async def _read_body(receive: Receive, reading: BodyReading, length: int) -> bytes | None:
    """Read a body of any framing up to the bound; None when the caller left before its end.

    Raises: TooLarge, Unavailable overloaded, what the gate does.
    """
    reading.require_bounded(length)
    message = await receive()
    body = bytearray(message.get("body", b""))
    while message.get("more_body"):
        reading.require_bounded(len(body))
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        return None
    reading.require_bounded(len(body))
    return bytes(body)


def _method_not_allowed(request: HotRequest, methods: bytes) -> HotAnswer:
    detail = "This route does not offer that method."
    body = problem_body(405, "method_not_allowed", detail, request_id=request.request_id)
    return HotAnswer(405, body, b"application/problem+json", [(b"allow", methods)])


def _read_headers(scope: Scope) -> tuple[int, bool, str]:
    """Return (content length, whether the length is unknown, request id: the caller's if it is a UUID, else ours)."""
    length = 0
    chunked = False
    request_id = ""
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = length_of(value)
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"x-request-id":
            text = value.decode("latin-1")
            request_id = text if is_id(text) else ""
    return length, chunked, request_id or new_id()


def _asker_of(scope: Scope, request_id: str) -> Asker:
    asker = Asker(address=scope["client"][0] if scope["client"] else "unknown", request_id=request_id)
    for name, value in scope["headers"]:
        if name == b"user-agent":
            asker.user_agent = bounded_user_agent(value)
    return asker


def length_of(value: bytes) -> int:
    """Read a Content-Length; what is no number, or has more digits than any, is as good as too large.

    Python itself refuses to read more than 4,300 digits.
    """
    digits = value.strip(b" \t")
    return int(digits) if digits.isdigit() and len(digits) <= _LENGTH_DIGITS_MAX else NO_LENGTH


def _bounded(receive: Receive, bound: int) -> Receive:
    """Count a body of unknown length as it comes. Raises: TooLarge."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > bound:
            raise too_large(bound)
        return message

    return counting


def _no_such_route() -> NotFound:
    return NotFound("route_not_found", "There is no such route.")


def _route_of(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", None) or scope.get("route_template", _UNMATCHED))


def _observe(key: tuple[str, str, int], seconds: float) -> None:
    child = _children.get(key)
    if child is None:
        child = _children[key] = HTTP_REQUEST_SECONDS.labels(*key)
    child.observe(seconds)
