"""Pages of other origins call the API from a browser only when their origin is in the list."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from libs.common.http.cors import Origins
from tests.support.http_wire import Answer, Server, answered, head

SHOP = "https://shop.example"


async def ask(origins: tuple[str, ...], method: str, path: str, *headers: str) -> Answer:
    protocol, wire = Server(cors_origins=origins).connect()
    protocol.data_received(head(path, method, *headers, "Content-Length: 0"))
    return await answered(wire)


@pytest.mark.parametrize(("method", "path"), [("GET", "/headers"), ("POST", "/hot"), ("POST", "/size")])
async def test_an_origin_of_the_list_may_read_the_answer(method: str, path: str) -> None:
    status, headers, _ = await ask((SHOP,), method, path, f"Origin: {SHOP}")
    assert (status, headers["access-control-allow-origin"]) == (200, SHOP)
    assert "Idempotency-Replayed" in headers["access-control-expose-headers"]
    assert "Origin" in headers["vary"]
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(("method", "path"), [("GET", "/headers"), ("POST", "/hot")])
@pytest.mark.parametrize("origins", [(), (SHOP,)])
async def test_another_origin_may_not(method: str, path: str, origins: tuple[str, ...]) -> None:
    for origin in ("https://evil.example", f"{SHOP}.evil.example", "null", f"{SHOP}:8443"):
        _, headers, _ = await ask(origins, method, path, f"Origin: {origin}")
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", ["/hot", "/size"])
async def test_a_browser_that_asks_first_is_told(path: str) -> None:
    asks = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, idempotency-key")
    status, headers, _ = await ask((SHOP,), "OPTIONS", path, f"Origin: {SHOP}", *asks)
    assert (status, headers["access-control-allow-origin"]) == (200, SHOP)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]


async def test_a_refusal_to_a_browser_is_a_problem_too() -> None:
    asks = ("Origin: https://evil.example", "Access-Control-Request-Method: POST")
    status, headers, body = await ask((SHOP,), "OPTIONS", "/hot", *asks)
    assert (status, json.loads(body)["code"]) == (400, "cross_origin_refused")
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers


async def test_without_a_list_a_hot_endpoint_is_answered_the_short_way_whatever_the_origin() -> None:
    server = Server()
    protocol, wire = server.connect()
    protocol.data_received(head("/hot", "POST", f"Origin: {SHOP}", "Content-Length: 0"))
    status, headers, _ = await answered(wire)
    assert status == 200
    assert "vary" not in headers


def test_the_setting_is_a_list_of_origins() -> None:
    read = TypeAdapter(Origins).validate_python
    assert read("") == ()
    assert read(f"{SHOP}, http://localhost:3000,http://[::1]:5173") == (
        SHOP,
        "http://localhost:3000",
        "http://[::1]:5173",
    )
    for wrong in ("*", "shop.example", f"{SHOP}/", "https://Shop.example", "https://*.example", "null"):
        with pytest.raises(ValidationError, match="not an origin"):
            read(wrong)
