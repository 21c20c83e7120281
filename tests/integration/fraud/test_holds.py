"""Transfers that wait for their payee, and slots that come back."""

from libs.common.ids import new_id
from tests.integration.fraud.office import Office, changed, transfer


async def test_an_approval_releases_what_waited_once_even_if_it_is_heard_three_times(office: Office) -> None:
    payee = new_id()
    held = transfer(new_id(), payee=payee, payee_tier=0)
    screened = await office.ask_one(held)
    assert screened.reasons == ("kyc_pending",)

    for _ in range(3):
        await office.verify(payee, version=4)

    [resolved] = office.resolutions(held.transfer_id)
    assert (resolved.resolution, resolved.reason, resolved.remaining) == ("release", "kyc_pending", ())
    assert (resolved.decision_id, resolved.command, resolved.code) == (screened.decision_id, held, "")


async def test_a_hold_of_two_payees_waits_for_both(office: Office) -> None:
    first, second = new_id(), new_id()
    held = transfer(new_id(), payee=first, payee_tier=0)
    other = transfer(new_id(), payee=second, payee_tier=0)
    both = type(held)(
        transfer_id=new_id(),
        kind="transfer",
        actor_id=held.actor_id,
        payer=held.payer,
        payees=held.payees + other.payees,
        legs=held.legs + other.legs,
        memo_commitment="",
        requested_at=held.requested_at,
    )
    await office.ask_one(both)

    await office.verify(first)
    assert office.resolutions(both.transfer_id) == []
    await office.verify(second)
    assert [one.resolution for one in office.resolutions(both.transfer_id)] == ["release"]


async def test_a_rejection_ends_the_hold_and_gives_the_slot_back(office: Office) -> None:
    payer, payee = new_id(), new_id()
    held = transfer(payer, payee=payee, payee_tier=0, amount_minor=1_000_000_00)
    await office.ask(held, *[transfer(payer, amount_minor=1_000_000_00) for _ in range(4)])
    assert (await office.ask_one(transfer(payer))).verdict == "block"

    for _ in range(2):
        await office.verify(payee, status="rejected", tier=0, version=3)

    [resolved] = office.resolutions(held.transfer_id)
    assert (resolved.resolution, resolved.code, resolved.remaining) == ("reject", "payee_kyc_rejected", ())
    assert (await office.ask_one(transfer(payer, amount_minor=1_000_000_00))).verdict == "approve"
    assert (await office.ask_one(transfer(payer))).verdict == "block"


async def test_what_is_sent_to_who_was_rejected_before_goes_back_with_the_next_sweep(office: Office) -> None:
    payer, payee = new_id(), new_id()
    await office.verify(payee, status="rejected", tier=0, version=3)
    held = transfer(payer, payee=payee, payee_tier=0, amount_minor=1_000_000_00)
    await office.ask(*[transfer(payer, amount_minor=1_000_000_00) for _ in range(4)])
    assert (await office.ask_one(held)).verdict == "hold"

    await office.sweep()

    [resolved] = office.resolutions(held.transfer_id)
    assert (resolved.resolution, resolved.code) == ("reject", "payee_kyc_rejected")
    assert (await office.ask_one(transfer(payer, amount_minor=1_000_000_00))).verdict == "approve"
    assert (await office.ask_one(transfer(payer))).verdict == "block"


async def test_a_refusal_by_the_ledger_gives_the_slot_back_once(office: Office) -> None:
    payer = new_id()
    commands = [transfer(payer, amount_minor=1_000_000_00) for _ in range(5)]
    await office.ask(*commands)
    for _ in range(3):
        await office.hear(commands[0].transfer_id, "refused")

    assert (await office.ask_one(transfer(payer, amount_minor=1_000_000_00))).verdict == "approve"
    assert (await office.ask_one(transfer(payer))).verdict == "block"
    office.forget()
    assert (await office.ask_one(transfer(payer))).verdict == "block"


async def test_a_refusal_heard_by_another_instance_is_seen_by_this_one(office: Office, second_office: Office) -> None:
    payer = new_id()
    commands = [transfer(payer, amount_minor=1_000_000_00) for _ in range(5)]
    await office.ask(*commands)

    await second_office.hear(commands[0].transfer_id, "refused")

    command = transfer(payer, amount_minor=1_000_000_00)
    await office.ask_until_answered(command)
    assert office.said[-1].verdict == "approve"


async def test_news_of_posted_transfers_asks_the_database_nothing(office: Office) -> None:
    await office.hot.close()
    await office.settle(
        [
            changed(new_id(), "posted"),
            changed(new_id(), "blocked"),
            changed(new_id(), "held", resolver="fraud"),
            changed(new_id(), "held", resolver="fraud", version=2),
            changed(new_id(), "held", resolver="caller"),
            changed(new_id(), "held", resolver="caller", version=2, captured_minor=(1,)),
        ]
    )
    assert office.hot._connection is None


async def test_a_hold_released_within_its_day_keeps_its_first_slot(office: Office) -> None:
    payer, payee = new_id(), new_id()
    held = transfer(payer, payee=payee, payee_tier=0)
    await office.ask(held, *[transfer(payer) for _ in range(49)])
    office.pass_time(minutes=30)

    await office.verify(payee)

    assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["release"]
    assert await office.query("SELECT FROM fraud.late_slots WHERE user_id = $1", payer) == []


async def test_a_hold_released_after_its_day_takes_a_new_slot(office: Office) -> None:
    payer, payee = new_id(), new_id()
    held = transfer(payer, payee=payee, payee_tier=0)
    await office.ask_one(held)
    office.pass_time(hours=24)
    await office.ask(*[transfer(payer) for _ in range(49)])

    await office.verify(payee)

    assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["release"]
    assert (await office.ask_one(transfer(payer))).code == "hourly_count_limit_exceeded"
    office.forget()
    assert (await office.ask_one(transfer(payer))).code == "hourly_count_limit_exceeded"
    await office.hear(held.transfer_id, "refused", version=2)
    assert (await office.ask_one(transfer(payer))).verdict == "approve"


async def test_a_hold_that_the_ledger_refused_takes_no_new_slot_when_its_payee_is_verified(office: Office) -> None:
    payer, payee = new_id(), new_id()
    held = transfer(payer, payee=payee, payee_tier=0)
    await office.ask_one(held)
    await office.hear(held.transfer_id, "refused")
    office.pass_time(hours=24)
    await office.ask(*[transfer(payer) for _ in range(49)])

    await office.verify(payee)

    assert (await office.ask_one(transfer(payer))).verdict == "approve", "the fiftieth of the hour"
    assert await office.query("SELECT FROM fraud.late_slots WHERE user_id = $1", payer) == []


async def test_a_hold_whose_day_is_over_ends_when_the_limits_no_longer_allow_it(office: Office) -> None:
    payer, payee = new_id(), new_id()
    held = transfer(payer, payee=payee, payee_tier=0)
    await office.ask_one(held)
    office.pass_time(hours=25)
    await office.ask(*[transfer(payer) for _ in range(50)])

    await office.verify(payee)

    [resolved] = office.resolutions(held.transfer_id)
    assert (resolved.resolution, resolved.code) == ("reject", "hourly_count_limit_exceeded")


async def test_the_sweeper_finds_holds_whose_event_was_missed(office: Office) -> None:
    released, rejected = new_id(), new_id()
    first = transfer(new_id(), payee=released, payee_tier=0)
    second = transfer(new_id(), payee=rejected, payee_tier=0)
    waiting = transfer(new_id(), payee_tier=0)
    await office.ask(first, second, waiting)
    sql = "INSERT INTO fraud.users (user_id, version, kyc_status, kyc_tier, kyc_version) VALUES ($1, 1, $2, $3, 1)"
    await office.query(sql, released, "approved", 1)
    await office.query(sql, rejected, "rejected", 0)

    await office.sweep()
    await office.sweep()

    assert [one.resolution for one in office.resolutions(first.transfer_id)] == ["release"]
    assert [one.code for one in office.resolutions(second.transfer_id)] == ["payee_kyc_rejected"]
    assert office.resolutions(waiting.transfer_id) == []


async def test_a_resolution_is_sent_again_until_the_ledger_shows_its_effect(office: Office) -> None:
    payee = new_id()
    held = transfer(new_id(), payee=payee, payee_tier=0)
    await office.ask_one(held)
    await office.verify(payee)

    await office.sweep()
    assert len(office.resolutions(held.transfer_id)) == 1, "young ones are given time"
    office.pass_time(seconds=11)
    await office.sweep()
    first, second = office.resolutions(held.transfer_id)
    assert first == second

    # The resolution came before its hold, so the ledger posted at once: its first version.
    await office.hear(held.transfer_id, "posted", version=1)
    office.pass_time(seconds=11)
    await office.sweep()
    assert len(office.resolutions(held.transfer_id)) == 2


async def test_a_posted_hold_is_settled_without_being_swept_first(office: Office) -> None:
    payee = new_id()
    held = transfer(new_id(), payee=payee, payee_tier=0)
    await office.ask_one(held)
    await office.verify(payee)

    await office.hear(held.transfer_id, "posted", version=2)

    office.pass_time(minutes=1)
    await office.sweep()
    assert len(office.resolutions(held.transfer_id)) == 1


async def test_a_hold_handed_to_its_caller_is_not_sent_again_and_his_void_gives_the_slot_back(office: Office) -> None:
    payer, payee = new_id(), new_id()
    held = transfer(payer, payee=payee, payee_tier=0, amount_minor=1_000_000_00)
    await office.ask(held, *[transfer(payer, amount_minor=1_000_000_00) for _ in range(4)])
    await office.verify(payee)

    await office.hear(held.transfer_id, "held", version=2, resolver="caller")

    office.pass_time(minutes=1)
    await office.sweep()
    assert len(office.resolutions(held.transfer_id)) == 1
    assert (await office.ask_one(transfer(payer))).verdict == "block", "he may still capture it"
    for _ in range(2):
        await office.hear(held.transfer_id, "voided", version=3, resolver="caller")
    assert (await office.ask_one(transfer(payer, amount_minor=1_000_000_00))).verdict == "approve"
    assert (await office.ask_one(transfer(payer))).verdict == "block"


async def test_a_resolution_that_came_before_its_hold_hands_over_what_was_never_frauds(office: Office) -> None:
    payee = new_id()
    held = transfer(new_id(), payee=payee, payee_tier=0)
    await office.ask_one(held)
    await office.verify(payee)
    office.pass_time(seconds=11)
    await office.sweep()

    await office.hear(held.transfer_id, "held", version=1, resolver="caller")

    office.pass_time(minutes=1)
    await office.sweep()
    assert len(office.resolutions(held.transfer_id)) == 2


async def test_a_hold_that_still_waits_for_fraud_is_sent_again(office: Office) -> None:
    payee = new_id()
    held = transfer(new_id(), payee=payee, payee_tier=0)
    await office.ask_one(held)
    await office.verify(payee)
    await office.hear(held.transfer_id, "held", version=2, resolver="fraud")
    office.pass_time(seconds=11)
    await office.sweep()
    assert len(office.resolutions(held.transfer_id)) == 2
