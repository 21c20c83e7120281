"""What the edge writes into the audit log by itself, and what becomes of it when the database is away."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import httpx2
import msgspec
import pytest
from fastapi import APIRouter, FastAPI, Request

from libs.common.audit.asker import Asker
from libs.common.audit.audit_log import AuditLog
from libs.common.audit.entry import new_entry
from libs.common.audit.trail import AuditTrail
from libs.common.contracts.audit import AuditEntry, AuditRecorded
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Unavailable
from libs.common.http.app import asker_of, make_app
from libs.common.http.auth import Principal, TokenVerifier
from libs.common.http.gate import permitted
from libs.common.http.health import Health
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox
from tallystick.stack.service_settings import dsn_of_role
from tests.support.api_world import ROLE_PASSWORD, MovedClock, RecordingPublisher, TokenKeys, migrated_database


@pytest.fixture(scope="module")
def kyc_dsn(postgres_dsn: str) -> Iterator[str]:
    with migrated_database(postgres_dsn, "kyc") as dsn:
        yield dsn


def routes() -> APIRouter:
    router = APIRouter(prefix="/api/v1")

    @router.get("/accounts/{account_id}")
    async def account(account_id: str, _principal: Annotated[Principal, permitted("account.read")]) -> str:
        return f"the secret of {account_id}"

    @router.post("/transfers/{transfer_id}/capture")
    async def capture(
        transfer_id: str, _principal: Annotated[Principal, permitted("hold.end")], is_known: str = ""
    ) -> str:
        if is_known:
            raise Conflict("hold_ended", "It has ended.")
        return "captured"

    @router.get("/listed", openapi_extra={"parameters": [{"name": "metadata.{key}", "in": "query"}]})
    async def listed(
        _principal: Annotated[Principal, permitted("transfer.list")], status: str = "", limit: int = 1
    ) -> str:
        return f"{limit} that are {status}"

    @router.post("/login", dependencies=[permitted("session.begin")])
    async def login(request: Request) -> str:
        asker_of(request).is_person("somebody")
        asker_of(request).concerns("customer", "somebody")
        return "in"

    @router.put("/roles")
    async def roles(request: Request, _principal: Annotated[Principal, permitted("customer.set_roles")]) -> str:
        asker_of(request).is_recorded = True
        return "recorded by a use case"

    @router.post("/crash")
    async def crash(_principal: Annotated[Principal, permitted("customer.read")]) -> None:
        raise ZeroDivisionError

    return router


class World:
    def __init__(self, admin_dsn: str, folder: Path, *, dsn: str | None = None) -> None:
        self.admin_dsn = admin_dsn
        self.keys, self.clock, self.publisher = TokenKeys(folder), MovedClock(), RecordingPublisher()
        role = dsn or dsn_of_role(admin_dsn, "tallystick_kyc", ROLE_PASSWORD)
        self.log = AuditLog("kyc", role, Outbox("kyc", self.publisher, HotConnection(role, "test")))
        self.trail = AuditTrail(self.log, self.clock)

        @asynccontextmanager
        async def nothing(_app: FastAPI) -> AsyncIterator[None]:
            yield

        self.app = make_app(
            service="kyc",
            title="t",
            description="d",
            version="1",
            routers=[routes()],
            lifespan=nothing,
            health=Health(),
            verifier=TokenVerifier(self.keys.jwks_file),
            audit=self.trail,
        )

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Give a client; at the end everything that was noted is written."""
        transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.7", 1), raise_app_exceptions=False)
        headers = {"User-Agent": "a browser"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            await self.trail.start()
            try:
                yield client
            finally:
                await self.trail.stop()

    async def entries(self, actor_id: str) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            rows = await connection.fetch("SELECT * FROM kyc.audit_log WHERE actor_id = $1 ORDER BY entry_id", actor_id)
        finally:
            await connection.close()
        return [dict(row) for row in rows]


@pytest.fixture
def world(kyc_dsn: str, tmp_path: Path) -> World:
    return World(kyc_dsn, tmp_path)


def said(publisher: RecordingPublisher) -> list[AuditEntry]:
    return [entry for sent in publisher.sent for entry in msgspec.json.decode(sent.payload, type=AuditRecorded).entries]


async def test_a_staff_read_is_durable_before_it_is_answered(world: World) -> None:
    clerk, account_id, request_id = new_id(), new_id(), new_id()
    headers = world.keys.bearer(clerk, "support") | {"X-Request-ID": request_id}
    async with world.http() as http:
        assert (await http.get(f"/api/v1/accounts/{account_id}", headers=headers)).status_code == 200
        [entry] = await world.entries(clerk)
    assert {name: entry[name] for name in ("action", "resource_type", "resource_id", "address", "user_agent")} == {
        "action": "account.read",
        "resource_type": "account",
        "resource_id": account_id,
        "address": "192.0.2.7",
        "user_agent": "a browser",
    }
    assert (entry["actor_kind"], entry["outcome"], entry["request_id"]) == ("person", "done", request_id)
    assert [one.actor_id for one in said(world.publisher)] == [clerk]


async def test_of_a_search_by_staff_the_filters_are_named_and_no_value_of_them(world: World) -> None:
    clerk = new_id()
    query = "metadata.patient=4711&status=held&limit=5"
    async with world.http() as http:
        await http.get(f"/api/v1/listed?{query}", headers=world.keys.bearer(clerk, "support"))
    [entry] = await world.entries(clerk)
    assert json.loads(entry["facts"]) == {"roles": ["support"], "filters": ["metadata.patient", "status"]}


async def test_what_a_customer_reads_of_his_own_is_not_written(world: World) -> None:
    customer = new_id()
    async with world.http() as http:
        answer = await http.get(f"/api/v1/accounts/{new_id()}", headers=world.keys.bearer(customer))
    assert answer.status_code == 200
    assert await world.entries(customer) == []


async def test_staff_see_nothing_that_cannot_be_recorded(kyc_dsn: str, tmp_path: Path) -> None:
    world = World(kyc_dsn, tmp_path, dsn="postgresql://nobody@127.0.0.1:1/nowhere")
    async with world.http() as http:
        answer = await http.get("/api/v1/accounts/x", headers=world.keys.bearer(new_id(), "support"))
        assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
        assert "secret" not in answer.text
        assert (await http.get("/api/v1/accounts/x", headers=world.keys.bearer(new_id()))).status_code == 200


async def test_refusals_are_written_with_their_code_and_alike_ones_once_with_their_number(world: World) -> None:
    customer = new_id()
    headers = world.keys.bearer(customer)
    async with world.http() as http:
        for _ in range(3):
            assert (await http.put("/api/v1/roles", headers=headers)).status_code == 403
        assert (await http.post("/api/v1/transfers/t1/capture?is_known=yes", headers=headers)).status_code == 409
    refused = {
        (e["action"], e["resource_id"], e["reason"]): json.loads(e["facts"]) for e in await world.entries(customer)
    }
    assert refused.keys() == {("customer.set_roles", "", "role_required"), ("hold.end", "t1", "hold_ended")}
    assert all(entry["outcome"] == "refused" for entry in await world.entries(customer))
    times = refused["customer.set_roles", "", "role_required"].get("times", 1)
    assert times == 3 or len(await world.entries(customer)) > 2  # a slow machine writes between two of them


async def test_what_was_done_is_written_unless_a_transaction_has_recorded_it(world: World) -> None:
    operator, admin = new_id(), new_id()
    async with world.http() as http:
        await http.post("/api/v1/transfers/t2/capture", headers=world.keys.bearer(operator, "operator"))
        await http.put("/api/v1/roles", headers=world.keys.bearer(admin, "admin"))
    [entry] = await world.entries(operator)
    assert (entry["action"], entry["resource_type"], entry["outcome"]) == ("hold.end", "transfer", "done")
    assert await world.entries(admin) == []


async def test_a_log_in_has_the_customer_as_actor_and_as_what_it_is_about(world: World) -> None:
    async with world.http() as http:
        assert (await http.post("/api/v1/login")).status_code == 200
    entries = await world.entries("somebody")
    assert {(e["action"], e["resource_type"], e["resource_id"]) for e in entries} == {
        ("session.begin", "customer", "somebody")
    }


async def test_a_crash_is_written_as_failed(world: World) -> None:
    customer = new_id()
    async with world.http() as http:
        assert (await http.post("/api/v1/crash", headers=world.keys.bearer(customer))).status_code == 500
    [entry] = await world.entries(customer)
    assert (entry["outcome"], entry["reason"]) == ("failed", "internal_error")


async def test_an_unknown_token_is_refused_to_nobody(world: World) -> None:
    async with world.http() as http:
        before = len(await world.entries(""))
        assert (await http.put("/api/v1/roles", headers={"Authorization": "Bearer x"})).status_code == 401
    entry = (await world.entries(""))[-1]
    assert len(await world.entries("")) == before + 1
    assert (entry["actor_kind"], entry["reason"], entry["outcome"]) == ("nobody", "token_invalid", "refused")


async def test_a_resource_with_characters_no_table_takes_is_written_without_them(world: World) -> None:
    customer = new_id()
    async with world.http() as http:
        path = "/api/v1/transfers/a%00b%E2%80%AE/capture?is_known=yes"
        await http.post(path, headers=world.keys.bearer(customer))
    assert [entry["resource_id"] for entry in await world.entries(customer)] in ([], ["ab"])


async def test_an_entry_that_the_table_refuses_does_not_keep_out_the_others(world: World) -> None:
    actor = new_id()
    good = _entry(world, actor)
    async with world.http():
        for entry in (good, _with(good, action=""), _with(good)):
            world.trail.note(entry)
    assert len(await world.entries(actor)) == 2


async def test_entries_are_said_again_once_some_minutes_later(world: World) -> None:
    entry = _entry(world, new_id())
    await world.log.append([entry])
    await world.log.append([entry])  # after a lost connection nobody knows, so it is written again
    assert len(await world.entries(entry.actor_id)) == 1
    await _repeat(world, 0)
    assert entry not in said(world.publisher)[2:]
    await _repeat(world, 5)
    assert said(world.publisher)[2:].count(entry) == 1
    await _repeat(world, 10)
    assert said(world.publisher)[2:].count(entry) == 1
    await world.log.close()


@pytest.mark.parametrize("turns", range(5))
async def test_a_stop_that_comes_together_with_an_entry_ends(world: World, turns: int) -> None:
    await world.trail.start()
    await asyncio.sleep(0.01)
    kept = asyncio.create_task(world.trail.keep(_entry(world, new_id())))
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(2.0):
        await world.trail.stop()
    if turns:
        await kept
    kept.cancel()


async def test_beyond_its_bound_the_trail_refuses_to_keep(world: World) -> None:
    for _ in range(10_000):
        world.trail.note(_entry(world, new_id()))
    with pytest.raises(Unavailable, match="audit_unavailable"):
        await world.trail.keep(_entry(world, new_id()))


async def test_who_is_beyond_his_limit_fills_no_log_however_many_paths_he_asks_for(world: World) -> None:
    caller = new_id()
    for path in ("/api/v1/a", "/api/v1/b", "/api/v1/c"):
        beyond = {"action": "request.admit", "outcome": "refused", "reason": "rate_limited", "resource_id": path}
        world.trail.note(_with(_entry(world, caller), **beyond))
    await world.trail.stop()
    [entry] = await world.entries(caller)
    assert (entry["resource_id"], entry["facts"]) == ("/api/v1/a", '{"times":3}')


async def test_nobody_fills_the_log_however_many_things_he_names(world: World) -> None:
    address = new_id()
    asker = Asker(address=address, action="hold.end")
    for resource in ("a", "b", "c"):
        about, refusal = ("transfer", resource), "token_missing"
        entry = new_entry("kyc", asker, "hold.end", at=world.clock(), resource=about, outcome="refused", reason=refusal)
        world.trail.note(entry)
    await world.trail.stop()
    [written] = [one for one in await world.entries("") if one["address"] == address]
    assert (written["resource_id"], written["facts"]) == ("a", '{"times":3}')


@pytest.mark.parametrize("reason", ["role_required", "scope_required", "person_required", "rate_limited"])
async def test_who_may_not_fills_no_log_however_many_things_he_names(world: World, reason: str) -> None:
    customer = new_id()
    for account in ("a", "b", "c"):
        refused = {"action": "account.set_status", "outcome": "refused", "reason": reason, "resource_id": account}
        world.trail.note(_with(_entry(world, customer), **refused))
    await world.trail.stop()
    [entry] = await world.entries(customer)
    assert (entry["resource_id"], entry["facts"]) == ("a", '{"times":3}')


async def test_whose_things_somebody_looks_for_is_written_of_each(world: World) -> None:
    customer = new_id()
    for transfer in ("a", "b"):
        refused = {"action": "hold.end", "outcome": "refused", "reason": "not_the_payer", "resource_id": transfer}
        world.trail.note(_with(_entry(world, customer), **refused))
    await world.trail.stop()
    assert [entry["resource_id"] for entry in await world.entries(customer)] == ["a", "b"]


async def _repeat(world: World, minutes: int) -> None:
    while await world.log.repeat(world.clock() + timedelta(minutes=minutes)):
        pass


def _entry(world: World, actor_id: str) -> AuditEntry:
    asker = Asker(actor_id=actor_id, actor_kind="person")
    return new_entry("kyc", asker, "verification.review", at=world.clock(), resource=("customer", "c"))


def _with(entry: AuditEntry, **changes: str) -> AuditEntry:
    return msgspec.structs.replace(entry, entry_id=new_id(), **changes)
