from collections.abc import Mapping
from typing import Any

import pytest

from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import Account
from services.ledger.domain.commands import Command, TransferScreened
from services.ledger.domain.engine import decide
from services.ledger.domain.run import Decisions
from services.ledger.domain.transfer import Transfer
from tests.support.ledger_builders import (
    NOW,
    RESERVE,
    account,
    batch,
    blocked,
    deposit,
    held,
    id_of,
    leg,
    resolved,
    screened,
)

ALICE, BOB, CAROL = account("alice", 1_000), account("bob", 50), account("carol")
RESERVE_ACCOUNT = Account(RESERVE, "", "USD", "active", 0, 0, 0, -MAX_AMOUNT_MINOR, 0, 1)


def run(
    *commands: Command, accounts: tuple[Account, ...] = (ALICE, BOB, CAROL), known: Mapping[str, Transfer] | None = None
) -> Decisions:
    by_id = {each.account_id: each for each in (*accounts, RESERVE_ACCOUNT)}
    return decide(commands, accounts=by_id, known=known or {}, first_index=7, now=NOW)


def outcomes(decisions: Decisions) -> list[tuple[str, str]]:
    return [(answer.status, answer.code) for answer in transfers(decisions)]


def transfers(decisions: Decisions) -> list[Transfer]:
    return [answer for answer in decisions.answers if isinstance(answer, Transfer)]


def balances(decisions: Decisions) -> dict[str, int]:
    return {account_id: each.posted_minor for account_id, each in decisions.books.changed.items()}


def test_an_approved_transfer_moves_its_amount_with_two_entries() -> None:
    decisions = run(screened("t", leg("alice", "bob", 300)))
    assert outcomes(decisions) == [("posted", "")]
    assert decisions.books.entries == [
        (id_of("alice"), 1, id_of("t"), 7, -300, 700),
        (id_of("bob"), 1, id_of("t"), 7, 300, 350),
    ]
    assert transfers(decisions)[0].journal_index == 7
    assert transfers(decisions)[0].version == 1


def test_the_accounts_that_were_given_stay_as_they_were() -> None:
    run(screened("t", leg("alice", "bob", 300)))
    assert (ALICE.posted_minor, ALICE.version, ALICE.last_seq) == (1_000, 1, 0)


def test_an_account_touched_twice_gets_consecutive_seqs() -> None:
    decisions = run(screened("t", leg("alice", "bob", 1), leg("alice", "carol", 2)))
    alice = decisions.books.changed[id_of("alice")]
    assert [seq for name, seq, *_ in decisions.books.entries if name == id_of("alice")] == [1, 2]
    assert (alice.last_seq, alice.version, alice.posted_minor) == (2, 3, 997)


def test_all_legs_move_or_none() -> None:
    decisions = run(screened("t", leg("alice", "bob", 600), leg("alice", "carol", 600)))
    assert outcomes(decisions) == [("refused", "insufficient_funds")]
    assert transfers(decisions)[0].facts == {"needed_minor": 600, "available_minor": 400}
    assert balances(decisions) == {}
    assert len(decisions.books.entries) == 0


def test_a_transfer_that_is_known_is_answered_again_and_moves_nothing() -> None:
    once = run(screened("t", leg("alice", "bob", 300)))
    again = run(screened("t", leg("alice", "bob", 300)), known=once.inserted)
    assert again.answers == once.answers
    assert not again.changes
    assert balances(again) == {}


def test_a_transfer_named_twice_in_one_run_has_one_effect_and_two_answers() -> None:
    decisions = run(screened("t", leg("alice", "bob", 300)), screened("t", leg("alice", "bob", 300)))
    assert transfers(decisions)[0] is transfers(decisions)[1]
    assert balances(decisions)[id_of("alice")] == 700


def test_a_deposit_comes_from_the_reserve_which_may_go_below_zero() -> None:
    decisions = run(deposit("d", "carol", 5_000))
    assert outcomes(decisions) == [("posted", "")]
    assert balances(decisions) == {RESERVE: -5_000, id_of("carol"): 5_000}


def test_a_deposit_from_anything_but_the_reserve_is_refused() -> None:
    decisions = run(screened("d", leg("alice", "bob", 1), kind="deposit"))
    assert outcomes(decisions) == [("refused", "account_not_owned")]


def test_a_customer_reaches_no_account_of_the_house() -> None:
    house = account("house", 100, owner="")
    to_house = screened("to", leg("alice", "house", 1, owner=""))
    from_house = screened("from", leg("house", "bob", 1))
    assert outcomes(run(to_house, from_house, accounts=(ALICE, BOB, house))) == [("refused", "unknown_account")] * 2


PRECEDENCE: list[tuple[str, dict[str, Account]]] = [
    ("unknown_account", {}),
    ("account_not_owned", {"alice": account("alice", owner=id_of("somebody"), status="closed")}),
    ("asset_mismatch", {"bob": account("bob", asset="EUR", status="closed")}),
    ("account_closed", {"alice": account("alice", status="frozen"), "bob": account("bob", status="closed")}),
    ("account_suspended", {"alice": account("alice", status="frozen"), "bob": account("bob", status="suspended")}),
    ("account_frozen", {"alice": account("alice", status="frozen")}),
    ("insufficient_funds", {"bob": account("bob", MAX_AMOUNT_MINOR)}),
    ("balance_limit_exceeded", {"alice": account("alice", 10), "bob": account("bob", 5, maximum_minor=14)}),
    ("balance_overflow", {"alice": account("alice", 10), "bob": account("bob", MAX_AMOUNT_MINOR - 1)}),
]


@pytest.mark.parametrize(("code", "changed"), PRECEDENCE, ids=[code for code, _ in PRECEDENCE])
def test_refusals_come_in_their_order_of_precedence(code: str, changed: dict[str, Account]) -> None:
    # Each case breaks several promises, and the earliest in the order is the one named.
    accounts = {"alice": account("alice"), "bob": account("bob"), **changed}
    if code == "unknown_account":
        del accounts["bob"]
        accounts["alice"] = account("alice", owner=id_of("somebody"), status="closed")
    decisions = run(screened("t", leg("alice", "bob", 10)), accounts=tuple(accounts.values()))
    assert outcomes(decisions) == [("refused", code)]


def test_source_and_destination_are_two_accounts() -> None:
    decisions = run(screened("t", leg("alice", "alice", 10, owner=id_of("owner of alice"))))
    assert outcomes(decisions) == [("refused", "same_account")]


def test_nobody_is_paid_who_was_not_screened() -> None:
    decisions = run(screened("t", leg("alice", "bob", 10, owner=id_of("owner of carol"))))
    assert outcomes(decisions) == [("refused", "unknown_account")]


def test_what_is_reserved_cannot_be_spent() -> None:
    decisions = run(held("h", leg("alice", "bob", 800)), screened("t", leg("alice", "carol", 300)))
    assert outcomes(decisions) == [("held", ""), ("refused", "insufficient_funds")]
    assert transfers(decisions)[1].facts == {"needed_minor": 300, "available_minor": 200}


def test_what_is_held_for_an_account_counts_against_its_bound() -> None:
    nearly = account("bob", MAX_AMOUNT_MINOR - 100)
    decisions = run(
        held("h", leg("alice", "bob", 100)), screened("t", leg("alice", "bob", 1)), accounts=(ALICE, nearly)
    )
    assert outcomes(decisions) == [("held", ""), ("refused", "balance_overflow")]


def test_a_hold_reserves_on_both_sides_and_makes_no_entry() -> None:
    decisions = run(held("h", leg("alice", "bob", 800)))
    alice, bob = decisions.books.changed[id_of("alice")], decisions.books.changed[id_of("bob")]
    assert (alice.posted_minor, alice.pending_out_minor, alice.last_seq, alice.version) == (1_000, 800, 0, 2)
    assert (bob.posted_minor, bob.pending_in_minor) == (50, 800)
    assert len(decisions.books.entries) == 0


def test_a_hold_posts_once_its_last_reason_is_released() -> None:
    part = leg("alice", "bob", 800)
    decisions = run(
        held("h", part, reasons=("kyc_pending", "review")),
        resolved("h", part, reason="review", remaining=("kyc_pending",)),
        resolved("h", part, reason="kyc_pending"),
    )
    assert [(answer.status, answer.version, answer.reasons) for answer in transfers(decisions)] == [
        ("held", 1, ("kyc_pending", "review")),
        ("held", 2, ("kyc_pending",)),
        ("posted", 3, ()),
    ]
    alice = decisions.books.changed[id_of("alice")]
    assert (alice.posted_minor, alice.pending_out_minor) == (200, 0)
    assert decisions.inserted[id_of("h")].status == "posted"
    assert not decisions.updated


def test_a_hold_of_an_earlier_run_is_updated_with_the_legs_it_reserved() -> None:
    first = run(held("h", leg("alice", "bob", 800)))
    accounts = tuple(first.books.changed.values())
    decisions = run(resolved("h", leg("alice", "carol", 1)), accounts=accounts, known=first.inserted)
    assert decisions.updated[id_of("h")].status == "posted"
    assert balances(decisions) == {id_of("alice"): 200, id_of("bob"): 850}


def test_a_rejection_voids_with_its_code_and_gives_the_money_back() -> None:
    part = leg("alice", "bob", 800)
    decisions = run(held("h", part), resolved("h", part, resolution="reject", code="payee_kyc_rejected"))
    assert outcomes(decisions)[1] == ("voided", "payee_kyc_rejected")
    alice, bob = decisions.books.changed[id_of("alice")], decisions.books.changed[id_of("bob")]
    assert (alice.posted_minor, alice.pending_out_minor, bob.pending_in_minor) == (1_000, 0, 0)


def test_a_release_from_a_frozen_account_voids() -> None:
    first = run(held("h", leg("alice", "bob", 800)))
    alice, bob = first.books.changed[id_of("alice")], first.books.changed[id_of("bob")]
    alice.status = "frozen"
    decisions = run(resolved("h", leg("alice", "bob", 800)), accounts=(alice, bob), known=first.inserted)
    assert outcomes(decisions) == [("voided", "account_frozen")]
    assert decisions.books.changed[id_of("alice")].available_minor == 1_000


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [({}, ("posted", "")), ({"resolution": "reject", "code": "payee_kyc_rejected"}, ("voided", "payee_kyc_rejected"))],
    ids=["release", "reject"],
)
def test_a_resolution_before_its_hold_settles_and_the_late_hold_finds_it_settled(
    resolution: dict[str, Any], expected: tuple[str, str]
) -> None:
    part = leg("alice", "bob", 800)
    decisions = run(resolved("h", part, **resolution), held("h", part))
    assert outcomes(decisions) == [expected, expected]
    assert len(decisions.changes) == 1


def test_a_resolution_that_leaves_reasons_before_its_hold_holds_for_those() -> None:
    part = leg("alice", "bob", 800)
    decisions = run(
        resolved("h", part, reason="review", remaining=("kyc_pending",)),
        held("h", part, reasons=("kyc_pending", "review")),
        resolved("h", part),
    )
    assert [answer.status for answer in transfers(decisions)] == ["held", "held", "posted"]
    assert transfers(decisions)[1].reasons == ("kyc_pending",)


def test_releases_in_the_other_order_post_too() -> None:
    part = leg("alice", "bob", 800)
    decisions = run(
        held("h", part, reasons=("kyc_pending", "review")),
        resolved("h", part, reason="kyc_pending", remaining=()),
        resolved("h", part, reason="review", remaining=("kyc_pending",)),
    )
    assert [answer.status for answer in transfers(decisions)] == ["held", "posted", "posted"]


def test_a_block_is_written_down_and_moves_nothing() -> None:
    decisions = run(blocked("b", leg("alice", "nobody we know", 10)))
    assert outcomes(decisions) == [("blocked", "amount_limit_exceeded")]
    assert transfers(decisions)[0].facts == {"limit_minor": 1}
    assert balances(decisions) == {}


def test_an_atomic_batch_posts_in_order_and_may_pass_money_on() -> None:
    decisions = run(
        batch("all", screened("a", leg("alice", "bob", 1_000)), screened("b", leg("bob", "carol", 1_050), payer="bob"))
    )
    assert outcomes(decisions) == [("posted", ""), ("posted", "")]
    assert balances(decisions) == {id_of("alice"): 0, id_of("bob"): 0, id_of("carol"): 1_050}


@pytest.mark.parametrize(
    ("faulty", "expected"),
    [
        (screened("b", leg("alice", "bob", 5_000)), ("refused", "insufficient_funds")),
        (held("b", leg("alice", "bob", 5)), ("refused", "hold_in_atomic_batch")),
        (blocked("b", leg("alice", "bob", 5)), ("blocked", "amount_limit_exceeded")),
        (screened("b", leg("alice", "nobody", 5)), ("refused", "unknown_account")),
    ],
    ids=["refused", "held", "blocked", "unknown"],
)
def test_an_atomic_batch_with_one_fault_moves_nothing(faulty: TransferScreened, expected: tuple[str, str]) -> None:
    decisions = run(
        screened("before", leg("alice", "bob", 1)),
        batch("all", screened("a", leg("alice", "bob", 10)), faulty, screened("c", leg("alice", "bob", 10))),
        screened("after", leg("alice", "bob", 2)),
    )
    assert outcomes(decisions) == [
        ("posted", ""),
        ("refused", "batch_refused"),
        expected,
        ("refused", "batch_refused"),
        ("posted", ""),
    ]
    assert balances(decisions) == {id_of("alice"): 997, id_of("bob"): 53}
    assert [seq for _, seq, *_ in decisions.books.entries] == [1, 1, 2, 2]


def test_an_atomic_batch_that_comes_again_is_answered_again() -> None:
    together = batch("all", screened("a", leg("alice", "bob", 10)), screened("b", leg("alice", "carol", 10)))
    first = run(together)
    again = run(together, known=first.inserted)
    assert again.answers == first.answers
    assert not again.changes


def test_an_atomic_batch_that_names_a_transfer_twice_is_refused() -> None:
    decisions = run(batch("all", screened("a", leg("alice", "bob", 10)), screened("a", leg("alice", "bob", 10))))
    assert outcomes(decisions) == [("refused", "batch_refused")] * 2
    assert balances(decisions) == {}
