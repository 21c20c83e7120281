"""Metrics tell how business goes: only what collects them may read them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from libs.common.errors import InvariantBroken
from libs.common.http.app import make_app
from libs.common.http.health import Health

TOKEN = "what collects metrics shows this"


@asynccontextmanager
async def nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


def app_with(token_file: Path | None) -> FastAPI:
    return make_app(
        service="test",
        title="Test",
        description="",
        version="1",
        routers=[],
        lifespan=nothing,
        health=Health(),
        metrics_token_file=token_file,
    )


async def asked(app: FastAPI, authorization: str | None) -> httpx2.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as client:
        return await client.get("/metrics", headers=headers)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "metrics.token"
    file.write_text(TOKEN + "\n")
    return file


async def test_metrics_are_for_who_shows_their_token(token_file: Path) -> None:
    answer = await asked(app_with(token_file), f"Bearer {TOKEN}")
    assert (answer.status_code, "http_server_request_duration_seconds" in answer.text) == (200, True)


@pytest.mark.parametrize("authorization", [None, "", "Bearer ", TOKEN, f"Bearer {TOKEN}x", f"Basic {TOKEN}"])
async def test_nobody_else_reads_them(authorization: str | None, token_file: Path) -> None:
    answer = await asked(app_with(token_file), authorization)
    assert (answer.status_code, answer.json()["code"]) == (401, "metrics_token_required")


async def test_without_a_token_there_is_no_such_route() -> None:
    answer = await asked(app_with(None), "Bearer ")
    assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")


def test_a_token_that_could_be_guessed_keeps_the_service_from_starting(token_file: Path) -> None:
    token_file.write_text(TOKEN[1:])
    with pytest.raises(InvariantBroken, match="long enough"):
        app_with(token_file)
