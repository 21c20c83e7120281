"""The bounds of what may become a request, and the answers beyond: no route knows of it, so the protocol gives them."""

from typing import Final

from libs.common.http.hot import HotAnswer
from libs.common.http.problems import problem_body

MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line, names and values."""
MAX_URL_BYTES: Final = 8 * 1024
"""Path and query, encoded as they came (RFC 9110, 4.1 asks for this much at least)."""
MAX_HEADERS: Final = 100
ARRIVAL_SECONDS: Final = 30.0
"""From a request's first byte to its last, and longer only for a body that keeps coming."""
LARGE_ARRIVAL_SECONDS: Final = 5.0
"""The same for a large body, of which few are read at once: who sends one slowly takes the place of somebody else."""
LEAST_BYTES_PER_SECOND: Final = 64 * 1024
"""What comes of a body earns so much time for the rest."""

_PROBLEM: Final = b"application/problem+json"


def malformed_http(request_id: str) -> HotAnswer:
    """Answer what is no HTTP (RFC 9112, 2.2)."""
    detail = "This is no HTTP/1.1 request; correct its request line, headers or framing."
    return HotAnswer(400, problem_body(400, "malformed_http", detail, request_id=request_id), _PROBLEM)


def headers_too_large(request_id: str) -> HotAnswer:
    """Answer a head beyond its bounds (RFC 6585, 5)."""
    detail = (
        f"Request line and headers may have {MAX_HEAD_BYTES} bytes, and there may be {MAX_HEADERS} headers; send less."
    )
    return HotAnswer(431, problem_body(431, "headers_too_large", detail, request_id=request_id), _PROBLEM)


def url_too_long(request_id: str) -> HotAnswer:
    """Answer a target beyond its bound (RFC 9110, 15.5.15)."""
    detail = f"Path and query may have {MAX_URL_BYTES} bytes; send less."
    return HotAnswer(414, problem_body(414, "url_too_long", detail, request_id=request_id), _PROBLEM)


def request_timeout(request_id: str) -> HotAnswer:
    """Answer a request that did not arrive in time (RFC 9110, 15.5.9)."""
    detail = (
        f"The request did not arrive whole within {ARRIVAL_SECONDS:.0f} seconds, or of a large body less than "
        f"{LEAST_BYTES_PER_SECOND // 1024} KiB a second came; send it again."
    )
    return HotAnswer(408, problem_body(408, "request_timeout", detail, request_id=request_id), _PROBLEM)
