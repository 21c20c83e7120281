"""Alerts as compliance works with them, and as nobody else ever sees them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest

from libs.common.audit.asker import Asker
from libs.common.audit.what_to_note import resource_of
from libs.common.ids import new_id
from services.fraud.api.alert_models import AlertFilter
from services.fraud.api.alerts import alerts_router
from services.fraud.use_cases.review_alerts import ReviewAlerts
from services.fraud.views.show_alerts import EVENTS_SHOWN, ShowAlerts
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.watch_desk import WatchDesk
from tests.support.api_world import (
    ROLE_PASSWORD,
    MovedClock,
    RecordingPublisher,
    TokenKeys,
    http_client,
    migrated_database,
    unit_of_work,
)

PATH = "/api/v1/admin/fraud/alerts"
REASON = {"reason": "looked at"}


@pytest.fixture(scope="module")
def alerts_admin_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a database with no alerts but those of these tests."""
    with migrated_database(postgres_dsn, "fraud") as admin_dsn:
        yield admin_dsn


@dataclass
class World:
    """The routes, and the desk that raises alerts."""

    http: httpx2.AsyncClient
    desk: WatchDesk
    keys: TokenKeys
    clock: MovedClock

    async def alert(self, subject_id: str | None = None) -> str:
        """Raise an alert for structuring, and return its id."""
        subject_id = subject_id or new_id()
        self.desk.now = self.clock()
        changes = await self.desk.decided(*[(subject_id, new_id(), 9_000_00) for _ in range(3)])
        at = self.desk.now.astimezone(UTC).isoformat().replace("+00:00", "Z")
        await self.desk.hear([msgspec.structs.replace(change, occurred_at=at) for change in changes])
        await self.desk.settle()
        return str((await self.desk.alerts(subject_id))[-1]["alert_id"])

    async def get(self, path: str = "", *, by: str = "", role: str = "compliance", **query: Any) -> httpx2.Response:
        return await self.http.get(f"{PATH}{path}", params=query, headers=self.keys.bearer(by or new_id(), role))

    async def post(self, path: str, body: dict[str, Any] | None = None, *, by: str, role: str = "compliance") -> Any:
        return await self.http.post(f"{PATH}{path}", json=body, headers=self.keys.bearer(by, role))

    async def note(self, alert_id: str, text: str, *, by: str, key: str) -> httpx2.Response:
        """Add a note under an idempotency key."""
        headers = self.keys.bearer(by, "compliance") | {"Idempotency-Key": key}
        return await self.http.post(f"{PATH}/{alert_id}/notes", json={"note": text}, headers=headers)

    async def move(self, alert_id: str, state: str, *, by: str) -> httpx2.Response:
        answer: httpx2.Response = await self.post(f"/{alert_id}/state", {"state": state, **REASON}, by=by)
        return answer

    async def audited(self, alert_id: str) -> list[asyncpg.Record]:
        return await self.desk.query(
            "SELECT actor_id, action, resource_type, resource_id, facts FROM fraud.audit_log WHERE resource_id = $1"
            " ORDER BY entry_id",
            alert_id,
        )


@pytest.fixture
async def world(alerts_admin_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    keys, clock = TokenKeys(tmp_path), MovedClock()
    async with (
        unit_of_work(alerts_admin_dsn, "fraud", RecordingPublisher()) as uow,
        http_client("fraud", [alerts_router(ShowAlerts(uow), ReviewAlerts(uow, clock))], keys) as http,
        WatchDesk(dsn_of_role(alerts_admin_dsn, "tallystick_fraud", ROLE_PASSWORD)) as desk,
    ):
        yield World(http, desk, keys, clock)


async def test_an_alert_is_shown_with_what_proves_it_and_what_happened(world: World) -> None:
    subject, reviewer = new_id(), new_id()
    alert_id = await world.alert(subject)

    body = (await world.get(f"/{alert_id}", by=reviewer)).json()

    assert (body["typology"], body["subject_id"], body["state"]) == ("structuring", subject, "open")
    assert (body["transfer_count"], body["claimed_by"], body["score"]) == (3, None, 50)
    assert [(one["payer_id"], one["usd_minor"]) for one in body["transfers"]] == [(subject, 9_000_00)] * 3
    assert [(one["event"], one["actor_id"]) for one in body["events"]] == [("opened", None)]


async def test_a_claimed_alert_is_closed_with_a_reason_and_each_step_is_kept(world: World) -> None:
    alert_id, reviewer = await world.alert(), new_id()

    claimed = await world.post(f"/{alert_id}/claim", by=reviewer)
    noted = await world.post(f"/{alert_id}/notes", {"note": "sold a car"}, by=reviewer)
    closed = await world.move(alert_id, "closed_false_positive", by=reviewer)

    assert [one.status_code for one in (claimed, noted, closed)] == [200, 200, 200]
    assert (claimed.json()["state"], claimed.json()["claimed_by"]) == ("in_review", reviewer)
    assert (closed.json()["state"], closed.json()["version"]) == ("closed_false_positive", 4)
    events = (await world.get(f"/{alert_id}")).json()["events"]
    assert [(one["event"], one["to_state"], one["text"]) for one in events] == [
        ("closed", "closed_false_positive", "looked at"),
        ("noted", "in_review", "sold a car"),
        ("claimed", "in_review", ""),
        ("opened", "open", ""),
    ]
    audited = [(row["actor_id"], row["action"], row["resource_type"]) for row in await world.audited(alert_id)]
    assert audited == [(reviewer, "alert.decide", "alert")] * 3
    assert "sold a car" not in str(await world.audited(alert_id))


@pytest.mark.parametrize("state", ["closed_confirmed", "closed_suspicious", "closed_false_positive"])
async def test_nobody_closes_what_is_not_claimed_and_nothing_follows_closing(world: World, state: str) -> None:
    alert_id, reviewer = await world.alert(), new_id()

    early = await world.move(alert_id, state, by=reviewer)
    assert (early.status_code, early.json()["code"]) == (409, "alert_move_illegal")
    assert early.json()["legal_states"] == ["in_review"]

    await world.post(f"/{alert_id}/claim", by=reviewer)
    assert (await world.move(alert_id, state, by=reviewer)).status_code == 200
    for late in (
        await world.move(alert_id, "open", by=reviewer),
        await world.move(alert_id, "closed_confirmed", by=reviewer),
        await world.post(f"/{alert_id}/claim", by=reviewer),
    ):
        assert (late.status_code, late.json()["code"], late.json()["legal_states"]) == (409, "alert_move_illegal", [])
    assert (await world.get(f"/{alert_id}")).json()["version"] == 3


async def test_a_claim_is_its_reviewer_s_until_somebody_gives_it_back(world: World) -> None:
    alert_id, reviewer, colleague = await world.alert(), new_id(), new_id()
    await world.post(f"/{alert_id}/claim", by=reviewer)

    assert (await world.post(f"/{alert_id}/claim", by=reviewer)).json()["version"] == 2, "again changes nothing"
    assert (await world.post(f"/{alert_id}/claim", by=colleague)).json()["code"] == "alert_claimed"
    assert (await world.move(alert_id, "closed_confirmed", by=colleague)).json()["code"] == "alert_claimed"

    returned = (await world.move(alert_id, "open", by=colleague)).json()
    assert (returned["state"], returned["claimed_by"]) == ("open", None)
    assert (await world.post(f"/{alert_id}/claim", by=colleague)).json()["claimed_by"] == colleague


async def test_whoever_an_alert_is_about_does_not_find_it_whatever_his_roles(world: World) -> None:
    officer = new_id()
    alert_id = await world.alert(officer)

    for answer in (
        await world.get(f"/{alert_id}", by=officer),
        await world.post(f"/{alert_id}/claim", by=officer),
        await world.move(alert_id, "closed_false_positive", by=officer),
        await world.post(f"/{alert_id}/notes", {"note": "x"}, by=officer),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "alert_not_found")
    assert (await world.get(by=officer, subject_id=officer)).json() == {"alerts": [], "next": None}
    assert len((await world.get(subject_id=officer)).json()["alerts"]) == 1


@pytest.mark.parametrize("role", ["customer", "support", "operator", "admin"])
async def test_others_are_refused(world: World, role: str) -> None:
    alert_id = await world.alert()
    for answer in (
        await world.get(role=role),
        await world.get(f"/{alert_id}", role=role),
        await world.post(f"/{alert_id}/claim", by=new_id(), role=role),
        await world.post(f"/{alert_id}/notes", {"note": "x"}, by=new_id(), role=role),
        await world.post(f"/{alert_id}/state", {"state": "open", **REASON}, by=new_id(), role=role),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "role_required")


async def test_auditors_read_and_change_nothing(world: World) -> None:
    alert_id = await world.alert()
    assert (await world.get(f"/{alert_id}", role="auditor")).status_code == 200
    assert (await world.get(role="auditor")).status_code == 200
    assert (await world.post(f"/{alert_id}/claim", by=new_id(), role="auditor")).status_code == 403


async def test_alerts_are_listed_newest_first_page_by_page(world: World) -> None:
    made = [await world.alert() for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await world.get(limit=2, **cursor)).json()
        seen.extend(one["alert_id"] for one in page["alerts"])
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [one for one in seen if one in made] == made[::-1]
    assert seen == sorted(seen, reverse=True)
    wrong = await world.get(limit=2, cursor=cursor["cursor"], state="open")
    assert wrong.json()["code"] == "cursor_invalid"


async def test_alerts_are_found_by_what_they_are(world: World) -> None:
    subject, reviewer = new_id(), new_id()
    before = datetime.now(UTC)
    alert_id = await world.alert(subject)
    opened_at = (await world.get(f"/{alert_id}")).json()["opened_at"]
    await world.post(f"/{alert_id}/claim", by=reviewer)

    async def finds(**query: Any) -> bool:
        answer = await world.get(**query)
        assert answer.status_code == 200, answer.text
        return alert_id in {one["alert_id"] for one in answer.json()["alerts"]}

    assert await finds(subject_id=subject, typology="structuring", state="in_review")
    assert not await finds(subject_id=new_id())
    assert not await finds(typology="fan_in")
    assert not await finds(state="open")
    assert await finds(**{"from": opened_at})
    assert not await finds(to=opened_at)
    assert not await finds(to=before.isoformat().replace("+00:00", "Z"))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"typology": "round_trip"}, "invalid_request"),
        ({"state": "closed"}, "invalid_request"),
        ({"subject_id": "him"}, "invalid_request"),
        ({"limit": 0}, "invalid_request"),
        ({"limit": 201}, "invalid_request"),
        ({"cursor": "x"}, "cursor_invalid"),
        ({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "conflicting_parameters"),
    ],
    ids=["typology", "state", "subject", "none", "too_many", "cursor", "period"],
)
async def test_questions_that_make_no_sense_are_refused(world: World, query: dict[str, Any], code: str) -> None:
    answer = await world.get(**query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("state", {"state": "in_review", "reason": "x"}),
        ("state", {"state": "closed_confirmed"}),
        ("state", {"state": "closed_confirmed", "reason": ""}),
        ("state", {"state": "closed_confirmed", "reason": "x" * 1001}),
        ("notes", {"note": ""}),
        ("notes", {"note": "x" * 1001}),
        ("notes", {"note": "a\x00b"}),
        ("notes", {"note": "x", "more": 1}),
    ],
    ids=["claiming", "no_reason", "empty_reason", "long_reason", "empty_note", "long_note", "control", "unknown"],
)
async def test_a_wrong_body_changes_nothing(world: World, path: str, body: dict[str, Any]) -> None:
    alert_id = await world.alert()
    answer = await world.post(f"/{alert_id}/{path}", body, by=new_id())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await world.get(f"/{alert_id}")).json()["version"] == 1


async def test_older_events_are_asked_for_by_version(world: World) -> None:
    alert_id, reviewer = await world.alert(), new_id()
    for number in range(3):
        await world.post(f"/{alert_id}/notes", {"note": f"note {number}"}, by=reviewer)
    body = (await world.get(f"/{alert_id}", events_before=3)).json()
    assert [one["version"] for one in body["events"]] == [2, 1]
    assert EVENTS_SHOWN == 200


async def test_an_unknown_alert_is_not_found_and_a_wrong_id_is_refused(world: World) -> None:
    assert (await world.get(f"/{new_id()}")).json()["code"] == "alert_not_found"
    assert (await world.get("/not-an-id")).status_code == 422


def test_what_staff_read_about_alerts_is_not_noted_as_about_the_customer() -> None:
    """His export lists what staff other than compliance read about him: an auditor's question must not be there."""
    names = {field.alias or name for name, field in AlertFilter.model_fields.items()}
    query = "&".join(f"{name}={new_id()}" for name in sorted(names)).encode()
    assert resource_of(Asker(), {}, query) == ("", "")
    assert resource_of(Asker(), {"alert_id": "a"}, query) == ("alert", "a")


async def test_a_note_that_is_sent_again_stands_once(world: World) -> None:
    alert_id, anna, ben = await world.alert(), new_id(), new_id()

    answers = await asyncio.gather(*(world.note(alert_id, "sold a car", by=anna, key="once") for _ in range(4)))

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in answers) == ["", *["true"] * 3]
    refused = await world.note(alert_id, "sold two", by=anna, key="once")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert (await world.note(alert_id, "sold a car", by=ben, key="once")).status_code == 200, "the key is his own"
    events = (await world.get(f"/{alert_id}")).json()["events"]
    assert [one["actor_id"] for one in events if one["event"] == "noted"] == [ben, anna]
    assert len(await world.audited(alert_id)) == 2
