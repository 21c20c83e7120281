"""Requests that wait for news of their payee, and commands completed with it."""

from libs.common.contracts.transfers import Leg, Party, TransferCommand
from services.fraud.store.users import Customer
from services.fraud.use_cases.find_payees import Asked, accounts_without_owner, with_payees
from services.fraud.use_cases.set_aside import PATIENCE_SECONDS, SetAside


def command(*legs: Leg, payees: tuple[Party, ...] = ()) -> TransferCommand:
    return TransferCommand(
        transfer_id="t",
        kind="transfer",
        actor_id="ann",
        payer=Party("ann", 1, 1),
        payees=payees,
        legs=legs,
        memo_commitment="",
        requested_at="2026-03-01T00:00:00.000000Z",
    )


UNKNOWN = Leg("a", "b", 1, "USD", "")
KNOWN = Leg("a", "c", 1, "USD", "cyd")


def test_a_request_waits_five_seconds_and_repeating_it_gives_it_no_more() -> None:
    aside, asked = SetAside(), Asked((command(UNKNOWN),))

    assert aside.may_wait(asked, 100.0)
    assert aside.may_wait(asked, 100.0 + PATIENCE_SECONDS - 0.1)
    assert aside.everyone() == [asked]
    assert not aside.may_wait(asked, 100.0 + PATIENCE_SECONDS)

    aside.done([asked])
    assert len(aside) == 0


def test_a_request_given_up_waits_no_more_and_is_judged_when_it_comes_again() -> None:
    aside, asked = SetAside(), Asked((command(UNKNOWN),))
    aside.may_wait(asked, 0.0)

    aside.give_up([asked])

    assert aside.everyone() == []
    assert not aside.may_wait(asked, 0.1)


def test_only_destinations_without_owner_are_looked_up() -> None:
    assert accounts_without_owner([Asked((command(UNKNOWN, KNOWN, UNKNOWN),))]) == ["b"]


def test_a_found_owner_becomes_leg_owner_and_payee_at_the_tier_we_know() -> None:
    ben = Customer(version=1, profile="retail", kyc_tier=2, kyc_version=7, last_decided_at=None)

    completed = with_payees(command(UNKNOWN, KNOWN, payees=(Party("cyd", 1, 1),)), {"b": "ben"}, {"ben": ben})

    assert [leg.destination_owner_id for leg in completed.legs] == ["ben", "cyd"]
    assert completed.payees == (Party("cyd", 1, 1), Party("ben", 2, 7))


def test_a_found_owner_we_never_heard_of_is_unverified() -> None:
    assert with_payees(command(UNKNOWN), {"b": "ben"}, {}).payees == (Party("ben", 0, 0),)


def test_an_owner_nobody_knows_stays_empty() -> None:
    completed = with_payees(command(UNKNOWN), {}, {})
    assert completed.legs[0].destination_owner_id == ""
    assert completed.payees == ()
