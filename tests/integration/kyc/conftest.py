"""Kyc around a real PostgreSQL: its routes and its sweeper."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from libs.common.contracts.kyc import VerificationChanged
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import new_id
from services.kyc.app import make_routers
from tests.support.api_world import (
    SEALER,
    MovedClock,
    RecordingPublisher,
    TokenKeys,
    admin_connection,
    http_client,
    migrated_database,
    unit_of_work,
)

APPLICATION: dict[str, Any] = {"full_name": "Ada Lovelace", "birth_date": "1990-12-10", "country": "GB"}

DECIDING_WAITS = "LOCK TABLE kyc.verifications IN SHARE MODE"
"""Whoever decides stands still between his look at what there is and what he stores."""


@dataclass
class World:
    """Kyc as tests drive it."""

    http: httpx2.AsyncClient
    uow: UnitOfWork
    publisher: RecordingPublisher
    clock: MovedClock
    keys: TokenKeys
    admin_dsn: str

    async def apply(self, user_id: str, *, key: str | None = None, **change: object) -> httpx2.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.http.post(
            "/api/v1/kyc/application", json=APPLICATION | change, headers=headers | self.keys.bearer(user_id)
        )

    async def decide(
        self, user_id: str, decision: str, *, reviewer: str | None = None, reason: str | None = "looked at"
    ) -> httpx2.Response:
        return await self.http.post(
            f"/api/v1/admin/kyc/{user_id}/{decision}",
            json={"reason": reason} | await self.seen(user_id),
            headers=self.keys.bearer(reviewer or new_id(), "compliance"),
        )

    async def seen(self, user_id: str) -> dict[str, int]:
        """What whoever looks now has looked at, for a decision to name; nobody is recorded as a reader."""
        found = await self.rows(
            "SELECT version, (SELECT count(*) + count(removed_at) FROM kyc.documents d WHERE d.user_id = v.user_id)"
            " AS documents_version FROM kyc.verifications v WHERE v.user_id::text = $1",
            user_id,
        )
        return found[0] if found else {"version": 0, "documents_version": 0}

    async def status(self, user_id: str) -> dict[str, Any]:
        answer = await self.http.get("/api/v1/kyc/status", headers=self.keys.bearer(user_id))
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        return body

    def said(self, user_id: str) -> list[tuple[str, int, int]]:
        """(status, tier, version) of each message about the customer, in order."""
        messages = self.publisher.said(user_id)
        return [(one.status, one.tier, one.version) for one in messages if isinstance(one, VerificationChanged)]

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Read tables as the administrator."""
        async with admin_connection(self.admin_dsn) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]


@pytest.fixture(scope="module")
def kyc_dsn(postgres_dsn: str) -> Iterator[str]:
    with migrated_database(postgres_dsn, "kyc") as dsn:
        yield dsn


@pytest.fixture
async def world(kyc_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    keys, clock, publisher = TokenKeys(tmp_path), MovedClock(), RecordingPublisher()
    async with (
        unit_of_work(kyc_dsn, "kyc", publisher) as uow,
        http_client("kyc", make_routers(uow, SEALER, clock), keys) as client,
    ):
        yield World(client, uow, publisher, clock, keys, kyc_dsn)
