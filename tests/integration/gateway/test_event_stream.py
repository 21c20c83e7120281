"""What is kept for those who listen: each event once, in the order in which it becomes visible, theirs alone."""

import asyncio
from datetime import timedelta
from typing import get_args

import msgspec
import pytest

from libs.common.contracts.accounts import AccountChanged, AccountStatus
from libs.common.contracts.kyc import VerificationChanged
from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from services.gateway.domain.events import KEPT_FOR
from services.gateway.store.directory import KnownAccount, save_accounts
from services.gateway.store.events import load_head
from services.gateway.use_cases.keep_events import KeepEvents, PruneEvents
from services.gateway.use_cases.project_outcomes import project_outcomes
from tests.integration.gateway.listening import Listening


async def test_nothing_is_kept_for_those_who_never_listened(listening: Listening) -> None:
    transfer_id = await listening.sent()
    await listening.listens(listening.payee.owner_id)
    await listening.keep.transfers([listening.said(transfer_id, "posted")])
    assert await listening.heard_by(listening.payer.owner_id) == []
    [event] = await listening.heard_by(listening.payee.owner_id)
    assert (event["type"], event["data"]["transfer_id"]) == ("transfer.posted", transfer_id)
    assert event["data"]["account_ids"] == [listening.payee.account_id]
    assert event["data"]["legs"][0]["amount_minor"] == 5


async def test_an_event_told_twice_is_kept_once_and_an_older_one_that_comes_late_is_kept(listening: Listening) -> None:
    user_id, transfer_id = listening.payer.owner_id, await listening.sent()
    await listening.listens(user_id)
    held, posted = listening.said(transfer_id, "held", 1), listening.said(transfer_id, "posted", 2)
    await listening.keep.transfers([posted])
    await listening.keep.transfers([held, posted])
    await KeepEvents(listening.counter.connections["lookup"], listening.counter.clock).transfers([posted, held])
    heard = await listening.heard_by(user_id)
    assert [event["type"] for event in heard] == ["transfer.posted", "transfer.held"]
    assert len({event["id"] for event in heard}) == 2


async def test_a_payee_is_not_told_that_he_would_have_been_paid(listening: Listening) -> None:
    for party in (listening.payer, listening.payee):
        await listening.listens(party.owner_id)
    refused, blocked = await listening.sent(), await listening.sent()
    facts: dict[str, int | str] = {"available_minor": 3, "needed_minor": 5}
    await listening.keep.transfers(
        [
            msgspec.structs.replace(listening.said(refused, "refused", code="insufficient_funds"), facts=facts),
            listening.said(blocked, "blocked", code="kyc_required"),
        ]
    )
    first, second = await listening.heard_by(listening.payer.owner_id)
    assert first["data"]["failure_reason"] == "Available 3 of asset USD is less than 5."
    assert second["type"] == "transfer.blocked"
    assert await listening.heard_by(listening.payee.owner_id) == []


@pytest.mark.parametrize("says_itself", [True, False])
async def test_a_reversal_is_told_to_the_parties_of_what_it_reverses_with_what_it_moved(
    *, says_itself: bool, listening: Listening
) -> None:
    for party in (listening.payer, listening.payee):
        await listening.listens(party.owner_id)
    transfer_id = await listening.sent()
    reversal_id = await listening.reversed(transfer_id)
    said = [
        listening.said(transfer_id, "posted"),
        listening.said(
            reversal_id,
            "posted",
            journal_index=6,
            reverses=transfer_id,
            gave_back_minor=(5,) if says_itself else (),
        ),
        # Without the state before it, this one does not tell what the reversal gave back.
        listening.said(transfer_id, "posted", 3 if says_itself else 2, journal_index=7, reversed_minor=(5,)),
    ]
    await project_outcomes(said, listening.counter.connections["projection"])
    await listening.keep.transfers(said)
    for party in (listening.payer, listening.payee):
        _, reversal, original = await listening.heard_by(party.owner_id)
        assert (reversal["data"]["kind"], reversal["data"]["reverses"]) == ("reversal", transfer_id)
        [leg] = reversal["data"]["legs"]
        assert (leg["source_account_id"], leg["amount_minor"]) == (listening.payee.account_id, 5)
        assert (original["type"], original["data"]["reversed_minor"]) == ("transfer.reversed", [5])


async def test_accounts_and_verifications_are_told_to_whose_they_are(listening: Listening) -> None:
    user_id, account_id = new_id(), new_id()
    await listening.listens(user_id)
    async with listening.counter.connections["lookup"].autocommit() as database:
        await save_accounts(database, [KnownAccount(account_id, user_id, "USD", "active", 2)])
    at = listening.now()
    accounts = [
        AccountChanged(
            account_id=account_id,
            account_number="TS17000000000001",
            owner_id=user_id,
            asset="USD",
            status=status,
            version=version,
            occurred_at=at,
        )
        for version, status in enumerate(get_args(AccountStatus)[:2], 1)
    ]
    frozen = LedgerAccountChanged(
        account_id=account_id,
        status="frozen",
        minimum_minor=0,
        maximum_minor=9,
        shard=0,
        journal_index=40,
        occurred_at=at,
    )
    approved = VerificationChanged(user_id=user_id, status="approved", tier=1, version=3, occurred_at=at)
    for _ in range(2):
        await listening.keep.accounts(accounts)
        await listening.keep.account_states([frozen])
        await listening.keep.verifications([approved])
    heard = await listening.heard_by(user_id)
    assert [event["type"] for event in heard] == ["account.changed", "account.status_changed", "verification.changed"]
    assert heard[0]["data"]["status"] == "active"


async def test_what_happened_before_somebody_listened_or_too_long_ago_is_not_told(listening: Listening) -> None:
    user_id = listening.payer.owner_id
    before, old, new = [await listening.sent() for _ in range(3)]
    said_before = listening.said(before, "posted")
    listening.counter.clock.move(timedelta(minutes=2))
    await listening.listens(user_id)
    said_old = listening.said(old, "posted")
    listening.counter.clock.move(KEPT_FOR + timedelta(minutes=1))
    await listening.keep.transfers([said_before, said_old, listening.said(new, "posted")])
    assert [event["data"]["transfer_id"] for event in await listening.heard_by(user_id)] == [new]


async def test_what_is_too_old_is_deleted_and_it_is_noted_up_to_where(listening: Listening) -> None:
    user_id, clock = listening.payer.owner_id, listening.counter.clock
    await listening.listens(user_id)
    await listening.keep.transfers([listening.said(await listening.sent(), "posted")])
    async with listening.counter.connections["lookup"].autocommit() as database:
        old = await load_head(database)
    clock.move(KEPT_FOR)
    await listening.keep.transfers([listening.said(await listening.sent(), "held")])
    clock.move(timedelta(days=2))
    await PruneEvents(listening.counter.connections["repeats"], clock)()
    assert [event["type"] for event in await listening.heard_by(user_id)] == ["transfer.held"]
    async with listening.counter.connections["lookup"].autocommit() as database:
        head = await load_head(database)
    assert head.pruned_to == old.position < head.position
    assert await listening.listens(user_id) >= head.position, "who was forgotten listens anew"


async def test_a_position_is_never_visible_before_a_lower_one(listening: Listening) -> None:
    """A second writer waits for the first to commit, however much earlier it asked."""
    counter, user_id = listening.counter, listening.payer.owner_id
    await listening.listens(user_id)
    first, second = [await listening.sent() for _ in range(2)]
    slow: HotConnection = counter.connections["repeats"]
    async with slow.transaction() as database:
        await database.execute("UPDATE gateway.event_heads SET position = position + 1")
        writing = asyncio.create_task(listening.keep.transfers([listening.said(first, "posted")]))
        blocked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%event_heads%'"
        async with asyncio.timeout(20):
            while not await counter.rows(blocked):  # noqa: ASYNC110 -- what is waited for is another connection's state
                await asyncio.sleep(0.01)
        assert await listening.heard_by(user_id) == []
        [held] = await database.fetch("SELECT position FROM gateway.event_heads")
    await writing
    await listening.keep.transfers([listening.said(second, "posted")])
    rows = await counter.rows("SELECT position FROM gateway.events WHERE user_id = $1 ORDER BY position", user_id)
    assert len(rows) == 2
    assert rows[0]["position"] > held["position"]


async def test_nobody_changes_an_event(listening: Listening) -> None:
    await listening.listens(listening.payer.owner_id)
    await listening.keep.transfers([listening.said(await listening.sent(), "posted")])
    with pytest.raises(Exception, match="never changed"):
        await listening.counter.rows("UPDATE gateway.events SET payload = ''")
