"""What the audit log says of webhooks: which one, and what was done to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from fastapi import FastAPI

from libs.common.audit.trail import AuditTrail
from libs.common.contracts.audit import AuditEntry
from libs.common.http.app import make_app
from libs.common.http.auth import TokenVerifier
from libs.common.http.health import Health
from libs.common.ids import new_id
from services.gateway.api.webhooks import webhooks_router
from services.gateway.domain.webhooks import Webhook
from services.gateway.use_cases.keep_webhooks import KeepWebhooks
from services.gateway.use_cases.replay_events import ReplayEvents
from tests.support.api_world import TokenKeys

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEBHOOK_ID = "0198f3a2-7c41-7d10-9f5e-2b6c7d8e9f01"
PATH = f"/api/v1/webhooks/{WEBHOOK_ID}"


class Noting:
    """A trail that only listens."""

    service = "gateway"

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def clock(self) -> datetime:
        return NOON

    def what_is_wrong(self) -> str | None: ...

    def note(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


class Kept:
    """Does all that owners ask, and remembers for how long the secret before signs too."""

    def __init__(self) -> None:
        self.overlaps: list[timedelta] = []
        self.webhook = Webhook(
            webhook_id=WEBHOOK_ID,
            user_id=new_id(),
            url="https://shop.example/hooks",
            description="",
            event_types=(),
            sealed_secret=b"",
            earlier_secret=None,
            earlier_until=None,
            is_enabled=True,
            disabled_because="",
            disabled_at=None,
            created_at=NOON,
            changed_at=NOON,
        )

    async def create(self, *_asked: object) -> tuple[Webhook, str]:
        return self.webhook, "whsec_"

    async def change(self, *_asked: object) -> Webhook:
        return self.webhook

    async def rotate_secret(self, _user_id: str, _webhook_id: str, overlap: timedelta) -> tuple[Webhook, str]:
        self.overlaps.append(overlap)
        return self.webhook, "whsec_"

    async def delete(self, *_asked: object) -> None: ...

    async def one(self, *_asked: object) -> int:
        return 1

    async def test(self, *_asked: object) -> str:
        return new_id()


@pytest.fixture
def trail() -> Noting:
    return Noting()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def http(tmp_path: Path, trail: Noting, kept: Kept) -> AsyncIterator[httpx2.AsyncClient]:
    @asynccontextmanager
    async def nothing(_app: FastAPI) -> AsyncIterator[None]:
        yield

    keys = TokenKeys(tmp_path)
    app = make_app(
        service="gateway",
        title="gateway",
        description="gateway",
        version="1",
        routers=[webhooks_router(cast("KeepWebhooks", kept), cast("ReplayEvents", kept))],
        lifespan=nothing,
        health=Health(),
        verifier=TokenVerifier(keys.jwks_file),
        audit=cast("AuditTrail", trail),
    )
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=keys.bearer(new_id())) as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path", "body", "action"),
    [
        ("POST", "/api/v1/webhooks", {"url": "https://shop.example/hooks"}, "webhook.create"),
        ("PATCH", PATH, {"enabled": False}, "webhook.change"),
        ("POST", f"{PATH}/secret", {}, "webhook.rotate"),
        ("POST", f"{PATH}/replay", {"event_id": WEBHOOK_ID}, "webhook.replay"),
        ("POST", f"{PATH}/test", None, "webhook.test"),
        ("DELETE", PATH, None, "webhook.delete"),
    ],
)
async def test_an_entry_says_which_webhook_it_was_and_what_was_done_to_it(
    method: str, path: str, body: Any, action: str, http: httpx2.AsyncClient, trail: Noting
) -> None:
    answer = await http.request(method, path, json=body)
    assert answer.is_success, answer.text
    [entry] = trail.entries
    assert (entry.action, entry.outcome) == (action, "done")
    assert (entry.resource_type, entry.resource_id) == ("webhook", WEBHOOK_ID)


async def test_a_secret_is_rotated_without_a_body_and_the_one_before_signs_for_a_day(
    http: httpx2.AsyncClient, kept: Kept
) -> None:
    answer = await http.post(f"{PATH}/secret")
    assert answer.status_code == 200, answer.text
    assert kept.overlaps == [timedelta(days=1)]
