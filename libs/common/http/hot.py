"""Hot endpoints: POST routes answered right at the edge, below the framework's routing and its layers.

Between uvicorn and a Starlette route of a FastAPI application stand six wrappers and a search through all routes: as
much as the rest of the work of a transfer request. A hot endpoint has one exact path, reads few headers and a body,
and returns bytes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from libs.common.errors import TallystickError
from libs.common.http.auth import Principal
from libs.common.http.problems import error_response


@dataclass(slots=True)
class HotRequest:
    """What a hot endpoint may know of its request."""

    authorization: str | None
    idempotency_key: str | None
    prefer: str | None
    address: str
    """The peer's, or what trusted proxies say; else anybody could name himself."""
    request_id: str
    traceparent: str = ""
    """W3C Trace Context, only if the caller has this request traced."""
    path: str = ""
    query: bytes = b""
    """What stood behind the question mark, not decoded; a request that has one takes the slower way through ASGI."""
    body: bytes = b""
    user_agent: bytes = b""
    device: bytes = b""
    """`Tallystick-Device`, as the client names the device it runs on."""
    answer_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What the answer says of this request whatever becomes of it, such as how many more the caller may send."""
    principal: Principal = field(init=False)
    """Who asks; set by the gate before the endpoint is called."""


@dataclass(slots=True)
class HotAnswer:
    """What it answers; the edge adds length, security headers and the request id."""

    status: int
    body: bytes
    media_type: bytes = b"application/json"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


HotEndpoint = Callable[[HotRequest], Awaitable[HotAnswer]]
"""Raises errors of our tree; the edge makes problem documents of them.

No task runs it, so it awaits futures and tasks only: what sets a timeout or calls a server does so in a task it makes.
"""


def error_answer(error: TallystickError, request_id: str) -> HotAnswer:
    """Return an error as the same document the framework's handlers make of it."""
    response = error_response(error, request_id)
    headers = [pair for pair in response.raw_headers if pair[0] not in {b"content-length", b"content-type"}]
    return HotAnswer(response.status_code, bytes(response.body), b"application/problem+json", headers)
