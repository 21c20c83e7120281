"""Holds that their callers asked for: how they are asked for, answered, replayed and shown."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2
import msgspec
import pytest

from libs.common.contracts.gateway import TransferRequested
from libs.common.contracts.transfers import HOLD_SECONDS_MAX
from libs.common.ids import new_id
from services.gateway.domain.requests import HOLD_SECONDS_DEFAULT
from services.gateway.use_cases.project_outcomes import project_outcomes
from tests.integration.gateway.counter import AT, Counter, changed
from tests.integration.gateway.test_intake import until

EXPIRES = "2026-03-08T09:30:00.000000Z"
HELD: dict[str, Any] = {"resolver": "caller", "expires_at": EXPIRES}


async def posted(
    counter: Counter, http: httpx2.AsyncClient, body: dict[str, Any], *, key: str = "", wait: str = "respond-async"
) -> httpx2.Response:
    headers = {**counter.keys.bearer(counter.payer.owner_id), "Idempotency-Key": key or new_id(), "Prefer": wait}
    return await http.post("/api/v1/transfers", json=body, headers=headers)


async def shown(counter: Counter, http: httpx2.AsyncClient, transfer_id: str) -> dict[str, Any]:
    answer = await http.get(f"/api/v1/transfers/{transfer_id}", headers=counter.keys.bearer(counter.payer.owner_id))
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def hold_seconds_sent(counter: Counter) -> list[int]:
    requested = [msgspec.json.decode(one.payload, type=TransferRequested) for one in counter.publisher.sent]
    return [one.command.hold_seconds for one in requested]


async def test_a_hold_lasts_as_long_as_asked_for_and_seven_days_unless_said(counter: Counter) -> None:
    async with counter.http() as http:
        for changes in ({}, {"hold": False}, {"hold": True}, {"hold": True, "expires_in_seconds": HOLD_SECONDS_MAX}):
            assert (await posted(counter, http, counter.body(**changes))).status_code == 202
    assert hold_seconds_sent(counter) == [0, 0, HOLD_SECONDS_DEFAULT, HOLD_SECONDS_MAX]
    assert b"hold_seconds" not in counter.publisher.sent[0].payload, "who wants no hold pays for no field"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"expires_in_seconds": 60}, "expiry_without_hold"),
        ({"hold": False, "expires_in_seconds": 60}, "expiry_without_hold"),
        ({"hold": True, "expires_in_seconds": 0}, "invalid_request"),
        ({"hold": True, "expires_in_seconds": HOLD_SECONDS_MAX + 1}, "invalid_request"),
        ({"hold": True, "expires_in_seconds": None}, "invalid_request"),
        ({"hold": 1}, "invalid_request"),
    ],
)
async def test_other_holds_are_refused_and_not_stored(changes: dict[str, Any], code: str, counter: Counter) -> None:
    async with counter.http() as http:
        answer = await posted(counter, http, counter.body(**changes))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert counter.publisher.sent == []


async def test_a_hold_of_the_caller_s_is_created_and_replayed_as_held_whatever_came_later(counter: Counter) -> None:
    key, body = new_id(), counter.body(hold=True, amount_minor=500)
    async with counter.http() as http:
        first = await posted(counter, http, body, key=key)
        transfer_id = first.json()["transfer_id"]
        await counter.hear_all(changed(transfer_id, "held", 1, **HELD))
        held = await posted(counter, http, body, key=key)
        assert (held.status_code, held.headers["location"]) == (201, f"/api/v1/transfers/{transfer_id}")
        assert (held.json()["status"], held.json()["resolver"], held.json()["expires_at"]) == (
            "held",
            "caller",
            EXPIRES,
        )
        assert "settled_at" not in held.json()
        await counter.hear_all(changed(transfer_id, "posted", 2, captured_minor=(500,), **HELD))
        again = await posted(counter, http, body, key=key)
        assert (again.status_code, again.content) == (201, held.content)
        newest = await shown(counter, http, transfer_id)
    assert (newest["status"], newest["captured_minor"], newest["version"]) == ("posted", 500, 2)


async def test_a_hold_of_a_review_s_is_only_accepted(counter: Counter) -> None:
    key, body = new_id(), counter.body(hold=True)
    async with counter.http() as http:
        transfer_id = (await posted(counter, http, body, key=key)).json()["transfer_id"]
        await counter.hear_all(changed(transfer_id, "held", 1, resolver="fraud", reasons=("kyc_pending",)))
        reviewed = await posted(counter, http, body, key=key)
        assert (reviewed.status_code, reviewed.json()["resolver"]) == (202, "fraud")
        assert reviewed.json()["reasons"] == ["kyc_pending"]
        await counter.hear_all(changed(transfer_id, "held", 2, **HELD))
        released = await posted(counter, http, body, key=key)
    assert (released.status_code, released.json()["resolver"]) == (201, "caller")


async def test_the_first_frozen_state_of_a_batch_of_messages_is_the_answer(counter: Counter) -> None:
    """Also when the projection hears of the capture together with the hold, or in another order."""
    states = [
        changed("", "held", 1, **HELD),
        changed("", "held", 2, captured_minor=(3,), **HELD),
        changed("", "posted", 3, captured_minor=(3,), **HELD),
    ]
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        key, body = new_id(), counter.body(hold=True)
        async with counter.http() as http:
            transfer_id = (await posted(counter, http, body, key=key)).json()["transfer_id"]
            heard = [msgspec.structs.replace(states[place], transfer_id=transfer_id) for place in order]
            await project_outcomes(heard, counter.connections["projection"])
            await project_outcomes(heard[:1], counter.connections["projection"])
            assert (await posted(counter, http, body, key=key)).json()["version"] == 1
            assert (await shown(counter, http, transfer_id))["version"] == 3


async def test_who_is_told_held_by_the_tip_is_told_who_ends_it(counter: Counter) -> None:
    async with counter.http() as http:
        first = asyncio.create_task(posted(counter, http, counter.body(hold=True), wait="wait=20"))
        await until(lambda: bool(counter.publisher.sent))
        await counter.hear_all(changed(counter.sent_ids()[0], "held", 1, **HELD))
        answer = await first
    assert (answer.status_code, answer.json()["resolver"]) == (201, "caller")


def legs(counter: Counter, *amounts_minor: int) -> list[dict[str, Any]]:
    return [counter.body(amount_minor=amount_minor) for amount_minor in amounts_minor]


@pytest.mark.parametrize(
    ("amounts_minor", "told", "captured"),
    [((7,), (5,), 5), ((7, 8), (5, 0), [5, 0]), ((7,), (), None), ((7, 8), (0, 0), None)],
)
async def test_what_was_captured_is_told_as_a_number_or_by_leg(
    amounts_minor: Sequence[int], told: tuple[int, ...], captured: object, counter: Counter
) -> None:
    async with counter.http() as http:
        body = {"hold": True, "legs": legs(counter, *amounts_minor)}
        transfer_id = (await posted(counter, http, body)).json()["transfer_id"]
        await counter.hear_all(changed(transfer_id, "held", 1, captured_minor=told, **HELD))
        assert (await shown(counter, http, transfer_id)).get("captured_minor") == captured


async def test_a_reversal_and_a_fee_show_and_leave_the_answer_and_the_time_of_posting(counter: Counter) -> None:
    key = new_id()
    async with counter.http() as http:
        transfer_id = (await posted(counter, http, counter.body(), key=key)).json()["transfer_id"]
        await counter.hear_all(changed(transfer_id, "posted", 1, fee_minor=2))
        first = await posted(counter, http, counter.body(), key=key)
        later = msgspec.structs.replace(
            changed(transfer_id, "posted", 2, fee_minor=1, reversed_minor=(4,)), occurred_at="2026-04-01T00:00:00Z"
        )
        await counter.hear_all(later)
        newest = await shown(counter, http, transfer_id)
        again = await posted(counter, http, counter.body(), key=key)
    assert (first.json()["fee_minor"], again.content) == (2, first.content)
    assert (newest["fee_minor"], newest["reversed_minor"], newest["settled_at"]) == (1, 4, AT)


@pytest.mark.parametrize("mode", ["atomic", "independent"])
async def test_only_an_independent_batch_may_hold(mode: str, counter: Counter) -> None:
    items = [counter.body(idempotency_key=new_id(), hold=held) for held in (False, True)]
    async with counter.http() as http:
        headers = {**counter.keys.bearer(counter.payer.owner_id), "Prefer": "wait=20"}
        request = http.post("/api/v1/transfers/batch", json={"mode": mode, "transfers": items}, headers=headers)
        if mode == "atomic":
            answer = await request
            assert (answer.status_code, answer.json()["code"]) == (422, "hold_in_atomic_batch")
            assert counter.publisher.sent == []
            return
        waiting = asyncio.create_task(request)
        await until(lambda: len(counter.publisher.sent) == 2)
        by_hold = sorted(counter.publisher.sent, key=lambda message: b"hold_seconds" in message.payload)
        first, second = (message.message_id for message in by_hold)
        await counter.hear_all(changed(first, "posted"), changed(second, "held", 1, **HELD))
        answer = await waiting
    results = answer.json()["results"]
    assert [(one["status"], one.get("resolver", "")) for one in results] == [("posted", ""), ("held", "caller")]
    assert results[1]["expires_at"] == EXPIRES
