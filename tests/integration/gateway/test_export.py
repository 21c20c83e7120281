"""What a customer takes along: every list to its last page, asked with his own token, and a manifest of it all."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile, ZipFile

import httpx2
import pytest
from cryptography.fernet import Fernet

from libs.common.audit.trail import AuditTrail
from libs.common.contracts.audit import AuditEntry
from libs.common.db.reading import Reading
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from services.gateway.api.export import export_router
from services.gateway.api.export_parts import Sources
from services.gateway.use_cases.ask_about_customer import AskAboutCustomer
from services.gateway.use_cases.keep_webhooks import KeepWebhooks
from services.gateway.use_cases.replay_events import ReplayEvents
from services.gateway.views.audit_entries import AuditEntriesView
from services.gateway.views.batches import BatchView
from services.gateway.webhook_secrets import WebhookSecrets
from tests.integration.gateway.counter import Counter
from tests.support.api_world import http_client

EXPORT = "/api/v1/me/export"
INTERNAL_TOKEN = "sister to sister"
ADMIN = new_id()
ACCOUNTS = [new_id(), new_id()]
DECISIONS = [{"transfer_id": f"t{number}", "decided_at": f"2026-03-0{1 + number // 3}"} for number in range(5)]
"""Some of one moment, on two pages."""
DELETED = [new_id(), new_id()]
TRANSFERS: list[dict[str, Any]] = [
    {
        "transfer_id": new_id(),
        "journal_index": number,
        "kind": "transfer",
        "status": "held" if number == 3 else "posted",
        "version": 1,
        "code": "",
        "reasons": [],
        "legs": [],
        "accepted_at": "2026-03-01T09:30:00.000000Z",
        "changed_at": "2026-03-01T09:30:00.000000Z",
        "captured_minor": None,
        "reversed_minor": None,
        "fee_minor": 0,
        "reverses": "",
        "attempts": 1,
        "failure_reason": "",
    }
    for number in range(1, 4)
]


class Services:
    """Every other service, with lists of one item a page."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.asked_as_a_sister: list[str] = []
        self.deleted: list[str] = []
        self.fails_at = ""
        self.waits: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path, query = request.url.path, dict(request.url.params)
        if path.startswith("/internal/"):
            assert (request.headers["x-internal-token"], "authorization" in request.headers) == (INTERNAL_TOKEN, False)
            self.asked_as_a_sister.append(path)
        else:
            as_sister = request.headers.get("x-internal-token")
            assert as_sister == (INTERNAL_TOKEN if request.url.host == "ledger" else None)
            self.tokens.add(request.headers["authorization"])
        if self.fails_at and path.endswith(self.fails_at):
            return httpx2.Response(503, json={})
        if self.waits is not None and path.endswith("/sessions"):
            self.reached.set()
            await self.waits.wait()
        answer = self.told(path, query) if path.startswith("/internal/") else self.answer(path, query)
        return httpx2.Response(404, json={}) if answer is None else httpx2.Response(200, json=answer)

    def told(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """What the sisters' route of this path says."""
        if path.endswith("/decisions"):
            place = (query["since"], query["after"])
            return {"decisions": [one for one in DECISIONS if (one["decided_at"], one["transfer_id"]) > place][:2]}
        beyond = [one for one in self.deleted if one > query["after"]]
        return {"accounts": [{"account_id": one, "deleted_at": "2026-03-01"} for one in beyond[:1]]}

    def answer(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """What the route of this path says."""
        if path.endswith("/statement"):
            entries = [{"seq": number} for number in (1, 2, 3)]
            return {"opening_balance_minor": 0, "prev": None, **page(entries, "entries", query)}
        match path:
            case "/api/v1/me":
                return {"email": "ada@example.com"}
            case "/api/v1/auth/sessions":
                return page([{"session_id": "s1"}, {"session_id": "s2"}], "sessions", query)
            case "/api/v1/api-keys":
                return page([{"key_id": "k1"}], "api_keys", query)
            case "/api/v1/admin/service-accounts":
                return page([{"created_by": ADMIN}, {"created_by": new_id()}], "service_accounts", query)
            case "/api/v1/accounts":
                named = page([{"account_id": one} for one in ACCOUNTS], "accounts", query, by="after")
                return {"accounts": named["accounts"], "next_after": named["next"]}
            case _ if path.endswith("/deleted-accounts"):
                beyond = [one for one in self.deleted if one > query["after"]]
                return {"accounts": [{"account_id": one, "deleted_at": "2026-03-01"} for one in beyond[:1]]}
            case "/api/v1/transfers":
                found = TRANSFERS if query["account_id"] == ACCOUNTS[0] else []
                wanted = [one for one in found if query.get("status") in {None, one["status"]}]
                return {"prev": None, **page(wanted, "transfers", query)}
            case "/api/v1/kyc/status":
                return {"status": "approved"}
        return {"posted_minor": 7} if path == f"/api/v1/accounts/{ACCOUNTS[0]}" else None


def page(items: list[dict[str, Any]], member: str, query: dict[str, str], by: str = "cursor") -> dict[str, Any]:
    """One item, and where the next one is."""
    start = int(query.get(by, 0))
    return {member: items[start : start + 1], "next": str(start + 1) if start + 1 < len(items) else None}


class Trail:
    """The audit trail as far as the route uses it."""

    def __init__(self, counter: Counter) -> None:
        self.service, self.clock = "gateway", counter.clock
        self.kept: list[AuditEntry] = []

    async def keep(self, entry: AuditEntry) -> None:
        self.kept.append(entry)


class World:
    """The route around the counter's database."""

    def __init__(self, counter: Counter, http: httpx2.AsyncClient, services: Services, trail: Trail) -> None:
        self.counter, self.http, self.services, self.trail = counter, http, services, trail
        self.user_id = new_id()

    async def export(self, *roles: str) -> httpx2.Response:
        return await self.http.get(EXPORT, headers=self.counter.keys.bearer(self.user_id, *roles))


@pytest.fixture
async def world(counter: Counter, tmp_path: Path) -> AsyncIterator[World]:
    services, trail = Services(), Trail(counter)
    (tmp_path / "webhooks.keys").write_text(Fernet.generate_key().decode())
    connection = counter.connections["lookup"]
    clients = {
        name: httpx2.AsyncClient(base_url=f"http://{name}", transport=httpx2.MockTransport(services))
        for name in ("accounts", "kyc", "ledger", "fraud")
    }
    uow = UnitOfWork(counter.engine, Outbox("gateway", counter.publisher, connection))
    sources = Sources(
        clients=clients,
        sisters=AskAboutCustomer(clients["accounts"], clients["fraud"], INTERNAL_TOKEN),
        reading=Reading(counter.engine),
        webhooks=KeepWebhooks(connection, uow, WebhookSecrets(tmp_path / "webhooks.keys"), counter.clock, ()),
        deliveries=ReplayEvents(connection, counter.clock),
        batches=BatchView(counter.connections["batches"]),
        audit=AuditEntriesView(Reading(counter.engine)),
    )
    routers = [export_router(sources, cast("AuditTrail", trail))]
    async with http_client("gateway", routers, counter.keys) as http:
        yield World(counter, http, services, trail)
    for client in clients.values():
        await client.aclose()


def unpacked(answer: httpx2.Response) -> dict[str, Any]:
    """Name → content of each file, each with the digest that the manifest says."""
    assert answer.status_code == 200, answer.text
    with ZipFile(io.BytesIO(answer.content)) as archive:
        raw = {name: archive.read(name) for name in archive.namelist()}
    *names, last = raw
    assert last == "manifest.json"
    listed = {file["name"]: (file["bytes"], file["sha256"]) for file in json.loads(raw[last])["files"]}
    assert listed == {name: (len(raw[name]), sha256(raw[name]).hexdigest()) for name in names}
    return {name: json.loads(content) for name, content in raw.items()}


async def test_every_list_is_followed_to_its_last_page_with_the_callers_own_token(world: World) -> None:
    files = unpacked(await world.export())
    first, second = ACCOUNTS
    assert files["profile.json"] == {"email": "ada@example.com"}
    assert files["sessions.json"] == [{"session_id": "s1"}, {"session_id": "s2"}]
    assert files["api-keys.json"] == [{"key_id": "k1"}]
    assert files["accounts.json"] == [{"account_id": first}, {"account_id": second}]
    assert files["kyc-status.json"] == {"status": "approved"}
    assert files["kyc-application.json"] is None
    assert [one["journal_index"] for one in files[f"accounts/{first}/transfers.json"]] == [1, 2, 3]
    assert [one["journal_index"] for one in files[f"accounts/{first}/holds.json"]] == [3]
    assert files[f"accounts/{second}/transfers.json"] == []
    assert files[f"accounts/{first}/balances.json"] == {"posted_minor": 7}
    statement = {"opening_balance_minor": 0, "entries": [{"seq": 1}, {"seq": 2}, {"seq": 3}]}
    assert files[f"accounts/{first}/statement.json"] == statement
    assert files["decisions.json"] == DECISIONS
    assert files["webhooks.json"] == files["batches.json"] == files["audit-log.json"] == []
    assert "service-accounts.json" not in files
    assert len(world.services.tokens) == 1
    assert [(entry.action, entry.actor_id) for entry in world.trail.kept] == [("customer.export", world.user_id)]


async def test_deleted_accounts_are_in_it_marked_so_with_their_statements(world: World) -> None:
    world.services.deleted = DELETED
    files = unpacked(await world.export())
    deleted = [{"account_id": one, "deleted_at": "2026-03-01"} for one in DELETED]
    assert files["accounts.json"] == [{"account_id": one} for one in ACCOUNTS] + deleted
    assert all(len(files[f"accounts/{one}/statement.json"]["entries"]) == 3 for one in DELETED)
    assert {path.split("/")[3] for path in world.services.asked_as_a_sister} == {world.user_id}


async def test_webhooks_batches_and_what_he_did_are_in_it_and_nothing_of_others(world: World) -> None:
    other = new_id()
    for owner in (world.user_id, other):
        async with world.counter.connections["uploads"].autocommit() as database:
            await database.execute(
                """INSERT INTO gateway.webhooks (webhook_id, user_id, url, description, event_types, sealed_secret,
                       is_enabled, disabled_because, created_at, changed_at)
                   VALUES ($1, $2, $3, '', '{}', '\\x00', true, '', now(), now())""",
                new_id(),
                owner,
                f"https://shop.example/{owner}",
            )
    files = unpacked(await world.export())
    assert [one["url"] for one in files["webhooks.json"]] == [f"https://shop.example/{world.user_id}"]
    [deliveries] = [name for name in files if name.startswith("webhooks/")]
    assert files[deliveries] == []
    assert other not in str(files)


async def test_of_what_others_did_about_him_neither_who_they_are_nor_their_reading_is_told(world: World) -> None:
    staff = new_id()
    for action, actor in (("session.end", world.user_id), ("customer.set_profile", staff), ("audit.read", staff)):
        async with world.counter.connections["uploads"].autocommit() as database:
            await database.execute(
                """INSERT INTO gateway.audit_entries (entry_id, at, actor_id, actor_kind, action, resource_type,
                       resource_id, address, user_agent, request_id, outcome, reason, facts, service)
                   VALUES ($1, now(), $2, 'person', $3, 'customer', $4, '192.0.2.9', 'a browser', 'r', 'done', '', '{}',
                       'accounts')""",
                new_id(),
                actor,
                action,
                world.user_id,
            )
    files = unpacked(await world.export())
    theirs, own = files["audit-log.json"]
    assert (own["action"], own["address"]) == ("session.end", "192.0.2.9")
    assert theirs["action"] == "customer.set_profile"
    assert not {"actor_id", "address", "user_agent", "facts"} & set(theirs)
    assert staff not in str(files)


async def test_he_learns_when_staff_read_about_him_by_their_roles_and_not_that_he_is_suspected(world: World) -> None:
    reads: list[tuple[str, str, str, list[str] | None]] = [
        ("account.read", "account", ACCOUNTS[0], ["support"]),
        ("verification.read", "customer", world.user_id, ["admin", "auditor"]),
        ("account.read", "account", ACCOUNTS[1], ["admin", "compliance"]),
        ("account.read", "account", ACCOUNTS[1], None),
        ("account.read", "account", new_id(), ["support"]),
        ("customer.set_profile", "customer", world.user_id, ["admin"]),
    ]
    clerk = new_id()
    for action, kind, about, roles in reads:
        async with world.counter.connections["uploads"].autocommit() as database:
            await database.execute(
                """INSERT INTO gateway.audit_entries (entry_id, at, actor_id, actor_kind, action, resource_type,
                       resource_id, address, user_agent, request_id, outcome, reason, facts, service)
                   VALUES ($1, now(), $2, 'person', $3, $4, $5, '192.0.2.9', 'a browser', 'r', 'done', '', $6,
                       'accounts')""",
                new_id(),
                clerk,
                action,
                kind,
                about,
                json.dumps({} if roles is None else {"roles": roles}),
            )
    files = unpacked(await world.export())
    told = files["read-by-staff.json"]
    assert [{name: one[name] for name in one if name != "at"} for one in told] == [
        {
            "action": "verification.read",
            "resource_type": "customer",
            "resource_id": world.user_id,
            "roles": ["admin", "auditor"],
        },
        {"action": "account.read", "resource_type": "account", "resource_id": ACCOUNTS[0], "roles": ["support"]},
    ]
    assert all(one["at"] for one in told)
    assert clerk not in str(files)


async def test_an_admin_takes_along_the_service_accounts_that_he_made(world: World) -> None:
    world.user_id = ADMIN
    answer = await world.export("admin")
    assert unpacked(answer)["service-accounts.json"] == [{"created_by": ADMIN}]


async def test_an_archive_that_broke_off_does_not_unpack(world: World) -> None:
    world.services.fails_at = "/kyc/status"
    answer = await world.export()
    with pytest.raises(BadZipFile):
        ZipFile(io.BytesIO(answer.content))


async def test_where_nothing_can_be_asked_it_is_refused_before_it_begins(world: World) -> None:
    world.services.fails_at = "/me"
    answer = await world.export()
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert world.trail.kept == []


async def test_one_customer_takes_his_data_once_at_a_time(world: World) -> None:
    world.services.waits = asyncio.Event()
    first = asyncio.create_task(world.export())
    await asyncio.wait_for(world.services.reached.wait(), 20)
    refused = await world.export()
    assert (refused.status_code, refused.json()["code"]) == (409, "export_running")
    world.services.waits.set()
    unpacked(await first)
    unpacked(await world.export())


async def test_four_are_made_at_once_and_the_next_is_asked_to_come_again(world: World) -> None:
    world.services.waits = asyncio.Event()
    running = []
    for _ in range(4):
        world.user_id, world.services.reached = new_id(), asyncio.Event()
        running.append(asyncio.create_task(world.export()))
        await asyncio.wait_for(world.services.reached.wait(), 20)
    world.user_id = new_id()
    refused = await world.export()
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    world.services.waits.set()
    for one in await asyncio.gather(*running):
        unpacked(one)


async def test_an_old_log_in_has_to_be_proved_anew(world: World) -> None:
    world.counter.clock.move(timedelta(minutes=11))
    refused = await world.export()
    assert (refused.status_code, refused.json()["code"]) == (403, "step_up_required")
