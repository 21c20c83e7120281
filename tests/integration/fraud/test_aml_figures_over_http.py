"""Compliance changes what the watch looks for, over HTTP: two people, a history, and from when it judges."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from libs.common.approvals.void_approvals import VoidApprovals
from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import new_id
from services.fraud.api.aml_figures import aml_figures_router
from services.fraud.store.aml_proposals import find_proposal, put_in_force
from services.fraud.use_cases.change_aml_figures import ChangeAmlFigures
from services.fraud.views.aml_figures import AmlFigures
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.office import NOON
from tests.integration.fraud.watch_desk import WatchDesk
from tests.support.api_world import (
    ROLE_PASSWORD,
    RecordingPublisher,
    TokenKeys,
    admin_connection,
    http_client,
    migrated_database,
    unit_of_work,
)
from tests.support.standing_still import standing, until_waiting, until_waiting_or_done

FIGURES = "/api/v1/admin/fraud/aml-figures"


@dataclass
class Compliance:
    """The routes, beside what watches over the same database."""

    http: httpx2.AsyncClient
    keys: TokenKeys
    watch: WatchDesk
    admin_dsn: str
    uow: UnitOfWork

    async def see(self, path: str) -> dict[str, Any]:
        answer = await self.http.get(f"{FIGURES}/{path}", headers=self.keys.bearer(new_id(), "auditor"))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def post(self, who: str, path: str, **body: object) -> httpx2.Response:
        headers = self.keys.bearer(who, "compliance")
        return await self.http.post(f"{FIGURES}/{path}", headers=headers, json={"reason": "looked at", **body})

    async def propose(self, who: str, profile: str = "retail", **changed: object) -> int:
        """Propose what is in force, but for what is named, and return the version."""
        figures = {**(await self.see(profile))["figures"], **changed}
        answer = await self.post(who, f"{profile}/versions", figures=figures)
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "proposed"
        version: int = answer.json()["version"]
        return version

    async def approve(self, who: str, version: int, profile: str = "retail") -> str:
        """Have it approved, and return the status it has then, or why not."""
        answer = await self.post(who, f"{profile}/versions/{version}/approve")
        body = answer.json()
        return str(body["status"] if answer.status_code == 200 else body["code"])

    async def change(self, profile: str = "retail", **changed: object) -> int:
        version = await self.propose(new_id(), profile, **changed)
        assert await self.approve(new_id(), version, profile) == "in_force"
        return version


@pytest.fixture
def figures_admin_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give a database of its own: figures are everybody's."""
    with migrated_database(postgres_dsn, "fraud") as admin_dsn:
        yield admin_dsn


@pytest.fixture
async def compliance(figures_admin_dsn: str, tmp_path: Path) -> AsyncIterator[Compliance]:
    dsn = dsn_of_role(figures_admin_dsn, "tallystick_fraud", ROLE_PASSWORD)
    engine, keys = make_engine(dsn, "fraud-test"), TokenKeys(tmp_path)
    async with unit_of_work(figures_admin_dsn, "fraud", RecordingPublisher()) as uow, WatchDesk(dsn) as watch:
        router = aml_figures_router(AmlFigures(Reading(engine)), ChangeAmlFigures(uow, lambda: NOON))
        async with http_client("fraud", [router], keys) as client:
            yield Compliance(client, keys, watch, figures_admin_dsn, uow)
    await engine.dispose()


async def test_figures_judge_from_the_next_payments_on_once_a_colleague_agrees_and_alerts_name_them(
    compliance: Compliance,
) -> None:
    watch, author = compliance.watch, new_id()
    before, proposed, after = new_id(), new_id(), new_id()
    await watch.posts(*[(before, new_id(), 9_000_00) for _ in range(2)])
    await watch.settle()

    version = await compliance.propose(author, structuring_short_count=2)
    await watch.posts(*[(proposed, new_id(), 9_000_00) for _ in range(2)])
    await watch.settle()
    assert (await compliance.see("retail"))["version"] == 1

    assert await compliance.approve(author, version) == "own_aml_figures"
    assert await compliance.approve(new_id(), version) == "in_force"
    await watch.posts(*[(after, new_id(), 9_000_00) for _ in range(2)])
    await watch.settle()

    assert await watch.alerts(before) == []
    assert await watch.alerts(proposed) == []
    [alert] = await watch.alerts(after)
    assert alert["parameters_version"] == version


async def test_a_payment_that_no_earlier_figures_would_have_looked_at_is_looked_at_by_those_in_force(
    compliance: Compliance,
) -> None:
    payer, watch = new_id(), compliance.watch
    await watch.posts(*[(payer, new_id(), 90_00) for _ in range(2)])
    await watch.settle()
    await compliance.change(structuring_threshold_minor=100_00)
    await watch.posts((payer, new_id(), 90_00), hours=1)
    await watch.settle()
    [alert] = await watch.alerts(payer)
    assert alert["transfers"] == 3


async def test_every_version_is_kept_with_who_and_why_newest_first_page_by_page(compliance: Compliance) -> None:
    author, colleague = new_id(), new_id()
    business = await compliance.change("business", pass_through_parties_max=7)
    late, second, open_one = [await compliance.propose(author, fan_in_hours=hours) for hours in (12, 13, 14)]
    assert await compliance.approve(colleague, second) == "in_force"

    page = await compliance.see("retail/versions?limit=3")
    rest = await compliance.see(f"retail/versions?limit=3&cursor={page['next']}")

    shown = [(one["version"], one["status"]) for one in page["proposals"] + rest["proposals"]]
    assert shown == [(open_one, "proposed"), (second, "in_force"), (late, "superseded"), (1, "replaced")]
    assert rest["next"] is None
    assert late > business, "an alert's version alone says which figures"
    in_force = await compliance.see("retail")
    assert in_force == page["proposals"][1]
    assert (in_force["proposed_by"], in_force["approved_by"], in_force["reason"]) == (author, colleague, "looked at")
    assert in_force["figures"]["fan_in_hours"] == 13
    assert (await compliance.see("business"))["figures"]["pass_through_parties_max"] == 7
    rows = await compliance.watch.query(
        "SELECT actor_id::text, action FROM fraud.audit_log WHERE resource_id = $1 ORDER BY entry_id", str(second)
    )
    assert [tuple(row) for row in rows] == [(author, "aml_figures.propose"), (colleague, "aml_figures.approve")]


async def test_what_came_before_the_figures_in_force_or_came_into_force_already_is_refused(
    compliance: Compliance,
) -> None:
    first = await compliance.propose(new_id())
    second = await compliance.change(fan_in_senders=None)
    assert await compliance.approve(new_id(), first) == "aml_figures_superseded"
    assert await compliance.approve(new_id(), second) == "aml_figures_approved"
    assert await compliance.approve(new_id(), second, "business") == "aml_figures_not_found"
    assert (await compliance.see("retail"))["version"] == second


async def test_figures_of_who_lost_his_role_are_proposed_again(compliance: Compliance) -> None:
    anna = new_id()
    version = await compliance.propose(anna)
    void = "INSERT INTO fraud.void_approvals VALUES ($1, now() + interval '1 day')"
    async with admin_connection(compliance.admin_dsn) as connection:
        await connection.execute(void, anna)
        proposal = await find_proposal(connection, "retail", version)
        assert proposal is not None
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await put_in_force(connection, proposal, approver=new_id(), reason="looked at", at=NOON)
    assert refused.value.constraint_name == "aml_parameters_proposal_counts"
    assert await compliance.approve(new_id(), version) == "aml_figures_void"
    assert await compliance.approve(new_id(), await compliance.propose(new_id())) == "in_force"


async def test_a_role_that_ends_while_its_proposal_is_approved_ends_after_that(compliance: Compliance) -> None:
    anna, dsn = new_id(), compliance.admin_dsn
    version = await compliance.propose(anna)
    revoked = CredentialsRevoked(user_id=anna, session_id="", key_id="", occurred_at=to_rfc3339(NOON))
    async with asyncio.TaskGroup() as both, standing(dsn, "LOCK TABLE fraud.aml_parameters IN SHARE MODE"):
        approving = both.create_task(compliance.approve(new_id(), version))
        await until_waiting(dsn, 1)
        ending = both.create_task(VoidApprovals(compliance.uow.begin)([revoked]))
        await until_waiting_or_done(dsn, ending, 2)
    assert approving.result() == "in_force"
    assert await compliance.watch.query("SELECT FROM fraud.void_approvals WHERE actor_id = $1", anna)


async def test_a_proposal_is_not_approved_while_its_authors_role_just_ends(compliance: Compliance) -> None:
    anna, dsn = new_id(), compliance.admin_dsn
    version = await compliance.propose(anna)
    async with (
        asyncio.TaskGroup() as both,
        standing(dsn, "INSERT INTO fraud.void_approvals VALUES ($1, $2)", anna, NOON),
    ):
        approving = both.create_task(compliance.approve(new_id(), version))
        await until_waiting_or_done(dsn, approving, 1)
    assert approving.result() == "aml_figures_void"


async def test_figures_that_sql_put_there_without_a_floor_for_fan_in_are_shown_and_can_be_changed(
    compliance: Compliance,
) -> None:
    without = "SELECT * FROM fraud.aml_proposals WHERE profile = 'retail'"
    async with admin_connection(compliance.admin_dsn) as connection:
        await connection.execute(f"CREATE TEMP TABLE p AS {without}")
        await connection.execute("UPDATE p SET version = 2, fan_in_floor_minor = 0")
        await connection.execute("INSERT INTO fraud.aml_proposals SELECT * FROM p")
        await connection.execute("INSERT INTO fraud.aml_parameters SELECT *, 'another', 'agreed' FROM p")
    assert (await compliance.see("retail"))["figures"]["fan_in_floor_minor"] == 0
    shown = (await compliance.see("retail/versions"))["proposals"]
    assert [one["figures"]["fan_in_floor_minor"] for one in shown] == [0, 2_000_00]
    await compliance.change(fan_in_hours=12)
    assert (await compliance.see("retail"))["figures"]["fan_in_floor_minor"] == 0


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("structuring_threshold_minor", 0, "invalid_request"),
        ("structuring_threshold_minor", 2**53, "invalid_request"),
        ("structuring_near_per_cent", 100, "invalid_request"),
        ("structuring_long_hours", 169, "invalid_request"),
        ("structuring_short_count", 1, "invalid_request"),
        ("fan_in_senders", 1001, "invalid_request"),
        ("fan_in_new_per_cent", -1, "invalid_request"),
        ("fan_in_floor_minor", -1, "invalid_request"),
        ("pass_through_floor_minor", 0, "invalid_request"),
        ("pass_through_out_per_cent_max", 1001, "invalid_request"),
        ("pass_through_parties_max", 0, "invalid_request"),
        ("structuring_long_hours", 23, "aml_figures_contradict"),
        ("pass_through_out_per_cent_max", 89, "aml_figures_contradict"),
    ],
)
async def test_figures_out_of_bounds_are_refused_and_nothing_is_kept(
    compliance: Compliance, field: str, value: object, code: str
) -> None:
    figures = {**(await compliance.see("retail"))["figures"], field: value}
    answer = await compliance.post(new_id(), "retail/versions", figures=figures)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert len((await compliance.see("retail/versions"))["proposals"]) == 1


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE fraud.aml_proposals SET reason = 'x'", None),
        ("DELETE FROM fraud.aml_proposals", None),
        ("INSERT INTO fraud.aml_parameters SELECT (p).* FROM changed", "aml_parameters_proposed"),
        ("INSERT INTO fraud.aml_parameters SELECT (p).* FROM alone", "aml_parameters_by_two"),
    ],
    ids=["changed", "deleted", "not proposed", "alone"],
)
async def test_the_database_keeps_history_and_two_people(
    compliance: Compliance, statement: str, constraint: str | None
) -> None:
    await compliance.change()
    newest = "SELECT * FROM fraud.aml_parameters ORDER BY version DESC LIMIT 1"
    found = re.search(r"FROM (changed|alone)$", statement)
    async with admin_connection(compliance.admin_dsn) as connection:
        if found is not None:
            await connection.execute(f"CREATE TEMP TABLE p AS {newest}")
            change = "version = 99" if found[1] == "changed" else "version = 1, approved_by = published_by"
            await connection.execute(f"UPDATE p SET {change}")
            statement = "INSERT INTO fraud.aml_parameters SELECT * FROM p"
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await connection.execute(statement)
    assert constraint is None or refused.value.constraint_name == constraint
