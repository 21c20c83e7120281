"""What a log-in, a refresh or a step-up says of somebody is what holds once it has his row, not when it was sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import jwt
import pytest

from libs.common.ids import new_id
from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.api_world import admin_connection

Send = Callable[[], Coroutine[Any, Any, httpx2.Response]]
BLOCKED = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'test-accounts' AND wait_event_type = 'Lock'
"""
ROLES = "UPDATE accounts.customers SET roles = '{customer,auditor}' WHERE user_id = $1"
CLOSED = "UPDATE accounts.customers SET status = 'closed' WHERE user_id = $1"
OTHER_PASSWORD = "UPDATE accounts.customers SET password_hash = 'another' WHERE user_id = $1"
ENDED = "UPDATE accounts.sessions SET revoked_at = now() WHERE user_id = $1"


@asynccontextmanager
async def changing(world: World, user_id: str, *changes: str) -> AsyncIterator[asyncpg.Connection]:
    """Let another transaction hold the customer's row, with these changes, until the block ends; then it commits."""
    async with admin_connection(world.admin_dsn) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM accounts.customers WHERE user_id = $1 FOR NO KEY UPDATE", user_id)
        for change in changes:
            await connection.execute(change, user_id)
        yield connection


async def sent_meanwhile(world: World, user_id: str, send: Send, *changes: str) -> httpx2.Response:
    """Send a request that has to wait for the other transaction, and return its answer."""
    async with changing(world, user_id, *changes):
        answer = asyncio.create_task(send())
        async with asyncio.timeout(30):
            while not await world.rows(BLOCKED):
                assert not answer.done(), "it did not wait for the customer's row"
                await asyncio.sleep(0.01)
    return await answer


class Somebody:
    """A customer who is logged in, and his ways to tokens."""

    def __init__(self, world: World, user_id: str, email: str, tokens: dict[str, str]) -> None:
        self.world, self.user_id, self.email, self.tokens = world, user_id, email, tokens

    async def log_in(self) -> httpx2.Response:
        return await self.world.log_in(self.email, PASSWORD)

    async def refresh(self) -> httpx2.Response:
        return await self.world.http.post("/api/v1/auth/refresh", json={"refresh_token": self.tokens["refresh_token"]})

    async def step_up(self) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return await self.world.http.post("/api/v1/auth/step-up", json={"password": PASSWORD}, headers=headers)

    async def open_log_ins(self) -> int:
        query = (
            "SELECT count(*) FROM accounts.sessions WHERE user_id = $1 AND revoked_at IS NULL AND rotated_at IS NULL"
        )
        return int((await self.world.rows(query, self.user_id))[0]["count"])


@pytest.fixture
async def somebody(world: World) -> Somebody:
    email = f"{new_id()}@example.com"
    user_id = await world.register(email)
    return Somebody(world, user_id, email, (await world.log_in(email)).json())


@pytest.mark.parametrize("way", ["log_in", "refresh", "step_up"])
async def test_roles_that_change_meanwhile_stand_in_the_token(world: World, somebody: Somebody, way: str) -> None:
    answer = await sent_meanwhile(world, somebody.user_id, getattr(somebody, way), ROLES)
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["roles"] == ["auditor", "customer"]


@pytest.mark.parametrize(
    ("way", "changes", "code"),
    [
        ("log_in", [CLOSED], "invalid_credentials"),
        ("log_in", [OTHER_PASSWORD], "invalid_credentials"),
        ("refresh", [CLOSED], "refresh_token_invalid"),
        ("refresh", [ENDED], "refresh_token_invalid"),
        ("step_up", [CLOSED], "session_not_found"),
        ("step_up", [ENDED], "session_not_found"),
    ],
)
async def test_what_is_taken_away_meanwhile_is_not_given(
    world: World, somebody: Somebody, way: str, changes: list[str], code: str
) -> None:
    before = await somebody.open_log_ins()
    answer = await sent_meanwhile(world, somebody.user_id, getattr(somebody, way), *changes)
    assert (answer.status_code, answer.json()["code"]) == (404 if way == "step_up" else 401, code)
    assert await somebody.open_log_ins() == before - (ENDED in changes)
