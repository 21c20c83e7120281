"""A posted transfer's money goes back: in parts, never more than it moved, with its fees when asked."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from libs.common.ids import system_account_id
from services.ledger.domain.account import Account
from services.ledger.domain.commands import Command
from services.ledger.domain.run import Answer, CommandAnswer
from services.ledger.domain.transfer import Transfer
from tests.support.ledger_builders import (
    account,
    batch,
    blocked,
    capture,
    change,
    deposit,
    fees,
    held,
    id_of,
    leg,
    reverse,
    screened,
)
from tests.unit.ledger.memory_ledger import Books, house

FEES_ACCOUNT = system_account_id("USD", "SYS-FEES-0001")
PAID = screened("t", leg("alice", "bob", 600))
TWO_LEGS = screened("t", leg("alice", "bob", 600), leg("alice", "carol", 300))
PEOPLE = (account("alice", 1_000), account("bob"), account("carol"))


def books(*commands: Command, accounts: Sequence[Account] = PEOPLE) -> Books:
    ledger = Books(*accounts, *house("USD"))
    for command in commands:
        ledger.write(command)
    return ledger


def code_of(answers: Sequence[Answer]) -> str:
    answer = answers[0]
    assert isinstance(answer, (Transfer, CommandAnswer))
    return answer.code


def test_a_reversal_moves_all_of_it_back_and_is_a_transfer_of_its_own() -> None:
    ledger = books(PAID)
    reversal, original = ledger.write(reverse("t"))
    assert isinstance(reversal, Transfer)
    assert (reversal.kind, reversal.status, reversal.version, reversal.reverses) == (
        "reversal",
        "posted",
        1,
        id_of("t"),
    )
    assert isinstance(original, Transfer)
    assert original.settlement is not None
    assert (original.status, original.version, original.settlement.reversed_minor) == ("posted", 2, (600,))
    assert (ledger.posted("alice"), ledger.posted("bob")) == (1_000, 0)


def test_parts_go_back_up_to_the_whole_and_no_further() -> None:
    ledger = books(PAID, reverse("t", 400, as_="first"))
    assert code_of(ledger.write(reverse("t", 201, as_="second"))) == "reversal_exceeds_transfer"
    ledger.write(reverse("t", 200, as_="third"))
    assert ledger.posted("alice") == 1_000
    (nothing_left,) = ledger.write(reverse("t", as_="fourth"))
    assert isinstance(nothing_left, Transfer)
    assert (nothing_left.code, nothing_left.facts) == ("reversal_exceeds_transfer", {"remaining_minor": 0})


def test_a_reversal_sent_twice_moves_once() -> None:
    ledger = books(PAID)
    first = ledger.write(reverse("t", 100))
    size = ledger.ledger.size
    (again,) = ledger.write(reverse("t", 100))
    assert isinstance(again, Transfer)
    assert (again.transfer_id, again.journal_index) == (id_of("reversal of t"), first[0].journal_index)
    assert (ledger.ledger.size, ledger.posted("alice")) == (size, 500)


def test_a_transfer_is_reversed_in_the_batch_that_posts_it() -> None:
    ledger = books()
    answers = ledger.write(PAID, reverse("t", 100))
    assert [each.status for each in answers if isinstance(each, Transfer)] == ["posted", "posted", "posted"]
    assert ledger.posted("alice") == 500


@pytest.mark.parametrize("amounts_minor", [(1,), (1, 1, 1), (0, 0)])
def test_amounts_are_one_for_each_leg_and_not_all_nothing(amounts_minor: tuple[int, ...]) -> None:
    ledger = books(TWO_LEGS)
    assert code_of(ledger.write(reverse("t", *amounts_minor))) == "amounts_by_leg"
    # Nothing was asked for, whether or not something is left.
    ledger.write(reverse("t", as_="all"))
    assert code_of(ledger.write(reverse("t", *amounts_minor, as_="late"))) == "amounts_by_leg"


def test_only_the_accounts_of_legs_that_go_back_are_asked() -> None:
    ledger = books(TWO_LEGS)
    ledger.write(change("carol", "suspended"))
    assert code_of(ledger.write(reverse("t", 1, 1, as_="both"))) == "account_suspended"
    assert code_of(ledger.write(reverse("t", 600, 0, as_="bob's"))) == ""
    assert ledger.posted("alice") == 700


HALF, HUNDREDTH = 500_000, 10_000


def test_fees_stay_with_the_house_unless_the_reversal_asks_for_them() -> None:
    ledger = books(fees(rate_per_million=HUNDREDTH), PAID)
    ledger.write(reverse("t", 594))
    assert (ledger.posted("alice"), ledger.posted("bob"), ledger.posted(FEES_ACCOUNT)) == (994, 0, 6)


def test_fees_go_back_in_proportion_and_wholly_with_the_last_part() -> None:
    ledger = books(fees(rate_per_million=HUNDREDTH), PAID)
    ledger.write(reverse("t", 299, as_="first", with_fees=True))
    assert ledger.posted(FEES_ACCOUNT) == 4  # 6 - floor(2.99)
    ledger.write(reverse("t", 1, as_="second", with_fees=True))
    assert ledger.posted(FEES_ACCOUNT) == 3
    ledger.write(reverse("t", as_="last", with_fees=True))
    assert (ledger.posted("alice"), ledger.posted("bob"), ledger.posted(FEES_ACCOUNT)) == (1_000, 0, 0)
    assert ledger.transfer("t").fee_minor == 0


def test_a_reversal_gives_back_the_fees_of_its_own_part_alone() -> None:
    ledger = books(fees(rate_per_million=HALF), PAID, deposit("d", "bob", 1_000))
    ledger.write(reverse("t", 500, as_="without"))
    ledger.write(reverse("t", 100, as_="with", with_fees=True))
    # 300 were withheld, a sixth of them for these 100: the payee pays 50 and is paid nothing by his own reversal.
    assert (ledger.posted("bob"), ledger.posted(FEES_ACCOUNT)) == (1_300 - 500 - 50, 250)
    assert ledger.transfer("t").fee_minor == 250


def test_no_fee_goes_back_of_a_leg_that_does_not_move() -> None:
    ledger = books(fees(rate_per_million=HALF), TWO_LEGS, deposit("d", "bob", 1_000))
    ledger.write(reverse("t", 600, 0, as_="bob's"))
    ledger.write(reverse("t", 0, 300, as_="carol's", with_fees=True))
    assert ledger.posted(FEES_ACCOUNT) == 300
    assert ledger.transfer("t").fee_minor == 300
    assert ledger.ledger.entry_sums[id_of("carol's of t"), FEES_ACCOUNT] == -150


def test_a_payee_who_has_spent_it_cannot_give_it_back() -> None:
    ledger = books(PAID, screened("on", leg("bob", "carol", 1), payer="bob"))
    assert code_of(ledger.write(reverse("t"))) == "insufficient_funds"
    assert ledger.posted("bob") == 599


def test_a_payee_who_can_pay_for_one_leg_alone_pays_for_none() -> None:
    ledger = books(screened("t", leg("alice", "bob", 600), leg("alice", "bob", 300)))
    ledger.write(screened("on", leg("bob", "carol", 1), payer="bob"))
    (answer,) = ledger.write(reverse("t"))
    assert isinstance(answer, Transfer)
    assert (answer.code, answer.facts) == ("insufficient_funds", {"needed_minor": 300, "available_minor": 299})
    assert ledger.posted("bob") == 899


def test_a_fees_account_that_has_no_more_gives_nothing_back_and_does_not_say_what_it_has() -> None:
    ledger = books(fees(rate_per_million=HUNDREDTH), PAID)
    ledger.put(replace(ledger.ledger.accounts[FEES_ACCOUNT], posted_minor=5))
    (answer,) = ledger.write(reverse("t", with_fees=True))
    assert isinstance(answer, Transfer)
    assert (answer.code, answer.facts) == ("insufficient_funds", {})
    assert ledger.posted("bob") == 594


def test_a_payer_who_may_not_hold_that_much_gets_nothing_back() -> None:
    ledger = books(PAID)
    ledger.write(change("alice", maximum_minor=500))
    assert code_of(ledger.write(reverse("t", 101, as_="much"))) == "balance_limit_exceeded"
    assert code_of(ledger.write(reverse("t", 100, as_="less"))) == ""


def test_a_payer_who_is_frozen_may_get_his_money_back_and_a_payee_who_is_may_not_pay() -> None:
    ledger = books(PAID)
    ledger.write(change("alice", "frozen"))
    assert code_of(ledger.write(reverse("t", 1, as_="to alice"))) == ""
    ledger.write(change("bob", "frozen"))
    assert code_of(ledger.write(reverse("t", 1, as_="from bob"))) == "account_frozen"


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("h", "held", "transfer"),
        ("b", "blocked", "transfer"),
        ("r", "refused", "transfer"),
        ("reversal of t", "posted", "reversal"),
    ],
)
def test_only_what_is_posted_and_no_reversal_is_reversed(name: str, status: str, kind: str) -> None:
    ledger = books(
        held("h", leg("alice", "bob", 1)),
        blocked("b", leg("alice", "bob", 1)),
        screened("r", leg("alice", "bob", 9_999)),
        PAID,
        reverse("t", 1),
    )
    (refused,) = ledger.write(reverse(name, as_="again"))
    assert isinstance(refused, Transfer)
    assert (refused.code, refused.facts) == ("transfer_not_reversible", {"original_status": status, "kind": kind})


def test_a_reversal_of_this_batch_is_not_reversed_in_it() -> None:
    answers = books(PAID).write(reverse("t", 1), reverse("reversal of t"))
    assert isinstance(answers[2], Transfer)
    assert answers[2].code == "transfer_not_reversible"


def test_what_is_not_there_is_not_found() -> None:
    assert code_of(books().write(reverse("t"))) == "transfer_not_found"


def test_of_a_hold_only_what_was_captured_is_reversed() -> None:
    ledger = books(screened("h", leg("alice", "bob", 600), hold_seconds=60), capture("h", 200, final=True))
    assert code_of(ledger.write(reverse("h", 201, as_="more"))) == "reversal_exceeds_transfer"
    ledger.write(reverse("h"))
    assert (ledger.posted("alice"), ledger.posted("bob")) == (1_000, 0)


def test_deposits_and_batches_are_reversed_like_any_transfer() -> None:
    ledger = books(deposit("d", "bob", 50), batch("all", PAID))
    ledger.write(reverse("d"), reverse("t"))
    assert (ledger.posted("alice"), ledger.posted("bob")) == (1_000, 0)
