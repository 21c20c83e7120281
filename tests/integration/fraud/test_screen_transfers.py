"""Screening over a real database: verdicts, what they rest on, and the same answer to the same question."""

import msgspec
import pytest

from libs.common.contracts.transfers import Leg, Party
from libs.common.errors import Conflict
from libs.common.ids import new_id
from services.fraud.domain.features import PLACES
from services.fraud.domain.stored_features import Features
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.set_aside import PATIENCE_SECONDS
from tests.integration.fraud.office import Office, deposit, transfer, withdrawal


async def test_an_ordinary_transfer_is_approved_and_its_features_are_kept(office: Office) -> None:
    command = transfer(new_id(), amount_minor=50_00, asset="EUR")

    screened = await office.ask_one(command)

    assert (screened.verdict, screened.code, screened.reasons, screened.facts) == ("approve", "", (), {})
    assert screened.command == command
    assert screened.screened_at == "2026-03-01T12:00:00.000000Z"
    [row] = await office.query("SELECT * FROM fraud.decisions WHERE transfer_id = $1", command.transfer_id)
    assert row["usd_minor"] == 55_00
    assert row["command"] is None, "the request says it all"
    features = msgspec.json.decode(row["features"], type=Features)
    assert features.rates == {"EUR": (110, 100)}
    assert features.amounts_minor == {"EUR": 50_00}
    assert (features.profile, features.payer_tier, features.day_count) == ("retail", 1, 0)
    [values] = features.values
    assert (values[PLACES["usd_minor"]], values[PLACES["sender_count_30d"]], features.hits) == (55_00, 0, ())


async def test_the_same_request_gets_the_same_decision_word_for_word_after_a_restart_and_later(office: Office) -> None:
    payer = new_id()
    blocked = transfer(payer, amount_minor=1_000_000_01)
    held = transfer(payer, payee_tier=0)
    approved = transfer(payer)
    first = await office.ask(blocked, held, approved)
    assert [one.verdict for one in first] == ["block", "hold", "approve"]

    office.forget()
    office.pass_time(hours=30)
    office.publisher.sent.clear()
    again = await office.ask(approved, blocked, held)

    assert [again[1], again[2], again[0]] == first
    [count] = await office.query("SELECT count(*) FROM fraud.decisions WHERE user_id = $1", payer)
    assert count[0] == 3


async def test_a_request_repeated_within_one_batch_is_decided_and_said_once(office: Office) -> None:
    command = transfer(new_id())
    await office.ask(command, command, command)
    assert len(office.said) == 1


async def test_the_block_of_a_limit_says_which_and_when_to_come_back(office: Office) -> None:
    payer = new_id()
    await office.ask(*[transfer(payer) for _ in range(50)])
    office.pass_time(minutes=59)

    blocked = await office.ask_one(transfer(payer, amount_minor=7_00))

    assert (blocked.verdict, blocked.code) == ("block", "hourly_count_limit_exceeded")
    assert blocked.facts == {
        "limit": "hourly_count",
        "limit_count": 50,
        "used_count": 50,
        "requested_minor": 7_00,
        "asset": "USD",
        "resets_at": "2026-03-01T13:00:00.000000Z",
        "set_by": "profile",
    }
    office.pass_time(minutes=1)
    assert (await office.ask_one(transfer(payer))).verdict == "approve"


async def test_a_transfer_of_several_legs_counts_once_with_their_sum(office: Office) -> None:
    payer, payee = new_id(), new_id()
    legs = tuple(Leg(new_id(), new_id(), 400_000_00, "USD", payee) for _ in range(3))
    assert (await office.ask_one(transfer(payer, legs=legs, payee=payee))).code == "amount_limit_exceeded"

    await office.ask_one(transfer(payer, legs=legs[:2], payee=payee))
    [row] = await office.query(
        "SELECT count(*), sum(usd_minor)::bigint FROM fraud.decisions WHERE user_id = $1 AND verdict <> 'block'", payer
    )
    assert tuple(row) == (1, 800_000_00)


async def test_an_unverified_payer_is_blocked_and_may_send_once_approved(office: Office) -> None:
    payer = new_id()
    assert (await office.ask_one(transfer(payer, payer_tier=0))).code == "kyc_required"

    await office.verify(payer, version=2)

    assert (await office.ask_one(transfer(payer, payer_tier=0))).verdict == "approve"


async def test_what_the_gateway_saw_of_a_payers_kyc_wins_only_when_it_is_newer(office: Office) -> None:
    payer = new_id()
    await office.verify(payer, status="in_review", tier=0, version=5)
    stale = transfer(payer, payer_tier=1)
    fresh = msgspec.structs.replace(transfer(payer), payer=Party(payer, 1, 6))

    assert (await office.ask_one(stale)).code == "kyc_required"
    assert (await office.ask_one(fresh)).verdict == "approve"


async def test_a_business_sends_more_often_than_a_retail_customer(office: Office) -> None:
    payer = new_id()
    await office.ask(*[transfer(payer, amount_minor=1_00) for _ in range(50)])
    assert (await office.ask_one(transfer(payer))).verdict == "block"

    await office.give_profile(payer, "business", version=2)
    await office.give_profile(payer, "retail", version=1)

    assert (await office.ask_one(transfer(payer))).verdict == "approve"


async def test_a_deposit_knows_neither_limits_nor_kyc(office: Office) -> None:
    screened = await office.ask_one(deposit(amount_minor=10**15))
    assert screened.verdict == "approve"


async def test_a_withdrawal_knows_neither_limits_nor_kyc_and_waits_for_nobody_s_payee(office: Office) -> None:
    payer = new_id()
    await office.ask(*[transfer(payer) for _ in range(50)])
    assert (await office.ask_one(transfer(payer))).code == "hourly_count_limit_exceeded"

    command = withdrawal(payer, amount_minor=10**15)
    screened = await office.ask_one(command)

    assert (screened.verdict, screened.command) == ("approve", command)
    [row] = await office.query("SELECT user_id FROM fraud.decisions WHERE transfer_id = $1", command.transfer_id)
    assert row["user_id"] is None, "no slot of the payer's is used"


async def test_lifted_velocity_limits_block_nobody_for_sending_often(fraud_dsn: str) -> None:
    payer = new_id()
    async with Office(fraud_dsn, velocity_lifted=True) as office:
        verdicts = await office.ask(*[transfer(payer, amount_minor=1_000_000_00) for _ in range(300)])
        assert {one.verdict for one in verdicts} == {"approve"}
        assert (await office.ask_one(transfer(payer, amount_minor=1_000_000_01))).code == "amount_limit_exceeded"


async def test_a_batch_that_posts_together_uses_limits_only_when_all_of_it_may_post(office: Office) -> None:
    payer = new_id()
    too_much = [transfer(payer, amount_minor=900_000_00) for _ in range(6)]

    refused = await office.ask_batch(*too_much)

    assert [one.verdict for one in refused.screenings] == ["approve"] * 5 + ["block"]
    assert refused.screenings[5].code == "daily_amount_limit_exceeded"
    office.forget()
    accepted = await office.ask_batch(*[transfer(payer, amount_minor=1_000_000_00) for _ in range(5)])
    assert {one.verdict for one in accepted.screenings} == {"approve"}
    assert (await office.ask_one(transfer(payer, amount_minor=1))).code == "daily_amount_limit_exceeded"


async def test_a_batch_with_a_held_member_waits_for_nobody_and_uses_nothing(office: Office) -> None:
    payer = new_id()
    held = transfer(payer, payee_tier=0, amount_minor=1_000_000_00)

    screened = await office.ask_batch(transfer(payer, amount_minor=1_000_000_00), held)

    assert [one.verdict for one in screened.screenings] == ["approve", "hold"]
    assert await office.query("SELECT FROM fraud.holds WHERE transfer_id = $1", held.transfer_id) == []
    followed = await office.ask(*[transfer(payer, amount_minor=1_000_000_00) for _ in range(5)])
    assert {one.verdict for one in followed} == {"approve"}


async def test_a_repeated_batch_gets_the_same_answer(office: Office) -> None:
    commands = [transfer(new_id()), transfer(new_id(), payee_tier=0)]
    first = await office.ask_batch(*commands, batch_id=(batch_id := new_id()))
    again = await office.ask_batch(*commands, batch_id=batch_id)
    assert again == first
    assert len(office.said) == 2


async def test_a_transfer_decided_alone_cannot_be_decided_again_in_a_batch(office: Office) -> None:
    alone = transfer(new_id())
    await office.ask_one(alone)
    with pytest.raises(Conflict, match="batch_partly_decided"):
        await office.ask_batch(alone, transfer(new_id()))

    twice = transfer(new_id())
    with pytest.raises(Conflict, match="transfer_asked_twice"):
        await office.screen([Asked((twice,)), Asked((twice,), batch_id=new_id())])


async def test_a_payee_the_gateway_did_not_know_is_found_here_and_screened(office: Office) -> None:
    payer, account_id, payee = new_id(), new_id(), new_id()
    command = transfer(payer, legs=(Leg(new_id(), account_id, 5_00, "USD", ""),))
    command = msgspec.structs.replace(command, payees=())
    await office.open_account(account_id, payee)

    screened = await office.ask_one(command)

    assert (screened.verdict, screened.reasons) == ("hold", ("kyc_pending",))
    assert screened.command.legs[0].destination_owner_id == payee
    assert screened.command.payees == (Party(payee, 0, 0),)
    await office.verify(payee, version=1)
    assert await office.ask_one(command) == screened, "the stored command, not a new search"


async def test_an_unknown_payee_waits_while_the_others_go_on_and_is_found_when_his_account_is(office: Office) -> None:
    payer, account_id, payee = new_id(), new_id(), new_id()
    late = msgspec.structs.replace(transfer(payer, legs=(Leg(new_id(), account_id, 5_00, "USD", ""),)), payees=())
    other = transfer(payer)

    await office.screen([Asked((late,)), Asked((other,))])
    assert [message.command.transfer_id for message in office.said] == [other.transfer_id]

    await office.open_account(account_id, payee)
    await office.verify(payee)
    await office.screen.retry_set_aside()
    assert office.said[-1].command.transfer_id == late.transfer_id
    assert office.said[-1].verdict == "approve"
    assert office.said[-1].command.legs[0].destination_owner_id == payee
    first = office.said[-1]
    assert await office.ask_one(late) == first, "as it was sent on, not as it was asked"


async def test_an_account_nobody_knows_is_left_to_the_ledger_after_five_seconds(office: Office) -> None:
    unknown = msgspec.structs.replace(transfer(new_id(), legs=(Leg(new_id(), new_id(), 5_00, "USD", ""),)), payees=())
    await office.screen([Asked((unknown,))])
    office.seconds += PATIENCE_SECONDS - 0.1
    await office.screen.retry_set_aside()
    assert office.said == []

    office.seconds += 0.2
    await office.screen.retry_set_aside()

    [screened] = office.said
    assert (screened.verdict, screened.command.legs[0].destination_owner_id) == ("approve", "")
    await office.screen.retry_set_aside()
    assert len(office.said) == 1


async def test_a_request_that_another_instance_answered_meanwhile_waits_no_longer_here(
    office: Office, second_office: Office
) -> None:
    account_id = new_id()
    late = msgspec.structs.replace(transfer(new_id(), legs=(Leg(new_id(), account_id, 5_00, "USD", ""),)), payees=())
    await office.screen([Asked((late,))])
    await second_office.open_account(account_id, new_id())
    answered = await second_office.ask_one(late)

    await office.screen.retry_set_aside()
    await office.screen.retry_set_aside()

    assert office.said == [answered]
