"""What others noticed about customers is kept once, of everybody concerned, and judges their very next transfers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from libs.common.clock import to_rfc3339
from libs.common.contracts.fraud import TransferScreened
from libs.common.contracts.kyc import DocumentShared
from libs.common.contracts.transfers import TransferCommand
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.fraud.domain.features import PLACES
from services.fraud.domain.replay import FeaturesMissing, replay
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset
from services.fraud.domain.stored_features import Features
from services.fraud.store.signals import SHARED_DOCUMENTS_MAX
from services.fraud.use_cases.keep_signals import KeepSignals
from services.fraud.use_cases.publish_shipped_rules import shipped_rules
from tests.integration.fraud.office import NOON, Office, transfer
from tests.integration.fraud.rulebook import end_rulesets, put_live
from tests.support.api_world import admin_connection

LARGE_MINOR = 1_000_00


@pytest.fixture
async def shipped(office: Office, fraud_admin_dsn: str) -> AsyncIterator[Ruleset]:
    """Put the shipped rules in force, for as long as the test runs."""
    version = await put_live(fraud_admin_dsn, shipped_rules())
    office.screening.look_again()
    yield Ruleset(version, read_ruleset(shipped_rules()))
    await end_rulesets(fraud_admin_dsn)


def shared_by(*user_ids: str, at: datetime = NOON) -> DocumentShared:
    """Tell that the last of these sent what the others had sent."""
    return DocumentShared(
        document_id=new_id(), user_id=user_ids[-1], other_user_ids=user_ids[:-1], occurred_at=to_rfc3339(at)
    )


async def moments_of(office: Office, user_id: str) -> list[datetime]:
    [row] = await office.query("SELECT documents_shared_at FROM fraud.users WHERE user_id = $1", user_id)
    return list(row["documents_shared_at"])


async def features_of(office: Office, command: TransferCommand) -> Features:
    [row] = await office.query("SELECT features FROM fraud.decisions WHERE transfer_id = $1", command.transfer_id)
    return msgspec.json.decode(row["features"], type=Features)


def said(screened: TransferScreened) -> tuple[str, tuple[str, ...]]:
    return screened.verdict, screened.reasons


async def test_a_shared_document_is_kept_once_of_all_who_have_it(office: Office, fraud_admin_dsn: str) -> None:
    user_id, other, document_id = new_id(), new_id(), new_id()
    shared = DocumentShared(
        document_id=document_id, user_id=user_id, other_user_ids=(other,), occurred_at="2026-03-01T09:30:00.000000Z"
    )
    keep = KeepSignals(office.work, office.cache)
    await keep([shared, shared])
    await keep([shared])
    await keep([])
    async with admin_connection(fraud_admin_dsn) as connection:
        rows = await connection.fetch(
            "SELECT user_id::text, kind, at FROM fraud.signals WHERE source_id = $1", document_id
        )
        assert sorted(tuple(row) for row in rows) == sorted(
            (one, "document_shared", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)) for one in (user_id, other)
        )
        for statement in ("UPDATE fraud.signals SET kind = 'x'", "DELETE FROM fraud.signals", "TRUNCATE fraud.signals"):
            with pytest.raises(asyncpg.CheckViolationError) as refusal:
                await connection.execute(statement)
            assert refusal.value.constraint_name == "signals_append_only"


async def test_who_shares_a_document_is_reviewed_from_his_next_transfer_on_by_every_process_for_thirty_days(
    office: Office, second_office: Office, shipped: Ruleset
) -> None:
    tenant, flatmate = new_id(), new_id()
    for process, user_id in ((second_office, tenant), (office, flatmate)):
        assert said(await process.ask_one(transfer(user_id, amount_minor=1))) == ("approve", ())

    await KeepSignals(office.work, office.cache)([shared_by(tenant, flatmate)])

    with pytest.raises(Unavailable, match="limits"):  # what it remembers of him is older than his row
        await second_office.ask_one(transfer(tenant, amount_minor=LARGE_MINOR))
    sent, received = transfer(tenant, amount_minor=LARGE_MINOR), transfer(new_id(), payee=flatmate, amount_minor=1)
    assert said(await second_office.ask_one(sent)) == ("hold", ("review",))
    assert said(await office.ask_one(transfer(flatmate, amount_minor=LARGE_MINOR))) == ("hold", ("review",))
    assert said(await office.ask_one(received)) == ("approve", ()), "small amounts pass"
    received = transfer(new_id(), payee=flatmate, amount_minor=LARGE_MINOR - 1)
    assert said(await office.ask_one(received)) == ("hold", ("review",)), "but not once they make a large one"

    kept = await features_of(office, received)
    assert kept.hits == ("document_shared",)
    assert [row[PLACES["receiver_documents_shared_30d"]] for row in kept.values] == [1]
    assert replay(kept, "", shipped).ruling.reasons == ("review",)
    office.pass_time(days=30)
    after = transfer(new_id(), payee=flatmate, amount_minor=LARGE_MINOR)
    assert said(await office.ask_one(after)) == ("approve", ())


async def test_a_decision_of_before_rules_could_read_signals_is_made_again_by_the_rules_of_then(
    office: Office, shipped: Ruleset
) -> None:
    await office.ask_one(command := transfer(new_id(), amount_minor=LARGE_MINOR))
    kept = await features_of(office, command)
    kept.values = [row[: PLACES["sender_documents_shared_30d"]] for row in kept.values]
    rules_of_then = [rule for rule in shipped.document.rules if rule.id != "document_shared"]
    then = Ruleset(2, msgspec.structs.replace(shipped.document, rules=tuple(rules_of_then)))
    assert replay(kept, "", then).ruling.verdict == "approve"
    with pytest.raises(FeaturesMissing):
        replay(kept, "", shipped)


async def test_a_customers_row_has_the_newest_moments_whoever_hears_of_them_and_moves_once_for_each(
    office: Office, second_office: Office, fraud_admin_dsn: str
) -> None:
    user_id = new_id()
    days = [NOON + timedelta(days=day) for day in range(SHARED_DOCUMENTS_MAX + 5)]
    told = [shared_by(user_id, at=day) for day in days]
    keeps = [KeepSignals(process.work, process.cache) for process in (office, second_office)]

    async def hear(keep: KeepSignals, heard: list[DocumentShared]) -> None:
        for one in heard:
            await keep([one])

    await asyncio.gather(hear(keeps[0], told[::2]), hear(keeps[1], told[1::2]))

    assert await moments_of(office, user_id) == days[: -SHARED_DOCUMENTS_MAX - 1 : -1]
    assert await office.version_of(user_id) == len(days)
    await keeps[0](told)
    assert await office.version_of(user_id) == len(days), "what comes again moves nothing"
    async with admin_connection(fraud_admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(
                "UPDATE fraud.users SET documents_shared_at = documents_shared_at || now() WHERE user_id = $1", user_id
            )
    assert refusal.value.constraint_name == "users_documents_shared_few"
