"""An asset was added, and nobody has said yet what it is worth in US dollars: a moment's patience, then a clear no."""

import random
import string
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from libs.common.contracts.fraud import TransferBatchScreened, TransferScreened
from libs.common.contracts.transfers import Leg
from libs.common.ids import new_id
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.set_aside import PATIENCE_SECONDS
from tests.integration.fraud.office import Office, deposit, transfer
from tests.support.api_world import admin_connection

DECIDED_BEFORE = "WITH ORDINALITY AS asked (transfer_id, place)"
AddRate = Callable[[], Awaitable[None]]


@pytest.fixture
def asset() -> str:
    """Give an asset that no other test knows."""
    return "X" + "".join(random.choices(string.ascii_uppercase, k=9))


@pytest.fixture
def add_rate(fraud_admin_dsn: str, asset: str) -> AddRate:
    """Say that the asset's minor unit is worth two cents, as an operator does."""

    async def add() -> None:
        async with admin_connection(fraud_admin_dsn) as connection:
            await connection.execute("INSERT INTO fraud.usd_rates VALUES ($1, 2, 1, now(), 1)", asset)

    return add


async def test_a_rate_that_is_there_when_it_is_first_needed_is_used_at_once(
    office: Office, asset: str, add_rate: AddRate
) -> None:
    await office.ask_one(transfer(payer := new_id()))
    await add_rate()

    screened = await office.ask_one(command := transfer(payer, asset=asset, amount_minor=5_00))

    assert screened.verdict == "approve"
    [row] = await office.query("SELECT usd_minor FROM fraud.decisions WHERE transfer_id = $1", command.transfer_id)
    assert row["usd_minor"] == 10_00


async def test_a_transfer_waits_for_its_asset_s_rate_while_the_others_go_on(
    office: Office, asset: str, add_rate: AddRate
) -> None:
    payer = new_id()
    early, others = transfer(payer, asset=asset), [transfer(payer) for _ in range(3)]
    await office.ask_one(transfer(payer))
    office.publisher.sent.clear()

    await office.screen([Asked((one,)) for one in (others[0], early, *others[1:])])
    assert [message.command for message in office.said] == others
    await office.screen.retry_set_aside()
    assert len(office.said) == 3

    await add_rate()
    await office.screen.retry_set_aside()
    assert (office.said[3].command, office.said[3].verdict) == (early, "approve")
    await office.screen.retry_set_aside()
    assert len(office.said) == 4
    rest = await office.ask(*[transfer(payer) for _ in range(46)])
    assert [one.verdict for one in rest] == ["approve"] * 45 + ["block"], "five were used before"


async def test_after_two_seconds_the_transfer_is_blocked_for_ever_and_another_passes_once_there_is_a_rate(
    office: Office, second_office: Office, asset: str, add_rate: AddRate
) -> None:
    payer = new_id()
    euro = Leg(new_id(), new_id(), 1, "EUR", payee := new_id())
    command = transfer(payer, payee=payee, legs=(euro, Leg(new_id(), new_id(), 1, asset, payee)))
    await office.screen([Asked((command,))])
    office.seconds += PATIENCE_SECONDS - 0.1
    await office.screen.retry_set_aside()
    assert office.said == []

    office.seconds += 0.2
    await office.screen.retry_set_aside()

    [blocked] = office.said
    assert (blocked.verdict, blocked.code, blocked.facts) == ("block", "asset_without_rate", {"asset": asset})
    [row] = await office.query("SELECT * FROM fraud.decisions WHERE transfer_id = $1", command.transfer_id)
    assert msgspec.json.decode(row["features"])["rates"] == {"EUR": [110, 100]}
    await add_rate()
    assert await second_office.ask_one(command) == blocked
    assert (await second_office.ask_one(transfer(payer, asset=asset))).verdict == "approve"


async def test_a_deposit_is_treated_no_better(office: Office, asset: str) -> None:
    command = deposit(amount_minor=1_00)
    command = msgspec.structs.replace(command, legs=(msgspec.structs.replace(command.legs[0], asset=asset),))
    await office.screen([Asked((command,))])
    office.seconds += PATIENCE_SECONDS

    assert (await office.ask_one(command)).code == "asset_without_rate"


async def test_an_unverified_payer_is_told_so_first(office: Office, asset: str) -> None:
    command = transfer(new_id(), asset=asset, payer_tier=0)
    await office.screen([Asked((command,))])
    office.seconds += PATIENCE_SECONDS

    assert (await office.ask_one(command)).code == "kyc_required"


async def test_a_batch_that_posts_together_waits_whole_and_is_refused_whole_while_the_others_go_on(
    office: Office, asset: str
) -> None:
    payer = new_id()
    together = Asked((transfer(payer), transfer(payer, asset=asset), transfer(payer)), batch_id=new_id())
    other = Asked((transfer(payer), transfer(payer)), batch_id=new_id())

    await office.screen([together, other])
    assert [message.batch_id for message in office.said] == [other.batch_id]
    office.seconds += PATIENCE_SECONDS
    await office.screen.retry_set_aside()

    refused = office.said[1]
    assert isinstance(refused, TransferBatchScreened)
    assert refused.batch_id == together.batch_id
    assert [one.code for one in refused.screenings] == ["", "asset_without_rate", ""]
    rest = await office.ask(*[transfer(payer) for _ in range(49)])
    assert [one.verdict for one in rest] == ["approve"] * 48 + ["block"], "only the other batch used slots"


async def test_what_a_killed_process_had_set_aside_is_decided_by_its_successor_when_it_is_asked_again(
    fraud_dsn: str, office: Office, asset: str
) -> None:
    command = transfer(new_id(), asset=asset)
    async with Office(fraud_dsn) as killed:
        await killed.screen([Asked((command,))])
        assert killed.said == []

    await office.screen([Asked((command,))])
    office.seconds += PATIENCE_SECONDS
    await office.screen.retry_set_aside()

    [screened] = office.said
    assert isinstance(screened, TransferScreened)
    assert (screened.command, screened.code) == (command, "asset_without_rate")


async def test_while_such_transfers_come_nothing_is_decided_in_vain(office: Office, asset: str) -> None:
    payer = new_id()
    await office.ask_one(transfer(payer))

    async def looks(*commands: str) -> int:
        async with office.statements() as sent:
            await office.screen([Asked((transfer(payer, asset=one),)) for one in commands])
        assert [one.exception for one in sent if one.exception] == []
        return sum(DECIDED_BEFORE in one.query for one in sent)

    assert await looks("USD") == 0
    assert await looks("USD", asset) == 1
    assert await looks("USD", asset) == 1
    assert await looks("USD") == 1
    assert await looks("USD") == 0
