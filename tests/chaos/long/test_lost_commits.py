"""PostgreSQL commits, and the connection is cut before it says so: nobody knows, and it happened once."""

import asyncio
import random
import time

import pytest

from tests.support.another_process import settings_of_another
from tests.support.chaos_stack import ChaosStack, Circle, settle_and_check
from tests.support.chaos_twins import restart
from tests.support.crashing import change_settings
from tests.support.failing_database import FailingDatabase
from tests.support.load import Load
from tests.support.lost_commits import LostCommits
from tests.support.saying import Say

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

IN_A_ROW = (1, 1, 2, 4, 1, 3)
LOST_WITHIN_SECONDS = 180.0


@pytest.mark.parametrize(
    ("service", "connection"),
    [
        ("gateway", "gateway-intake"),
        ("gateway", "gateway-commands"),
        ("gateway", "gateway-projection"),
        ("fraud", "fraud-screening"),
        ("ledger", "ledger-writer"),
    ],
)
async def test_the_answer_to_a_commit_is_lost_and_what_it_did_is_done_once(
    stack: ChaosStack, circle: tuple[Circle, Load], service: str, connection: str, say: Say
) -> None:
    people, load = circle
    await people.renew_tokens()
    dsn = settings_of_another(stack.running.folder, service, 1, kafka_idempotence=False, velocity_limits=False)
    variable, commits = f"{service.upper()}_POSTGRES_DSN", LostCommits(connection)
    door = FailingDatabase(dsn[variable], stack.folder / connection, commits.fates)
    await door.open()
    change_settings(stack.orders, service, **{variable: door.dsn_of(dsn[variable])})
    await restart(stack, service)
    try:
        load.start()
        try:
            await _lose(commits, random.Random(connection))
            cut_at = time.monotonic()
            await asyncio.sleep(1.0)
        finally:
            await load.finish()
        answered_seconds = time.monotonic() - cut_at
        rest = await settle_and_check(stack.dsn, people, load)
    finally:
        change_settings(stack.orders, service)
        await restart(stack, service)
        door.die()
    assert commits.lost == sum(IN_A_ROW)
    say(f"  {connection} lost {commits.lost} answers: all answered {answered_seconds:.1f} s after the last, {rest}")


async def _lose(commits: LostCommits, rng: random.Random) -> None:
    """Lose the answers to single commits and to several in a row."""
    async with asyncio.timeout(LOST_WITHIN_SECONDS):
        for in_a_row in IN_A_ROW:
            commits.wanted = in_a_row
            while commits.wanted:  # noqa: ASYNC110 -- a commit comes when it comes
                await asyncio.sleep(0.01)
            await asyncio.sleep(rng.uniform(0.1, 0.6))
