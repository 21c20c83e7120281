"""What a query has that its route does not declare is refused and named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, Field

from libs.common.http.app import make_app
from libs.common.http.gate import permitted
from libs.common.http.health import Health


class Several(BaseModel):
    begins_at: str = Field("", alias="from")
    limit: int = 1
    kinds: list[str] | None = None


@asynccontextmanager
async def nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    router = APIRouter(prefix="/api", dependencies=[permitted("api.read")])

    @router.get("/one/{name}")
    async def one(name: str, at: Annotated[str, Query(alias="as")] = "") -> str:
        return name + at

    @router.post("/one/{name}")
    async def change(name: str) -> str:
        return name

    @router.get("/several", openapi_extra={"parameters": [{"name": "tag.{key}", "in": "query"}]})
    async def several(query: Annotated[Several, Query()]) -> str:
        return query.begins_at

    app = make_app(
        service="test", title="Test", description="", version="1", routers=[router], lifespan=nothing, health=Health()
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as made:
        yield made


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("/api/one/a", "a"),
        ("/api/one/a?", "a"),
        ("/api/one/a?as=b", "ab"),
        ("/api/several?from=c&limit=2&tag.k=v", "c"),
        ("/api/several?kinds=a&from=c&kinds=b", "c"),
    ],
)
async def test_what_a_route_declares_is_let_pass(client: httpx2.AsyncClient, address: str, answer: str) -> None:
    assert (await client.get(address)).json() == answer


@pytest.mark.parametrize(
    ("address", "unknown", "known"),
    [
        ("/api/one/a?at=b", ["at"], ["as"]),
        ("/api/one/a?as=b&As=b&%61t=c&at=d", ["As", "at"], ["as"]),
        ("/api/one/a?name", ["name"], ["as"]),
        ("/api/several?tag=x&begins_at=y", ["begins_at", "tag"], ["from", "limit", "kinds", "tag.*"]),
    ],
)
async def test_what_it_does_not_is_named_beside_what_it_does(
    client: httpx2.AsyncClient, address: str, unknown: list[str], known: list[str]
) -> None:
    answer = await client.get(address)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "query_not_understood")
    assert (problem["unknown"], problem["known"]) == (unknown, known)
    assert answer.headers["x-request-id"] in problem["instance"]


async def test_each_method_knows_its_own(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/one/a?as=b")
    assert (answer.status_code, answer.json()["known"]) == (422, [])
    assert (await client.delete("/api/one/a?as=b")).status_code == 405


async def test_a_refusal_repeats_little_of_a_long_query(client: httpx2.AsyncClient) -> None:
    query = "&".join(f"{number}{'x' * 300}=" for number in range(100))
    assert len((await client.get(f"/api/one/a?{query}")).content) < 6_000


@pytest.mark.parametrize(
    ("address", "repeated"),
    [
        ("/api/one/a?as=b&as=b", ["/as"]),
        ("/api/several?limit=1&from=c&%6cimit=2&tag.k=v&tag.k=w", ["/limit", "/tag.k"]),
    ],
)
async def test_what_is_there_twice_is_refused(client: httpx2.AsyncClient, address: str, repeated: list[str]) -> None:
    answer = await client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (422, "query_not_understood")
    assert [one["pointer"] for one in answer.json()["errors"]] == repeated
