"""What every answer of every service has in common, whatever route gave it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict

from libs.common.errors import InvariantBroken, Rejected
from libs.common.http.app import make_app
from libs.common.http.client_address import TrustedProxies
from libs.common.http.edge import NO_LENGTH, hot_request
from libs.common.http.gate import permitted
from libs.common.http.health import Health
from libs.common.ids import is_id, new_id

LIMIT = 1024 * 1024
METRICS_TOKEN = "what collects metrics shows this"
SECURITY = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@asynccontextmanager
async def nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = 0


def routes() -> APIRouter:
    router = APIRouter(dependencies=[permitted("api.read")])

    @router.post("/size")
    async def size(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @router.get("/page")
    async def page() -> Response:
        return Response("", headers={"Content-Security-Policy": "default-src 'self'"})

    @router.get("/crash")
    async def crash() -> None:
        raise ZeroDivisionError("the password is hunter2")

    @router.get("/broken")
    async def broken() -> None:
        raise InvariantBroken("entries must balance", total_minor=7)

    @router.get("/refused")
    async def refused() -> None:
        raise Rejected("insufficient_funds", "Pay in first.", needed_minor=5)

    @router.get("/items/{number}")
    async def item(number: int) -> int:
        return number

    @router.post("/strict")
    async def strict(asked: Strict) -> int:
        return asked.number

    return router


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def client(health: Health, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    (tmp_path / "metrics.token").write_text(METRICS_TOKEN)
    app = make_app(
        service="test",
        title="Test",
        description="",
        version="1",
        routers=[routes()],
        lifespan=nothing,
        health=health,
        metrics_token_file=tmp_path / "metrics.token",
    )
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


def problem(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == answer.status_code
    assert document["instance"] == f"urn:tallystick:request:{answer.headers['x-request-id']}"
    return document


async def in_pieces(length: int) -> AsyncIterator[bytes]:
    for _ in range(length // 1024):
        yield b"x" * 1024
    yield b"x" * (length % 1024)


@pytest.mark.parametrize("path", ["/health/live", "/nowhere", "/crash", "/refused", "/metrics"])
async def test_every_answer_carries_the_security_headers_and_a_request_id(
    client: httpx2.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    assert is_id(answer.headers["x-request-id"])
    assert "server" not in answer.headers


async def test_a_page_says_itself_what_it_needs(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/page")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers["x-frame-options"] == "DENY"


async def test_the_callers_request_id_is_kept_when_it_is_one_and_replaced_when_not(client: httpx2.AsyncClient) -> None:
    mine = new_id()
    assert (await client.get("/health/live", headers={"X-Request-Id": mine})).headers["x-request-id"] == mine
    for strange in ("1", "x" * 36, '"><script>'):
        given = (await client.get("/health/live", headers={"X-Request-Id": strange})).headers["x-request-id"]
        assert is_id(given)


async def test_a_body_at_the_limit_is_read_and_one_beyond_it_refused(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/size", content=b"x" * LIMIT)).json() == {"bytes": LIMIT}
    answer = await client.post("/size", content=b"x" * (LIMIT + 1))
    assert (answer.status_code, problem(answer)["code"]) == (413, "body_too_large")


async def test_a_body_that_does_not_say_its_length_is_counted_as_it_comes(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/size", content=in_pieces(LIMIT))).json() == {"bytes": LIMIT}
    answer = await client.post("/size", content=in_pieces(LIMIT + 1))
    assert (answer.status_code, problem(answer)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/strict", "/size"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("piece", [1, 100])
async def test_json_is_utf_8_without_a_mark_at_every_route(
    client: httpx2.AsyncClient, path: str, encoding: str, piece: int
) -> None:
    body = '{"number": 7}'.encode(encoding)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), piece):
            yield body[start : start + piece]

    for kind in ("application/json", "application/merge-patch+json; charset=x"):
        answer = await client.post(path, content=pieces(), headers={"Content-Type": kind})
        assert (answer.status_code, problem(answer)["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("body", [b'{"\xff": 1}', b"7]", b"\xff"])
async def test_what_is_no_utf_8_or_no_json_is_refused_alike(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/strict", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, problem(answer)["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("body", [b"{}", b" {\n}", b'{"number":7}', b'\n\n{"number":7}'])
async def test_json_may_be_short_and_begin_with_whitespace(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/strict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


async def test_what_is_no_json_may_have_a_mark(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/size", content=b"\xef\xbb\xbfa,b", headers={"Content-Type": "text/csv"})
    assert answer.json() == {"bytes": 6}


async def test_a_body_too_large_for_a_route_that_reads_json_is_called_so(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/strict", content=in_pieces(LIMIT + 1), headers=headers)
    assert (answer.status_code, problem(answer)["code"]) == (413, "body_too_large")


async def test_a_length_that_is_no_number_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/size", content=b"x", headers={"Content-Length": "-1"})
    assert (answer.status_code, problem(answer)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("digits", ["0" * 5_000, "9" * 5_000, "9" * 17])
async def test_a_length_of_absurdly_many_digits_is_refused(client: httpx2.AsyncClient, digits: str) -> None:
    answer = await client.post("/size", content=b"x", headers={"Content-Length": digits})
    assert (answer.status_code, problem(answer)["code"]) == (413, "body_too_large")


async def test_whitespace_around_a_length_is_not_part_of_it(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/size", content=b"xx", headers=[(b"Content-Length", b" 2 \t")])
    assert answer.json() == {"bytes": 2}


@pytest.mark.parametrize(
    ("value", "length"), [(b"2 ", 2), (b"2", 2), (b"0" * 5_000, NO_LENGTH), (b"\xb2", NO_LENGTH), (b"", NO_LENGTH)]
)
def test_a_hot_request_reads_its_length_the_same_way(value: bytes, length: int) -> None:
    assert hot_request([(b"content-length", value)], None)[1] == length


async def test_what_nobody_caught_is_a_problem_without_our_insides(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/crash")
    assert (answer.status_code, problem(answer)["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert "ZeroDivision" not in answer.text


async def test_a_broken_promise_is_told_to_us_and_not_to_the_caller(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/broken")
    assert (answer.status_code, problem(answer)["code"]) == (500, "invariant_broken")
    assert "balance" not in answer.text


async def test_a_refusal_is_a_problem_with_its_code_and_facts(client: httpx2.AsyncClient) -> None:
    document = problem(await client.get("/refused"))
    assert (document["status"], document["code"], document["needed_minor"]) == (422, "insufficient_funds", 5)


async def test_unknown_routes_methods_and_values_are_problems_too(client: httpx2.AsyncClient) -> None:
    assert problem(await client.get("/nowhere"))["code"] == "route_not_found"
    not_offered = await client.delete("/size")
    assert problem(not_offered)["code"] == "method_not_allowed"
    assert not_offered.headers["allow"] == "POST"
    assert problem(await client.get("/items/one"))["code"] == "invalid_request"


@pytest.mark.parametrize(
    "path", ["/size%0a", "/size%0A", "/items/4%002", "/items/4%7f2", "/items/4%c2%852", "/%09size"]
)
async def test_no_route_has_a_control_character_in_its_path(client: httpx2.AsyncClient, path: str) -> None:
    for answer in (await client.post(path), await client.get(path)):
        assert (answer.status_code, problem(answer)["code"]) == (404, "route_not_found")


async def test_a_refused_value_is_not_repeated_to_whoever_reads_the_answer(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/items/hunter2")
    (found,) = problem(answer)["errors"]
    assert (found["in"], found["pointer"]) == ("path", "/number")
    assert "hunter2" not in json.dumps(answer.json())


async def test_of_a_long_unknown_field_only_the_beginning_is_repeated(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/strict", json={"x" * 1_000_000: 1, "short": 1})
    long, short = problem(answer)["errors"]
    assert (long["in"], long["pointer"]) == ("body", "/" + "x" * 99 + "…")
    assert (short["in"], short["pointer"]) == ("body", "/short")
    assert len(answer.content) < 1_000


async def test_alive_is_not_yet_ready(client: httpx2.AsyncClient, health: Health) -> None:
    wrong = ["no reserve: run `tallystick migrate`"]
    health.add("ledger.reserve", lambda: wrong[0] if wrong else None)
    health.add("ledger.bus", lambda: None)
    assert (await client.get("/health/live")).status_code == 200
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "problems": {"ledger.reserve": wrong[0]}}

    wrong.clear()
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_requests_are_measured_by_route_and_never_by_what_callers_wrote(client: httpx2.AsyncClient) -> None:
    await client.get("/items/41")
    await client.get("/items/42")
    await client.get("/a-path-nobody-offers")
    metrics = (await client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})).text
    assert 'http_route="/items/{number}"' in metrics
    assert "/items/41" not in metrics
    assert "a-path-nobody-offers" not in metrics


async def test_only_a_trusted_proxy_says_where_a_request_comes_from() -> None:
    router = APIRouter(dependencies=[permitted("api.read")])

    @router.get("/where")
    async def where(request: Request) -> str:
        assert request.client is not None
        return request.client.host

    app = make_app(
        service="test",
        title="Test",
        description="",
        version="1",
        routers=[router],
        lifespan=nothing,
        health=Health(),
        proxies=TrustedProxies([ip_network("10.0.0.0/8")], "x-forwarded-for"),
    )
    for peer, address in (("10.0.0.1", "198.51.100.7"), ("192.0.2.1", "192.0.2.1")):
        transport = httpx2.ASGITransport(app=app, client=(peer, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            said = {"x-forwarded-for": "203.0.113.9, 198.51.100.7"}
            assert (await http.get("/where", headers=said)).json() == address
