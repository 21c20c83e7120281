"""What is handed on to the service behind, and what is said of it when that fails."""

from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from tests.integration.gateway.counter import Counter

SECRET = "eyJ.a-token-of-somebody.x"


@pytest.mark.parametrize("value", [f"Bearer {SECRET}", f"Bearer {SECRET} ", f"\t Bearer {SECRET} \t"])
async def test_whitespace_around_a_header_is_not_part_of_it(counter: Counter, value: str) -> None:
    async with counter.http() as http:
        await http.get("/api/v1/me", headers=[(b"Authorization", value.encode())])
    assert [headers["authorization"] for headers in counter.neighbour.heard] == [f"Bearer {SECRET}"]


async def test_a_header_that_cannot_be_handed_on_is_refused_and_not_logged(counter: Counter) -> None:
    counter.neighbour.failure = httpx2.LocalProtocolError(f"Illegal header value b'Bearer {SECRET} '")
    with capture_logs() as logged:
        async with counter.http() as http:
            answer = await http.get("/api/v1/me", headers={"Authorization": f"Bearer {SECRET}"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert SECRET not in answer.text + repr(logged)


async def test_of_a_failure_the_log_tells_its_kind_and_the_neighbour(counter: Counter) -> None:
    counter.neighbour.failure = httpx2.ReadError(f"while sending {SECRET}")
    with capture_logs() as logged:
        async with counter.http() as http:
            answer = await http.get("/api/v1/me", headers={"Authorization": f"Bearer {SECRET}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert logged == [
        {
            "event": "service_did_not_answer",
            "neighbour": "http://neighbour",
            "error": "ReadError",
            "log_level": "warning",
        }
    ]


async def test_who_says_not_what_he_is_gets_no_name_from_us(counter: Counter) -> None:
    async with counter.http() as http:
        del http.headers["user-agent"]
        await http.get("/api/v1/me")
        await http.get("/api/v1/me", headers={"User-Agent": "till/7"})
    assert [headers.get("user-agent") for headers in counter.neighbour.heard] == [None, "till/7"]


async def test_a_request_broken_off_in_its_body_is_no_fault_of_ours(counter: Counter) -> None:
    left: list[dict[str, Any]] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b"{", "more_body": True},
    ]
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return left.pop()

    async def send(message: Any) -> None:
        said.append(message)

    path = "/api/v1/auth/login"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    with capture_logs() as logged:
        await counter.app()({**scope, "headers": [], "client": ("192.0.2.1", 1)}, receive, send)
    assert (said, counter.neighbour.asked) == ([], [])
    assert [entry for entry in logged if entry["log_level"] not in {"info", "debug"}] == []
