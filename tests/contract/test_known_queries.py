"""No route of any service overlooks a query parameter that it does not know: `?dry_run=true` moves no money."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from libs.common.http.app import Application
from libs.common.ids import new_id
from libs.common.service import Role
from services.accounts.app import build as build_accounts
from services.fraud.app import build as build_fraud
from services.gateway.api.document_uploads import DOCUMENTS_AT
from services.gateway.api.proxy import OWNED
from services.gateway.app import build as build_gateway
from services.kyc.app import build as build_kyc
from services.ledger.app import build as build_ledger
from tests.support.api_world import TokenKeys

BUILDERS: dict[str, Callable[[Role], FastAPI]] = {
    "accounts": build_accounts,
    "fraud": build_fraud,
    "gateway": build_gateway,
    "kyc": build_kyc,
    "ledger": build_ledger,
}
FOR_MACHINES = {"/openapi.json", "/docs", "/docs/{name}", "/metrics", "/health/live", "/health/ready"}
"""Their answers depend on nothing that is asked."""
FORWARDED = {owned.path for owned in OWNED} | {DOCUMENTS_AT}


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture(autouse=True)
def environment(keys: TokenKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of every service. Nothing of it is there: a route that does more than refuse cannot answer 422."""
    webhook_keys = tmp_path / "webhooks.keys"
    webhook_keys.write_bytes(Fernet.generate_key())
    settings = {
        "POSTGRES_DSN": "postgresql://nobody@127.0.0.1:1/nothing",
        "HTTP_PORT": "1",
        "KAFKA": "127.0.0.1:1",
        "JWKS_FILE": str(keys.jwks_file),
        "INTERNAL_TOKEN": "sister to sister",
        "SIGNING_KEY_FILE": str(keys.private_file),
        "MASTER_KEYS_FILE": str(keys.master_keys_file),
        "TOKEN_KEY_FILE": str(keys.private_file),
        "WEBHOOK_KEYS_FILE": str(webhook_keys),
        "DOCUMENTS_URL": (tmp_path / "documents").as_uri(),
        "ORIGIN": "ledger.example/test",
        **{f"{service.upper()}_URL": "http://127.0.0.1:1" for service in BUILDERS},
    }
    for service in BUILDERS:
        for name, value in settings.items():
            monkeypatch.setenv(f"{service.upper()}_{name}", value)


def ways_in(service: str, app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every (method, path) that the service answers, whatever part of it does.

    What the gateway forwards is left out: the service behind refuses them.
    """
    assert isinstance(app, Application)
    yield from (("POST", path) for path in app.hot)
    for context in iter_route_contexts(app.routes):
        for method in sorted(context.methods or ()):
            forwarded = service == "gateway" and context.path in FORWARDED
            if context.path and context.path not in FOR_MACHINES and not forwarded:
                yield method, re.sub(r"\{[^}]+\}", new_id(), context.path)


@pytest.mark.parametrize("service", BUILDERS)
async def test_every_route_refuses_a_query_that_it_does_not_know(service: str, keys: TokenKeys) -> None:
    app = BUILDERS[service]("api")
    app.state.verifier.revocations.are_known = True  # nobody is there to tell
    ways = list(ways_in(service, app))
    assert ways
    headers = {**keys.bearer(new_id(), "operator", "admin"), "Idempotency-Key": new_id()}
    transport = httpx2.ASGITransport(app=app)
    overlooked = []
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        for method, path in ways:
            for query in ("dry_run=yes", "colour=blue"):
                answer = await client.request(method, f"{path}?{query}", headers=headers, json={})
                if (answer.status_code, answer.json()["code"]) != (422, "query_not_understood"):
                    overlooked.append((method, path, query, answer.text))
    assert overlooked == []


def test_all_that_moves_money_is_looked_at() -> None:
    ways = {(method, re.sub(r"[0-9a-f-]{36}", "…", path)) for method, path in ways_in("gateway", build_gateway("api"))}
    assert {
        ("POST", "/api/v1/transfers"),
        ("POST", "/api/v1/transfers/batch"),
        ("POST", "/api/v1/transfers/…/capture"),
        ("POST", "/api/v1/transfers/…/void"),
        ("POST", "/api/v1/transfers/…/reversals"),
        ("POST", "/api/v1/admin/fee-schedules"),
        ("PUT", "/api/v1/admin/accounts/…/limits"),
        ("PUT", "/api/v1/admin/accounts/…/status"),
    } <= ways
