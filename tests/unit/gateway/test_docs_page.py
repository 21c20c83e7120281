"""The page of the API in a browser loads nothing but what we serve, and its policy lets nothing else in."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx2
import pytest

from libs.common.http.app import make_app
from libs.common.http.health import Health
from services.gateway.api.docs_page import docs_routes
from tests.support.http_wire import nothing


class Loads(HTMLParser):
    """Collects what a page loads, and what it would run in place."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.in_place: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.addresses += [value for name, value in attributes if name in {"src", "href"} and value]
        if tag == "style" or (tag == "script" and "src" not in told) or "style" in told:
            self.in_place.append(tag)
        self.in_place += [name for name in told if name.startswith("on")]


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = make_app(
        service="test",
        title="Test",
        description="",
        version="1",
        routers=[],
        routes=docs_routes(),
        lifespan=nothing,
        health=Health(),
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as made:
        yield made


async def test_everything_the_page_loads_is_served_here(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    loads = Loads()
    loads.feed(page.text)
    assert loads.in_place == []
    assert len(loads.addresses) == 4
    for address in loads.addresses:
        assert address.startswith("/docs/")
        asset = await client.get(address)
        assert asset.status_code == 200
        assert asset.content
        assert asset.headers["x-content-type-options"] == "nosniff"
        kind = {"js": "text/javascript", "css": "text/css", "png": "image/png"}[address.rpartition(".")[2]]
        assert asset.headers["content-type"].startswith(kind)


async def test_the_policy_lets_in_only_what_is_ours(client: httpx2.AsyncClient) -> None:
    policy = (await client.get("/docs")).headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "unsafe" not in policy[0]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy[0]
    assert "frame-ancestors 'none'" in policy[0]
    asset = await client.get("/docs/begin.js")
    assert asset.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_nothing_else_is_served_from_there(client: httpx2.AsyncClient) -> None:
    for name in ("redoc.standalone.js", "..%2f__init__.py", "%2e%2e", "__init__.py"):
        assert (await client.get(f"/docs/{name}")).status_code == 404
