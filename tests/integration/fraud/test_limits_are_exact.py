"""The promise: over any history no transfer passes that a limit forbids, and none is blocked that it allows."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from libs.common.db.unit_of_work import UnitOfWork
from libs.common.ids import new_id
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.killed_instance import screen_and_be_killed
from tests.integration.fraud.limit_storm import Storm
from tests.integration.fraud.office import Office, transfer
from tests.support.api_world import (
    ROLE_PASSWORD,
    RecordingPublisher,
    admin_connection,
    migrated_database,
    unit_of_work,
)
from tests.support.limit_replay import replay

OPERATIONS: Final = int(os.environ.get("TALLYSTICK_LIMIT_OPERATIONS", "10000"))


@pytest.fixture(scope="module")
def storm_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give a database whose profiles and tiers are nobody else's."""
    with migrated_database(postgres_dsn, "fraud") as admin_dsn:
        yield admin_dsn


@pytest.fixture
async def storm_work(storm_dsn: str) -> AsyncIterator[UnitOfWork]:
    async with unit_of_work(storm_dsn, "fraud", RecordingPublisher()) as uow:
        yield uow


@pytest.mark.timeout(max(180, OPERATIONS // 50))
async def test_every_decision_of_a_storm_is_what_counting_the_whole_history_says(
    storm_dsn: str, storm_work: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = dsn_of_role(storm_dsn, "tallystick_fraud", ROLE_PASSWORD)
    async with Office(dsn) as first, Office(dsn) as second:
        storm = Storm((first, second), storm_work, seed=20260301)
        await storm.begin()
        await storm.run(OPERATIONS, monkeypatch)
    async with admin_connection(storm_dsn) as connection:
        counted = await replay(connection, storm.users)
        stored = dict(await connection.fetch("SELECT transfer_id::text, decision_id::text FROM fraud.decisions"))

    assert storm.decided == stored, "everybody was told what is stored"
    print(f"\nlimits: {storm.operations} asked for, {counted}, {dict(storm.did)}")  # noqa: T201 -- a nightly run says how much it tried
    assert counted.decisions == len(stored)
    assert set(counted.by_code) >= {
        "approve",
        "hold",
        "amount_limit_exceeded",
        "daily_amount_limit_exceeded",
        "hourly_count_limit_exceeded",
        "daily_count_limit_exceeded",
        "kyc_required",
    }
    assert min(counted.released, counted.late_slots) > 0
    assert storm.did["told when asked"] > 0, "what was lost is heard of by asking"
    assert {"killed fraud.before_commit", "killed fraud.after_commit_before_publish"} <= storm.did.keys()


async def test_processes_killed_before_and_after_their_commit_leave_the_limit_exact(
    office: Office, second_office: Office, fraud_admin_dsn: str
) -> None:
    payer, points = new_id(), ["fraud.before_commit", "fraud.after_commit_before_publish"]
    commands = [transfer(payer) for _ in range(60)]
    for place in range(0, len(commands), 10):
        part, point = commands[place : place + 10], points[place // 10 % 2]
        assert await screen_and_be_killed(office.dsn, part, office.now, point) == -signal.SIGKILL
        stored = await office.query("SELECT count(*) FROM fraud.decisions WHERE user_id = $1", payer)
        assert stored[0][0] == place + (10 if point == points[1] else 0), "the points lie where their names say"
        await (office if place % 20 else second_office).ask_until_answered(*part)

    rows = await office.query("SELECT verdict, count(*) FROM fraud.decisions WHERE user_id = $1 GROUP BY 1", payer)
    assert dict(rows) == {"approve": 50, "block": 10}
    async with admin_connection(fraud_admin_dsn) as connection:
        assert (await replay(connection, [payer])).decisions == 60


async def test_sixty_four_senders_at_once_through_two_instances_use_the_limit_exactly(
    office: Office, second_office: Office
) -> None:
    payer = new_id()
    commands = [transfer(payer) for _ in range(64)]
    offices = (office, second_office)

    await asyncio.gather(
        *[offices[number % 2].ask_until_answered(command) for number, command in enumerate(commands)],
        *[offices[(number + 1) % 2].ask_until_answered(command) for number, command in enumerate(commands[:20])],
    )

    rows = await office.query("SELECT verdict, count(*) FROM fraud.decisions WHERE user_id = $1 GROUP BY 1", payer)
    assert dict(rows) == {"approve": 50, "block": 14}
    said = [message for instance in offices for message in instance.said]
    assert len({(message.command.transfer_id, message.decision_id) for message in said}) == 64
    assert len(said) >= 84, "a repeated request is answered again"


async def test_a_conflict_writes_nothing_and_the_next_try_sees_what_the_other_instance_did(
    office: Office, second_office: Office
) -> None:
    payer = new_id()
    await office.ask(*[transfer(payer) for _ in range(49)])
    await second_office.ask_one(transfer(payer))

    command = transfer(payer)
    await office.ask_until_answered(command)

    assert office.said[-1].code == "hourly_count_limit_exceeded"
    [[version]] = await office.query("SELECT version FROM fraud.users WHERE user_id = $1", payer)
    assert version == 3
