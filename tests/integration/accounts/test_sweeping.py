"""What repairs a broker that forgot everything."""

from datetime import timedelta

from libs.common.contracts.accounts import AccountChanged
from services.accounts.use_cases.ask_ledger_again import AskLedgerAgain
from services.accounts.use_cases.repeat_changes import RepeatChanges
from tests.integration.accounts.conftest import World


async def test_an_unanswered_opening_is_asked_again_with_growing_pauses_until_it_is_answered(world: World) -> None:
    world.clock.stop()
    owner = await world.register()
    ask_again = AskLedgerAgain(world.uow, world.clock)
    account_id = (await world.open_account(owner)).json()["account_id"]

    def asked() -> int:
        said = world.publisher.said(account_id)
        return sum(isinstance(one, AccountChanged) and one.status == "opening" for one in said)

    await ask_again()
    assert asked() == 1, "two seconds have not passed"
    for pause, expected in ((2, 2), (2, 2), (2, 3), (6, 3), (2, 4)):
        world.clock.move(timedelta(seconds=pause, milliseconds=10))
        await ask_again()
        assert asked() == expected, pause
    await world.hear_opened(account_id, owner)
    world.clock.move(timedelta(hours=1))
    await ask_again()
    assert asked() == 4


async def test_a_page_of_questions_is_bounded(world: World) -> None:
    owner = await world.register()
    await world.rows(
        """
        INSERT INTO accounts.accounts (account_id, account_number, owner_id, asset, status, is_primary, version,
            created_at, changed_at, ask_again_at)
        SELECT gen_random_uuid(), 'TS' || lpad((90000000000000 + n)::text, 14, '0'), $1, 'USD', 'opening', n = 1, 1,
            now(), now(), now() + interval '1 day'
        FROM generate_series(1, 130) AS n
        """,
        owner,
    )
    world.clock.move(timedelta(days=1, seconds=5))
    ask_again = AskLedgerAgain(world.uow, world.clock)
    world.publisher.sent.clear()
    assert await ask_again() == 100
    assert len(world.publisher.sent) == 100
    await world.rows("UPDATE accounts.accounts SET status = 'active', opened_at = now() WHERE owner_id = $1", owner)


async def test_what_changed_within_the_hour_is_said_again_and_what_is_older_is_not(world: World) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    await world.hear_opened(account_id, owner)
    before = world.publisher.said(account_id)[-1], world.publisher.said(owner)[-1]
    world.publisher.sent.clear()
    repeat = RepeatChanges(world.uow, world.publisher, world.clock)
    await repeat()
    assert world.publisher.said(account_id) == [before[0]]
    assert world.publisher.said(owner) == [before[1]]
    world.publisher.sent.clear()
    world.clock.move(timedelta(hours=1))
    await repeat()
    assert world.publisher.said(account_id) == []


async def test_more_than_one_page_is_said_completely(world: World) -> None:
    await world.rows(
        """
        INSERT INTO accounts.customers (user_id, email, password_hash, full_name, roles, profile, status, version,
            registered_at, changed_at)
        SELECT gen_random_uuid(), 'page' || n || '@example.com', '-', 'Page', '{customer}', 'retail', 'active', 1,
            now(), now()
        FROM generate_series(1, 450) AS n
        """
    )
    world.publisher.sent.clear()
    await RepeatChanges(world.uow, world.publisher, world.clock)()
    ids = [
        str(row["user_id"])
        for row in await world.rows("SELECT user_id FROM accounts.customers WHERE full_name = 'Page'")
    ]
    said = [item.key for item in world.publisher.sent]
    assert set(ids) <= set(said)
    assert len(said) == len(set(said))
