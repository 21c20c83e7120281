"""Many reviews decided at once: each for itself, and under one key once, however often and wherever it is asked for."""

import asyncio

import asyncpg
import pytest

from libs.common import crash_points
from libs.common.errors import Unprocessable
from libs.common.ids import new_id
from services.fraud.domain.reviews import Decided, Refused
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, events_of, hold_for_review, in_bulk, review_of, reviewer

ABOVE = 100_000_01


async def hold_each(office: Office, *amounts_minor: int) -> list[str]:
    """Hold a transfer of each amount and return their ids."""
    held = [await hold_for_review(office, transfer(new_id(), amount_minor=amount)) for amount in amounts_minor]
    return [one.transfer_id for one in held]


def said_of(outcomes: list[Decided | Refused]) -> list[str]:
    return [one.code if isinstance(one, Refused) else one.review_status for one in outcomes]


async def test_many_are_decided_each_for_itself(office: Office, desk: Desk) -> None:
    who = reviewer()
    fine, taken, large = await hold_each(office, 1, 2, ABOVE)
    await desk.claim(taken, reviewer())
    ids = [fine, new_id(), taken, large]

    outcomes, was_so = await desk.decide_many(in_bulk(who), ids, who)

    assert ([one.transfer_id for one in outcomes], was_so) == (ids, False)
    assert said_of(outcomes) == ["approved", "review_not_found", "review_claimed", "open"]
    entries = await office.query(
        "SELECT resource_id, outcome, reason FROM fraud.audit_log WHERE actor_id = $1 ORDER BY entry_id", who.actor_id
    )
    assert [tuple(entry) for entry in entries] == [
        (ids[0], "done", ""),
        (ids[1], "refused", "review_not_found"),
        (ids[2], "refused", "review_claimed"),
        (ids[3], "done", ""),
    ]
    assert who.is_recorded


async def test_a_copy_is_told_what_became_of_each_and_changes_nothing(office: Office, desk: Desk) -> None:
    who = reviewer()
    fine, taken, large = await hold_each(office, 1, 2, ABOVE)
    await desk.claim(taken, reviewer())
    request, ids = in_bulk(who), [fine, taken, large]
    first, _ = await desk.decide_many(request, ids, who)
    office.pass_time(minutes=20)

    again, was_so = await desk.decide_many(request, ids, who)

    assert (again, was_so) == (first, True), "also what is claimed no more, and half approved by himself"
    assert said_of(first) == ["approved", "review_claimed", "open"]
    assert len(office.resolutions(fine)) == 1
    assert [kind for kind, *_ in await events_of(office, large)] == ["approved_once"]
    assert (await review_of(office, taken)).status == "open"
    audited = await office.query("SELECT 1 FROM fraud.audit_log WHERE actor_id = $1", who.actor_id)
    assert len(audited) == 3
    other, _ = await desk.decide_many(in_bulk(who), ids, who)
    assert said_of(other) == ["review_not_open", "approved", "second_person_required"]


class Killed(BaseException):
    """Nothing in the service may catch this, as nothing catches a kill."""


@pytest.mark.parametrize("point", ["fraud.before_commit", "fraud.after_commit_before_publish"])
async def test_after_a_death_on_the_way_a_copy_does_the_rest(
    office: Office, desk: Desk, second_desk: Desk, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    who = reviewer()
    ids = await hold_each(office, 1, 2, ABOVE)
    request, reached = in_bulk(who), 0

    def kill(name: str) -> None:
        nonlocal reached
        reached += name == point
        if reached == 3:
            raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(crash_points, "_hook", kill)
        with pytest.raises(Killed):
            await desk.decide_many(request, ids, who)
    begun = [(await review_of(office, one)).status for one in ids]
    assert "approved" in begun

    outcomes, was_so = await second_desk.decide_many(request, ids, who)

    assert said_of(outcomes) == ["approved", "approved", "open"]
    assert was_so == (point == "fraud.after_commit_before_publish")
    assert [[kind for kind, *_ in await events_of(office, one)] for one in ids] == [
        ["approved"],
        ["approved"],
        ["approved_once"],
    ]


async def test_copies_at_once_are_told_the_same(office: Office, desk: Desk, second_desk: Desk) -> None:
    who = reviewer()
    ids = [*await hold_each(office, 1, ABOVE, 2, 3, ABOVE), new_id()]
    request = in_bulk(who)

    (one, _), (other, _) = await asyncio.gather(
        desk.decide_many(request, ids, who), second_desk.decide_many(request, ids, who)
    )

    assert one == other
    assert said_of(one) == ["approved", "open", "approved", "approved", "open", "review_not_found"]
    kinds = [[kind for kind, *_ in await events_of(office, each)] for each in ids[:-1]]
    assert kinds == [["approved"], ["approved_once"], ["approved"], ["approved"], ["approved_once"]]


async def test_one_key_is_for_one_request(office: Office, desk: Desk) -> None:
    who = reviewer()
    first, second = await hold_each(office, 1, 2)
    await desk.decide_many(in_bulk(who, key="one", body=b"1"), [first], who)
    with pytest.raises(Unprocessable, match="new key"):
        await desk.decide_many(in_bulk(who, key="one", body=b"2"), [second], who)
    assert (await review_of(office, second)).status == "open"
    outcomes, _ = await desk.decide_many(in_bulk(who, "reject", key="one", body=b"2"), [second], who)
    assert said_of(outcomes) == ["rejected"], "a key belongs to a route"


async def test_what_was_unavailable_is_tried_again_by_a_copy(office: Office, desk: Desk) -> None:
    who = reviewer()
    locked, free = await hold_each(office, 1, 2)
    request = in_bulk(who)
    somebody = await asyncpg.connect(office.dsn)
    try:
        async with somebody.transaction():
            await somebody.execute("SELECT 1 FROM fraud.holds WHERE transfer_id = $1 FOR UPDATE", locked)
            outcomes, was_so = await desk.decide_many(request, [locked, free], who)
    finally:
        await somebody.close()
    assert (said_of(outcomes), was_so) == (["database_busy", "approved"], False)
    assert (await review_of(office, locked)).status == "open"
    again, was_so = await desk.decide_many(request, [locked, free], who)
    assert (said_of(again), was_so) == (["approved", "approved"], False)
