"""What is handed on to the service behind, and what is said of it when that fails."""

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
