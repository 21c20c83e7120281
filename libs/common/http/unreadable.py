"""The answers to what never became a request: no route knows of it, so the protocol gives them."""

from libs.common.http.hot import HotAnswer
from libs.common.http.problems import problem_body

_PROBLEM = b"application/problem+json"


def malformed_http(request_id: str) -> HotAnswer:
    """Answer what is no HTTP (RFC 9112, 2.2)."""
    detail = "This is no HTTP/1.1 request; correct its request line, headers or framing."
    return HotAnswer(400, problem_body(400, "malformed_http", detail, request_id=request_id), _PROBLEM)


def headers_too_large(request_id: str) -> HotAnswer:
    """Answer a head beyond its bounds (RFC 6585, 5)."""
    detail = "Request line and headers may have 65536 bytes, and there may be 100 headers; send less."
    return HotAnswer(431, problem_body(431, "headers_too_large", detail, request_id=request_id), _PROBLEM)


def request_timeout(request_id: str) -> HotAnswer:
    """Answer a request that did not arrive in time (RFC 9110, 15.5.9)."""
    detail = "The request did not arrive whole within 30 seconds; send it again."
    return HotAnswer(408, problem_body(408, "request_timeout", detail, request_id=request_id), _PROBLEM)
